#include <isotape/layers/null_space.hpp>

#include <algorithm>
#include <vector>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

struct Svd {
  Tensor u;  // [m, r]
  std::vector<double> s;
  Tensor vt;  // [r, n]
};

Svd svd(const Tensor& w) {
  const std::int64_t m = w.dim(0);
  const std::int64_t n = w.dim(1);
  const std::int64_t r = std::min(m, n);
  Tensor copy = w.clone();
  Svd result{Tensor({m, r}, DType::f64), std::vector<double>(static_cast<std::size_t>(r)),
             Tensor({r, n}, DType::f64)};
  blas::svd(m, n, copy.write<double>(), result.s.data(), result.u.write<double>(),
            result.vt.write<double>());
  return result;
}

// x minus its component in the span of q's orthonormal columns.
Var without(const Var& x, const Var& q) {
  return sub(x, matmul(q, matmul(q, x, {.trans_a = true})));
}

}  // namespace

Tensor complete_rank(const Tensor& w, double sigma, Rng& rng, double tolerance) {
  require<NumericError>(all_finite(w), "complete_rank: expected finite entries");
  const Svd parts = svd(w);
  const double cut = tolerance * parts.s.front();
  const std::int64_t rank =
      std::count_if(parts.s.begin(), parts.s.end(), [&](double s) { return s > cut; });
  const auto full = static_cast<std::int64_t>(parts.s.size());
  if (rank == full) return w;

  // A random matrix seen only by the complements of range and co-range; the polar factor of what is
  // left spans them.
  const Var u = slice(parts.u, 1, 0, rank);
  const Var v = transpose(slice(parts.vt, 0, 0, rank));
  const Tensor random = random_normal(rng, w.shape(), 1, DType::f64);
  const Var rest = transpose(without(transpose(without(random, u)), v));
  const Svd complement = svd(rest.value());
  const Var basis =
      matmul(slice(complement.u, 1, 0, full - rank), slice(complement.vt, 0, 0, full - rank));
  return add(w, scale(basis, sigma)).value();
}

}  // namespace isotape
