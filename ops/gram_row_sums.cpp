#include <isotape/ops/gram_row_sums.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reshape.hpp>

// Note [Rounding in weighted row sums]
//
// u = 2^-53, gamma_k = k u / (1 - k u). A computed entry of G_d, a sum of at most k = h v c
// products, is off by at most gamma_k times the sum of their absolute values, which by
// Cauchy-Schwarz is at most |w_i| |w_j|, the lengths over all taps. With D differences in all,
//     sum_d |G_d[i,j]| <= computed (1 + gamma) + D gamma_k |w_i| |w_j|.
// All further operations are sums, products, quotients and roots of non-negative numbers, fewer
// than 4 (n + D + k) in a chain, for which gamma of so many allows. Products that underflow lose
// less than 1e-323 each, at weights whose ratio is at most 1e100: less than `least` after the root
// for any number of terms that fits a memory; a w of zeros alone has the bound 0.

namespace isotape {
namespace {

const Op gram_row_sums_op("gram_row_sums");

constexpr double least = 1e-100;
constexpr double extreme = 1e50;  // of the weights of a bound, and its inverse

// Rows [n], taps [h, v], c channels.
struct Extents {
  std::int64_t n;
  std::int64_t h;
  std::int64_t v;
  std::int64_t c;
};

Extents extents_of(const char* name, const Tensor& w) {
  require<ShapeError>((w.rank() == 2 || w.rank() == 4) && w.size() > 0, name,
                      ": expected w of shape [n, c] or [n, h, w, c], got ", w.shape());
  if (w.rank() == 2) return {w.dim(0), 1, 1, w.dim(1)};
  return {w.dim(0), w.dim(1), w.dim(2), w.dim(3)};
}

// The differences d = (down, across) of two taps, one of each pair +-d.
struct Difference {
  std::int64_t down;
  std::int64_t across;
  bool zero() const { return down == 0 && across == 0; }
};

std::vector<Difference> differences(const Extents& e) {
  std::vector<Difference> all;
  for (std::int64_t down = 0; down < e.h; ++down) {
    for (std::int64_t across = down == 0 ? 0 : 1 - e.v; across < e.v; ++across) {
      all.push_back({down, across});
    }
  }
  return all;
}

// Calls body(k, a, b) for the pairs of taps a, b = a + d, in their order, k from 0.
template <class F>
void for_overlap(const Extents& e, Difference d, F&& body) {
  std::int64_t k = 0;
  for (std::int64_t a = 0; a + d.down < e.h; ++a) {
    for (std::int64_t b = std::max<std::int64_t>(0, -d.across); b < std::min(e.v, e.v - d.across);
         ++b) {
      body(k++, a * e.v + b, (a + d.down) * e.v + b + d.across);
    }
  }
}

// The taps of all rows that meet at a difference, side by side: G_d = left right^T, both [n, k].
struct Meeting {
  std::int64_t k = 0;
  Tensor left;
  Tensor right;
};

template <class T>
Meeting meet(const Extents& e, Difference d, const Tensor& w) {
  if (e.h * e.v == 1) return {e.c, w, w};
  const std::int64_t k = (e.h - d.down) * (e.v - std::abs(d.across)) * e.c;
  Meeting m{k, Tensor({e.n, k}, w.dtype()), Tensor({e.n, k}, w.dtype())};
  T* const left = m.left.template write<T>();
  T* const right = m.right.template write<T>();
  for (std::int64_t i = 0; i < e.n; ++i) {
    const T* const row = w.data<T>() + i * e.h * e.v * e.c;
    for_overlap(e, d, [&](std::int64_t at, std::int64_t a, std::int64_t b) {
      std::copy_n(row + a * e.c, e.c, left + i * k + at * e.c);
      std::copy_n(row + b * e.c, e.c, right + i * k + at * e.c);
    });
  }
  return m;
}

// The adjoint of meet(): adds both sides to the taps that they came from.
template <class T>
void part(const Extents& e, Difference d, const Tensor& left, const Tensor& right, T* rows) {
  const std::int64_t k = left.dim(1);
  for (std::int64_t i = 0; i < e.n; ++i) {
    T* const row = rows + i * e.h * e.v * e.c;
    for_overlap(e, d, [&](std::int64_t at, std::int64_t a, std::int64_t b) {
      const T* const l = left.data<T>() + i * k + at * e.c;
      const T* const r = right.data<T>() + i * k + at * e.c;
      for (std::int64_t c = 0; c < e.c; ++c) row[a * e.c + c] += l[c];
      for (std::int64_t c = 0; c < e.c; ++c) row[b * e.c + c] += r[c];
    });
  }
}

// The G_d of one half, [differences, n, n].
template <class T>
Tensor gram_kernel(const Extents& e, const Tensor& w) {
  const std::vector<Difference> all = differences(e);
  Tensor gram({static_cast<std::int64_t>(all.size()), e.n, e.n}, w.dtype());
  T* g = gram.write<T>();
  for (const Difference d : all) {
    if (d.zero()) {
      const std::int64_t k = e.h * e.v * e.c;
      blas::syrk<T>(false, e.n, k, T{1}, w.data<T>(), k, T{0}, g, e.n);
    } else {
      const Meeting m = meet<T>(e, d, w);
      blas::gemm<T>(false, true, e.n, e.n, m.k, T{1}, m.left.data<T>(), m.k, m.right.data<T>(), m.k,
                    T{0}, g, e.n);
    }
    g += e.n * e.n;
  }
  return gram;
}

// sum_d f_d over both halves, where f_{-d} = f_d^T: [n, n] in f64. term(at): entry of the half.
template <class F>
Tensor sum_of_halves(std::int64_t count, std::int64_t n, F&& term) {
  Tensor sums = Tensor::zeros({n, n}, DType::f64);
  auto* const to = sums.write<double>();
  for (std::int64_t d = 0; d < count; ++d) {
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        const double value = term((d * n + i) * n + j);
        to[i * n + j] += value;
        if (d > 0) to[j * n + i] += value;
      }
    }
  }
  return sums;
}

