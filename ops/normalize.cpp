#include <isotape/ops/normalize.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

const Op unit_rows_op("unit_rows");
const Op rescale_rows_op("rescale_rows");
const Op project_rows_l1_op("project_rows_l1");

struct Rows {
  std::int64_t count;
  std::int64_t size;
};

Rows rows_of(const char* name, const Tensor& w) {
  require<ShapeError>(w.rank() >= 1 && w.size() > 0, name,
                      ": expected rows along the outermost axis, got ", w.shape());
  return {w.dim(0), w.size() / w.dim(0)};
}

template <class F>
void for_rows(Rows rows, F&& body) {
  constexpr std::int64_t grain = 1 << 14;  // entries
  parallel_for(rows.count, 1 + grain / rows.size, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(i, i * rows.size);
  });
}

template <class T>
double inner(std::int64_t size, const T* a, const T* b) {
  double sum = 0;
  for (std::int64_t j = 0; j < size; ++j) sum += double(a[j]) * double(b[j]);
  return sum;
}

// |a|_2 without overflow or underflow of the squares.
template <class T>
double length(std::int64_t size, const T* a) {
  double largest = 0;
  double total = 0;
  for (std::int64_t j = 0; j < size; ++j) {
    const double entry = std::abs(double(a[j]));
    largest = std::max(largest, entry);
    total += entry;
  }
  if (largest == 0) return total;  // 0, or NaN, which a maximum does not see
  double sum = 0;
  for (std::int64_t j = 0; j < size; ++j) {
    const double ratio = double(a[j]) / largest;
    sum += ratio * ratio;
  }
  return largest * std::sqrt(sum);
}

// tau of a row whose |w|_1 exceeds 1: of the largest s entries, for the largest s that leaves all
// of them above it.
template <class T>
double threshold(std::int64_t size, const T* w) {
  std::vector<double> sizes(static_cast<std::size_t>(size));
  std::transform(w, w + size, sizes.begin(), [](T x) { return std::abs(double(x)); });
  std::sort(sizes.begin(), sizes.end(), std::greater<>());
  double sum = 0;
  double tau = 0;
  for (std::size_t s = 0; s < sizes.size(); ++s) {
    sum += sizes[s];
    const double candidate = (sum - 1) / static_cast<double>(s + 1);
    if (candidate >= sizes[s]) break;
    tau = candidate;
  }
  return tau;
}

template <class T>
double project_row(std::int64_t size, const T* w, T* y) {
  double sum = 0;
  for (std::int64_t j = 0; j < size; ++j) sum += std::abs(double(w[j]));
  require<NumericError>(std::isfinite(sum), "project_rows_l1: expected finite entries, got ", sum,
                        " as the sum of a row");
  const double tau = sum > 1 ? threshold(size, w) : 0;
  for (std::int64_t j = 0; j < size; ++j) {
    y[j] = static_cast<T>(std::copysign(std::max(std::abs(double(w[j])) - tau, 0.0), double(w[j])));
  }
  return tau;
}

// The derivative of the projection, which is symmetric: on a face of the ball, the projection onto
// it; inside, the identity.
template <class T>
void project_tangent(std::int64_t size, double tau, const T* y, const T* from, T* to) {
  if (tau == 0) {
    std::copy_n(from, size, to);
    return;
  }
  double along = 0;
  std::int64_t support = 0;
  for (std::int64_t j = 0; j < size; ++j) {
    if (y[j] == 0) continue;
    along += y[j] > 0 ? double(from[j]) : -double(from[j]);
    ++support;
  }
  const double shift = along / static_cast<double>(support);
  for (std::int64_t j = 0; j < size; ++j) {
    to[j] = y[j] == 0 ? T{0} : static_cast<T>(double(from[j]) - (y[j] > 0 ? shift : -shift));
  }
}

}  // namespace

// dy = (dw - y <y, dw>) / |w|: symmetric, so both derivatives are one.
Var unit_rows(const Var& w_var) {
  const Tensor& w = w_var.value();
  const Rows rows = rows_of("unit_rows", w);
  return dispatch_float(w.dtype(), "unit_rows", [&]<class T>() {
    Tensor y(w.shape(), w.dtype());
    std::vector<double> inverse(static_cast<std::size_t>(rows.count));
    for_rows(rows, [&, to = y.write<T>()](std::int64_t i, std::int64_t at) {
      const double norm = length(rows.size, w.data<T>() + at);
      inverse[static_cast<std::size_t>(i)] = norm == 0 ? 0 : 1 / norm;
      for (std::int64_t j = at; j < at + rows.size; ++j) {
        to[j] = norm == 0 ? T{0} : static_cast<T>(double(w.data<T>()[j]) / norm);
      }
    });
    const auto derivative = [y, rows, inverse = std::move(inverse)](const Tensor& from) {
      Tensor result(y.shape(), y.dtype());
      for_rows(rows, [&, to = result.write<T>()](std::int64_t i, std::int64_t at) {
        const T* unit = y.data<T>() + at;
        const T* g = from.data<T>() + at;
        const double factor = inverse[static_cast<std::size_t>(i)];
        const double along = inner(rows.size, unit, g);
        for (std::int64_t j = 0; j < rows.size; ++j) {
          to[at + j] = static_cast<T>((double(g[j]) - along * double(unit[j])) * factor);
        }
      });
      return result;
    };
    auto vjp = [derivative](const Tensor& dy, Needs) -> Grads<1> { return {derivative(dy)}; };
    auto jvp = [derivative](const Tangents<1>& dw) { return derivative(dw[0]); };
    return record(unit_rows_op, y, {w_var}, {y}, std::move(vjp), std::move(jvp));
  });
}

