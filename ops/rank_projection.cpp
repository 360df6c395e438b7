#include <isotape/ops/rank_projection.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>

namespace isotape {
namespace {

void check(const char* name, const Tensor& w) {
  require<ShapeError>(w.rank() == 2 && w.size() > 0, name, ": expected a matrix [m, n], got ",
                      w.shape());
  require<NumericError>(all_finite(w), name, ": expected finite entries");
}

// x y, in f64.
Tensor product(bool trans_x, const Tensor& x, const Tensor& y) {
  Tensor to({x.dim(trans_x ? 1 : 0), y.dim(1)}, DType::f64);
  blas::gemm<double>(trans_x, false, to.dim(0), to.dim(1), y.dim(0), 1, x.data<double>(), x.dim(1),
                     y.data<double>(), y.dim(1), 0, to.write<double>(), to.dim(1));
  return to;
}

struct Svd {
  Tensor u, s, vt;
};

Svd svd_of(const Tensor& w) {
  const std::int64_t r = std::min(w.dim(0), w.dim(1));
  Svd svd{Tensor({w.dim(0), r}, DType::f64), Tensor({r}, DType::f64),
          Tensor({r, w.dim(1)}, DType::f64)};
  Tensor work = w.clone();
  blas::svd<double>(w.dim(0), w.dim(1), work.write<double>(), svd.s.write<double>(),
                    svd.u.write<double>(), svd.vt.write<double>());
  return svd;
}

// Columns of a matrix, in the order given.
Tensor columns_of(const Tensor& w, const std::vector<std::int64_t>& which) {
  const auto count = static_cast<std::int64_t>(which.size());
  Tensor to({w.dim(0), count}, DType::f64);
  auto* out = to.write<double>();
  for (std::int64_t i = 0; i < w.dim(0); ++i) {
    for (std::int64_t j = 0; j < count; ++j) {
      out[i * count + j] = w.data<double>()[i * w.dim(1) + which[static_cast<std::size_t>(j)]];
    }
  }
  return to;
}

// Columns without replacement, with probabilities in proportion to their squared lengths: those
// whose exponential waiting time at this rate is shortest [Efraimidis 2006]. Columns of zeros come
// last.
std::vector<std::int64_t> sample_columns(const Tensor& w, std::int64_t count, Rng& rng) {
  const std::int64_t n = w.dim(1);
  std::vector<double> rates(static_cast<std::size_t>(n), 0.0);
  for (std::int64_t i = 0; i < w.size(); ++i) {
    const double entry = w.data<double>()[i];
    rates[static_cast<std::size_t>(i % n)] += entry * entry;
  }
  std::vector<std::pair<double, std::int64_t>> waits;
  for (std::int64_t j = 0; j < n; ++j) {
    const double exponential = 1e-300 - std::log1p(-rng.uniform());
    waits.emplace_back(exponential / rates[static_cast<std::size_t>(j)], j);  // inf for zeros
  }
  std::sort(waits.begin(), waits.end());
  std::vector<std::int64_t> chosen;
  for (std::int64_t j = 0; j < count; ++j) {
    chosen.push_back(waits[static_cast<std::size_t>(j)].second);
  }
  return chosen;
}

std::vector<std::int64_t> first(std::int64_t count) {
  std::vector<std::int64_t> which(static_cast<std::size_t>(count));
  std::iota(which.begin(), which.end(), 0);
  return which;
}

// u_r diag(s_r) vt_r of the first r triples.
Tensor truncated(const Svd& svd, std::int64_t rank) {
  const std::int64_t r = std::min(rank, svd.s.size());
  Tensor u = columns_of(svd.u, first(r));
  auto* entries = u.write<double>();
  for (std::int64_t i = 0; i < u.size(); ++i) entries[i] *= svd.s.data<double>()[i % r];
  return product(false, u, svd.vt.rows(0, r));
}

}  // namespace

Tensor truncate_rank(const Tensor& w, std::int64_t rank) {
  check("truncate_rank", w);
  require<ValueError>(rank >= 1, "truncate_rank: expected rank >= 1, got ", rank);
  if (rank >= std::min(w.dim(0), w.dim(1))) return w;
  return truncated(svd_of(w.to(DType::f64)), rank).to(w.dtype());
}

// The mean (1/T) sum_t U_t U_t^T w = [U_1 ... U_T] [U_1 ... U_T]^T w / T is never formed: with an
// orthonormal basis Q of the stack, Q (Q^T stack) (stack^T w) / T has the SVD of its right factor.
Tensor nystrom_rank(const Tensor& w, std::int64_t rank, const NystromOptions& options, Rng& rng) {
  check("nystrom_rank", w);
  const std::int64_t m = w.dim(0);
  const std::int64_t n = w.dim(1);
  require<ValueError>(rank >= 1, "nystrom_rank: expected rank >= 1, got ", rank);
  if (rank >= std::min(m, n)) return w;
  require<ValueError>(rank <= options.columns && options.columns <= n,
                      "nystrom_rank: expected columns in ", rank, "..", n, ", got ",
                      options.columns);
  require<ValueError>(options.replicas >= 1, "nystrom_rank: expected replicas >= 1, got ",
                      options.replicas);
  const Tensor wide = w.to(DType::f64);
  const std::int64_t stacked = rank * options.replicas;
  Tensor stack({m, stacked}, DType::f64);
  for (int t = 0; t < options.replicas; ++t) {
    const std::vector<std::int64_t> sample = sample_columns(wide, options.columns, rng);
    const Tensor u = columns_of(svd_of(columns_of(wide, sample)).u, first(rank));
    auto* to = stack.write<double>();
    for (std::int64_t i = 0; i < m; ++i) {
      std::copy_n(u.data<double>() + i * rank, rank, to + i * stacked + t * rank);
    }
  }
  Tensor right = product(true, stack, wide);
  auto* entries = right.write<double>();
  for (std::int64_t i = 0; i < right.size(); ++i) entries[i] /= options.replicas;
  if (stacked >= m) return truncate_rank(product(false, stack, right), rank).to(w.dtype());
  Tensor basis = stack.clone();
  Tensor signs({stacked}, DType::f64);
  blas::qr_orthonormal<double>(m, stacked, basis.write<double>(), signs.write<double>());
  const Tensor inner = product(false, product(true, basis, stack), right);
  return product(false, basis, truncated(svd_of(inner), rank)).to(w.dtype());
}

std::vector<double> variance_ratios(const Tensor& a) {
  check("variance_ratios", a);
  Tensor work = a.to(DType::f64).clone();
  std::vector<double> squares(static_cast<std::size_t>(std::min(a.dim(0), a.dim(1))));
  blas::singular_values<double>(a.dim(0), a.dim(1), work.write<double>(), squares.data());
  for (double& value : squares) value *= value;
  std::partial_sum(squares.begin(), squares.end(), squares.begin());
  const double all = squares.back();
  for (double& value : squares) value = all == 0 ? 1 : value / all;
  return squares;
}

}  // namespace isotape