template <class T>
Tensor absolute_sum(const Tensor& gram) {
  const T* const g = gram.data<T>();
  return sum_of_halves(gram.dim(0), gram.dim(1),
                       [g](std::int64_t at) { return std::abs(double(g[at])); });
}

// Ones, if q is absent.
template <class T>
std::vector<double> weights_of(const Tensor& q, std::int64_t n) {
  std::vector<double> weights(static_cast<std::size_t>(n), 1.0);
  for (std::int64_t i = 0; q && i < n; ++i) {
    const auto entry = double(q.data<T>()[i]);
    require<ValueError>(entry > 0, "gram_row_sums: expected q > 0, got ", entry, " at ", i);
    weights[static_cast<std::size_t>(i)] = entry;
  }
  return weights;
}

// t of sums = sum_d |G_d|.
template <class T>
Tensor row_sums(const Tensor& sums, const std::vector<double>& q) {
  const std::int64_t n = sums.dim(0);
  Tensor t({n}, dtype_of<T>());
  T* const to = t.write<T>();
  for (std::int64_t i = 0; i < n; ++i) {
    const auto* const row = sums.data<double>() + i * n;
    const double sum = std::inner_product(row, row + n, q.begin(), 0.0);
    to[i] = static_cast<T>(sum / q[static_cast<std::size_t>(i)]);
  }
  return t;
}

// What G_d, of one half, has to do with t: dL = sum_d <h_d, dG_d>,
//     h_d[i,j] = sign(G_d[i,j]) (r_i q_j / q_i + r_j q_i / q_j),   r = dL/dt,
// for the entry is that of -d, transposed, too; for d = 0 with half of it.
template <class T>
void pair_weights(const std::vector<double>& q, const T* r, const T* g, T* h) {
  const auto n = static_cast<std::int64_t>(q.size());
  std::vector<T> ratio(q.size());
  std::vector<T> weight(q.size());
  for (std::size_t i = 0; i < q.size(); ++i) {
    ratio[i] = static_cast<T>(double(r[i]) / q[i]);
    weight[i] = static_cast<T>(q[i]);
  }
  for (std::int64_t i = 0; i < n; ++i) {
    const T ratio_i = ratio[static_cast<std::size_t>(i)];
    const T weight_i = weight[static_cast<std::size_t>(i)];
    for (std::int64_t j = 0; j < n; ++j) {
      const auto at = static_cast<std::size_t>(j);
      const T entry = g[i * n + j];
      const auto sign = static_cast<T>((entry > 0) - (entry < 0));
      h[i * n + j] = sign * (ratio_i * weight[at] + ratio[at] * weight_i);
    }
  }
}