Var unit_frobenius(const Var& w) {
  return reshape(unit_rows(reshape(w, {1, w.value().size()})), w.shape());
}

// dy_i = dw_i t_i^-1/2 - y_i dt_i / (2 t_i).
Var rescale_rows(const Var& w_var, const Var& t_var) {
  const Tensor& w = w_var.value();
  const Tensor& t = t_var.value();
  const Rows rows = rows_of("rescale_rows", w);
  require<ShapeError>(t.shape() == Shape{rows.count} && t.dtype() == w.dtype(),
                      "rescale_rows: expected t of shape ", Shape{rows.count}, " and type ",
                      w.dtype(), ", got ", t.shape(), " and ", t.dtype());
  return dispatch_float(w.dtype(), "rescale_rows", [&]<class T>() {
    const auto factor = [t](std::int64_t i) {
      const auto ti = double(t.data<T>()[i]);
      return ti == 0 ? 0 : 1 / std::sqrt(ti);
    };
    Tensor y(w.shape(), w.dtype());
    for_rows(rows, [&, to = y.write<T>()](std::int64_t i, std::int64_t at) {
      const double scale = factor(i);
      for (std::int64_t j = at; j < at + rows.size; ++j) {
        to[j] = static_cast<T>(double(w.data<T>()[j]) * scale);
      }
    });
    auto vjp = [y, rows, factor](const Tensor& dy, Needs) -> Grads<2> {
      Tensor grad_w(y.shape(), y.dtype());
      Tensor grad_t({rows.count}, y.dtype());
      T* const to_t = grad_t.write<T>();
      for_rows(rows, [&, to = grad_w.write<T>()](std::int64_t i, std::int64_t at) {
        const double scale = factor(i);
        const T* g = dy.data<T>() + at;
        for (std::int64_t j = 0; j < rows.size; ++j) {
          to[at + j] = static_cast<T>(double(g[j]) * scale);
        }
        to_t[i] = static_cast<T>(-0.5 * inner(rows.size, g, y.data<T>() + at) * scale * scale);
      });
      return {grad_w, grad_t};
    };
    auto jvp = [y, rows, factor](const Tangents<2>& tangents) {
      Tensor dy = Tensor::zeros(y.shape(), y.dtype());
      for_rows(rows, [&, to = dy.write<T>()](std::int64_t i, std::int64_t at) {
        const double scale = factor(i);
        const double dt =
            tangents[1] ? -0.5 * double(tangents[1].data<T>()[i]) * scale * scale : 0.0;
        for (std::int64_t j = at; j < at + rows.size; ++j) {
          const double dw = tangents[0] ? double(tangents[0].data<T>()[j]) * scale : 0.0;
          to[j] = static_cast<T>(dw + dt * double(y.data<T>()[j]));
        }
      });
      return dy;
    };
    return record(rescale_rows_op, y, {w_var, t_var}, {y, t}, std::move(vjp), std::move(jvp));
  });
}

Var project_rows_l1(const Var& w_var) {
  const Tensor& w = w_var.value();
  const Rows rows = rows_of("project_rows_l1", w);
  return dispatch_float(w.dtype(), "project_rows_l1", [&]<class T>() {
    Tensor y(w.shape(), w.dtype());
    std::vector<double> tau(static_cast<std::size_t>(rows.count));
    for_rows(rows, [&, to = y.write<T>()](std::int64_t i, std::int64_t at) {
      tau[static_cast<std::size_t>(i)] = project_row(rows.size, w.data<T>() + at, to + at);
    });
    const auto derivative = [y, rows, tau = std::move(tau)](const Tensor& from) {
      Tensor result(y.shape(), y.dtype());
      for_rows(rows, [&, to = result.write<T>()](std::int64_t i, std::int64_t at) {
        project_tangent(rows.size, tau[static_cast<std::size_t>(i)], y.data<T>() + at,
                        from.data<T>() + at, to + at);
      });
      return result;
    };
    auto vjp = [derivative](const Tensor& dy, Needs) -> Grads<1> { return {derivative(dy)}; };
    auto jvp = [derivative](const Tangents<1>& dw) { return derivative(dw[0]); };
    return record(project_rows_l1_op, y, {w_var}, {y}, std::move(vjp), std::move(jvp));
  });
}

}  // namespace isotape
