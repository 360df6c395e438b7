#include <isotape/ops/principal_components.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>

namespace isotape {
namespace {

// a less a row, in f64: [n, m].
Tensor less_row(const Tensor& a, const Tensor& row) {
  Tensor to = a.to(DType::f64).clone();
  auto* entries = to.write<double>();
  for (std::int64_t i = 0; i < to.size(); ++i) entries[i] -= row.data<double>()[i % row.size()];
  return to;
}

Tensor mean_row(const Tensor& a) {
  Tensor mean = Tensor::zeros({a.dim(1)}, DType::f64);
  auto* sums = mean.write<double>();
  for (std::int64_t i = 0; i < a.size(); ++i) sums[i % a.dim(1)] += a.at(i);
  for (std::int64_t j = 0; j < a.dim(1); ++j) sums[j] /= static_cast<double>(a.dim(0));
  return mean;
}

}  // namespace

PrincipalComponents principal_components(const Tensor& a, std::int64_t count) {
  require<ShapeError>(a.rank() == 2 && a.size() > 0,
                      "principal_components: expected a matrix [n, m], got ", a.shape());
  require<NumericError>(all_finite(a), "principal_components: expected finite entries");
  const std::int64_t n = a.dim(0);
  const std::int64_t m = a.dim(1);
  const std::int64_t r = std::min(n, m);
  require<ValueError>(1 <= count && count <= r, "principal_components: expected a count in 1..", r,
                      ", got ", count);
  PrincipalComponents found{mean_row(a), Tensor({count, m}, DType::f64), {}};
  Tensor centred = less_row(a, found.mean);
  Tensor u({n, r}, DType::f64);
  Tensor s({r}, DType::f64);
  Tensor vt({r, m}, DType::f64);
  blas::svd<double>(n, m, centred.write<double>(), s.write<double>(), u.write<double>(),
                    vt.write<double>());
  auto* to = found.directions.write<double>();
  for (std::int64_t k = 0; k < count; ++k) {
    const auto* row = vt.data<double>() + k * m;
    const double* largest = std::max_element(
        row, row + m, [](double x, double y) { return std::abs(x) < std::abs(y); });
    const double sign = *largest < 0 ? -1 : 1;
    std::transform(row, row + m, to + k * m, [sign](double x) { return sign * x; });
    found.variances.push_back(s.at(k) * s.at(k) / static_cast<double>(n));
  }
  return found;
}

Tensor PrincipalComponents::coordinates(const Tensor& a) const {
  const std::int64_t m = mean.size();
  require<ShapeError>(a.rank() == 2 && a.dim(1) == m, "principal_components: expected points [n, ",
                      m, "], got ", a.shape());
  const std::int64_t k = directions.dim(0);
  Tensor to({a.dim(0), k}, DType::f64);
  blas::gemm<double>(false, true, a.dim(0), k, m, 1, less_row(a, mean).data<double>(), m,
                     directions.data<double>(), m, 0, to.write<double>(), k);
  return to;
}

Tensor PrincipalComponents::nearest(const Tensor& a) const {
  const Tensor inner = coordinates(a);
  const std::int64_t m = mean.size();
  const std::int64_t k = directions.dim(0);
  Tensor to({a.dim(0), m}, DType::f64);
  auto* entries = to.write<double>();
  for (std::int64_t i = 0; i < to.size(); ++i) entries[i] = mean.data<double>()[i % m];
  blas::gemm<double>(false, false, a.dim(0), m, k, 1, inner.data<double>(), k,
                     directions.data<double>(), m, 1, entries, m);
  return to;
}

}  // namespace isotape