// From G_d = left right^T: grad_left = h_d right and grad_right = h_d^T left; from G_0 = w w^T, in
// whose h_0 both sides are one: h_0 w.
template <class T>
Tensor grad_of_w(const Extents& e, const Tensor& w, const Tensor& gram,
                 const std::vector<double>& q, const T* r) {
  Tensor grad(w.shape(), w.dtype());
  T* const to = grad.write<T>();
  Tensor pairs({e.n, e.n}, w.dtype());
  T* const h = pairs.write<T>();
  const T* g = gram.data<T>();
  for (const Difference d : differences(e)) {
    pair_weights(q, r, g, h);
    g += e.n * e.n;
    const auto times = [&](bool trans, std::int64_t k, const T* side, T* result) {
      blas::gemm<T>(trans, false, e.n, k, e.n, T{1}, h, e.n, side, k, T{0}, result, k);
    };
    if (d.zero()) {
      times(false, e.h * e.v * e.c, w.data<T>(), to);
      continue;
    }
    const Meeting m = meet<T>(e, d, w);
    Tensor left({e.n, m.k}, w.dtype());
    Tensor right({e.n, m.k}, w.dtype());
    times(false, m.k, m.right.data<T>(), left.write<T>());
    times(true, m.k, m.left.data<T>(), right.write<T>());
    part<T>(e, d, left, right, to);
  }
  return grad;
}

// t_i = sum_j s_ij q_j / q_i, s symmetric: dt_i = sum_j s_ij dq_j / q_i - t_i dq_i / q_i.
template <class T>
Tensor grad_of_q(const Tensor& sums, const std::vector<double>& q, const T* r, const T* t) {
  const auto n = static_cast<std::int64_t>(q.size());
  std::vector<double> ratio(q.size());
  for (std::size_t i = 0; i < q.size(); ++i) ratio[i] = double(r[i]) / q[i];
  Tensor grad({n}, dtype_of<T>());
  T* const to = grad.write<T>();
  for (std::int64_t j = 0; j < n; ++j) {
    const auto* const row = sums.data<double>() + j * n;
    const double sum = std::inner_product(row, row + n, ratio.begin(), 0.0);
    to[j] = static_cast<T>(sum - double(t[j]) * ratio[static_cast<std::size_t>(j)]);
  }
  return grad;
}

// dt by dw, with s' = sum_d sign(G_d) dG_d in the place of s.
template <class T>
Tensor tangent_of_w(const Extents& e, const Tensor& w, const Tensor& gram,
                    const std::vector<double>& q, const Tensor& dw) {
  Tensor change(gram.shape(), w.dtype());
  T* c = change.write<T>();
  for (const Difference d : differences(e)) {
    const Meeting m = meet<T>(e, d, w);
    const Meeting dm = meet<T>(e, d, dw);
    blas::gemm<T>(false, true, e.n, e.n, m.k, T{1}, dm.left.data<T>(), m.k, m.right.data<T>(), m.k,
                  T{0}, c, e.n);
    blas::gemm<T>(false, true, e.n, e.n, m.k, T{1}, m.left.data<T>(), m.k, dm.right.data<T>(), m.k,
                  T{1}, c, e.n);
    c += e.n * e.n;
  }
  const T* const g = gram.data<T>();
  const T* const dg = change.data<T>();
  const Tensor sums = sum_of_halves(gram.dim(0), e.n, [g, dg](std::int64_t at) {
    return g[at] == 0 ? 0.0 : std::copysign(1.0, double(g[at])) * double(dg[at]);
  });
  return row_sums<T>(sums, q);
}

template <class T>
Tensor tangent_of_q(const Tensor& sums, const std::vector<double>& q, const T* t, const T* dq) {
  const auto n = static_cast<std::int64_t>(q.size());
  Tensor dt({n}, dtype_of<T>());
  T* const to = dt.write<T>();
  for (std::int64_t i = 0; i < n; ++i) {
    double sum = -double(t[i]) * double(dq[i]);
    for (std::int64_t j = 0; j < n; ++j) sum += sums.data<double>()[i * n + j] * double(dq[j]);
    to[i] = static_cast<T>(sum / q[static_cast<std::size_t>(i)]);
  }
  return dt;
}

}  // namespace

namespace {

// Of rows that all meet.
Var one_group(const Var& w_var, const Var& q_var) {
  const Tensor& w = w_var.value();
  const Extents e = extents_of("gram_row_sums", w);
  require<ShapeError>(!q_var || (q_var.shape() == Shape{e.n} && q_var.dtype() == w.dtype()),
                      "gram_row_sums: expected q of shape ", Shape{e.n}, " and type ", w.dtype(),
                      ", got ", q_var ? q_var.shape() : Shape{}, " and ",
                      q_var ? q_var.dtype() : w.dtype());
  return dispatch_float(w.dtype(), "gram_row_sums", [&]<class T>() {
    const std::vector<double> q = weights_of<T>(q_var.value(), e.n);
    const Tensor gram = gram_kernel<T>(e, w);
    const Tensor t = row_sums<T>(absolute_sum<T>(gram), q);
    auto vjp = [e, w, gram, q, t](const Tensor& dy, Needs needs) -> Grads<2> {
      Grads<2> grads;
      const T* const r = dy.data<T>();
      if (needs(0)) grads[0] = grad_of_w<T>(e, w, gram, q, r);
      if (needs(1)) grads[1] = grad_of_q<T>(absolute_sum<T>(gram), q, r, t.data<T>());
      return grads;
    };
    auto jvp = [e, w, gram, q, t](const Tangents<2>& d) -> Tensor {
      Tensor by_w = d[0] ? tangent_of_w<T>(e, w, gram, q, d[0]) : Tensor();
      if (!d[1]) return by_w;
      const Tensor by_q = tangent_of_q<T>(absolute_sum<T>(gram), q, t.data<T>(), d[1].data<T>());
      return by_w ? add(by_w, by_q).value() : by_q;
    };
    return record(gram_row_sums_op, t, {w_var, q_var}, {w, t}, std::move(vjp), std::move(jvp));
  });
}

double bound_of_group(const Tensor& w_original, const std::vector<double>& p) {
  const Extents e = extents_of("weighted_gram_bound", w_original);
  const Tensor w = w_original.to(DType::f64);
  if (!all_finite(w)) return std::numeric_limits<double>::quiet_NaN();
  if (max_abs(w) == 0) return 0;
  const auto count = static_cast<std::int64_t>(2 * differences(e).size());
  const double ku = static_cast<double>(4 * (e.n + count + e.h * e.v * e.c + 16)) * 0x1p-53;
  const double gamma = ku / (1 - 2 * ku);
  const Tensor sums = absolute_sum<double>(gram_kernel<double>(e, w));
  std::vector<double> lengths;
  std::vector<double> weights;
  for (std::int64_t i = 0; i < e.n; ++i) {
    const double given = p[static_cast<std::size_t>(i)];
    lengths.push_back(frobenius_norm(w.rows(i, i + 1)));
    weights.push_back(given >= 1 / extreme && given <= extreme ? given : 1);
  }
  double largest = 0;
  for (std::int64_t i = 0; i < e.n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    double sum = 0;
    for (std::int64_t j = 0; j < e.n; ++j) {
      const auto to = static_cast<std::size_t>(j);
      const double rounding = static_cast<double>(count) * gamma * lengths[at] * lengths[to];
      sum += (sums.data<double>()[i * e.n + j] + rounding) * (weights[to] / weights[at]);
    }
    if (!std::isfinite(sum)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, sum);
  }
  return std::sqrt(largest * (1 + 4 * gamma)) * (1 + 4 * gamma) + least;
}

// The rows of each of so many equal groups.
std::int64_t rows_of_group(const char* name, const Tensor& w, std::int64_t groups) {
  require<ShapeError>(groups >= 1 && w.rank() >= 1 && w.dim(0) % groups == 0, name,
                      ": expected groups that divide the rows of ", w.shape(), ", got ", groups);
  return w.dim(0) / groups;
}

}  // namespace

Var gram_row_sums(const Var& w, const Var& q, std::int64_t groups) {
  const std::int64_t rows = rows_of_group("gram_row_sums", w.value(), groups);
  if (groups == 1) return one_group(w, q);
  Vars sums;
  for (std::int64_t at = 0; at < w.dim(0); at += rows) {
    sums.push_back(one_group(slice(w, 0, at, at + rows), q ? slice(q, 0, at, at + rows) : q));
  }
  return concat(sums, 0);
}

double weighted_gram_bound(const Tensor& w, const std::vector<double>& p, std::int64_t groups) {
  const std::int64_t rows = rows_of_group("weighted_gram_bound", w, groups);
  require<ShapeError>(static_cast<std::int64_t>(p.size()) == w.dim(0),
                      "weighted_gram_bound: expected ", w.dim(0), " weights, got ", p.size());
  double largest = 0;
  for (std::int64_t at = 0; at < w.dim(0); at += rows) {
    const double bound =
        bound_of_group(w.rows(at, at + rows), {p.begin() + at, p.begin() + at + rows});
    if (std::isnan(bound)) return bound;
    largest = std::max(largest, bound);
  }
  return largest;
}

}  // namespace isotape
