#include <doctest/doctest.h>
#include <complex>
#include <cstdint>
#include <vector>

#include <isotape/core/blas_complex.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/flop_count.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/tensor.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/blas_complex");

namespace {

using Complex = std::complex<double>;

std::vector<Complex> normal(std::int64_t size, std::uint64_t seed) {
  Rng rng(seed);
  const Tensor parts = random_normal(rng, {size, 2}, 1, DType::f64);
  std::vector<Complex> values;
  for (std::int64_t i = 0; i < size; ++i) values.emplace_back(parts.at(2 * i), parts.at(2 * i + 1));
  return values;
}

Complex entry(const std::vector<Complex>& a, blas::Op op, std::int64_t i, std::int64_t j,
              std::int64_t row) {
  if (op == blas::Op::none) return a[static_cast<std::size_t>(i * row + j)];
  const Complex swapped = a[static_cast<std::size_t>(j * row + i)];
  return op == blas::Op::adjoint ? std::conj(swapped) : swapped;
}

const double* parts(const std::vector<Complex>& a) {
  return reinterpret_cast<const double*>(a.data());
}
double* parts(std::vector<Complex>& a) { return reinterpret_cast<double*>(a.data()); }

template <class T>
std::vector<T> converted(const std::vector<Complex>& a) {
  return std::vector<T>(parts(a), parts(a) + 2 * a.size());
}

}  // namespace

TEST_CASE("gemm_complex: equals the sum over the inner index for every pair of operations") {
  const std::int64_t m = 5;
  const std::int64_t n = 4;
  const std::int64_t k = 3;
  for (const auto op_a : {blas::Op::none, blas::Op::transpose, blas::Op::adjoint}) {
    for (const auto op_b : {blas::Op::none, blas::Op::transpose, blas::Op::adjoint}) {
      const std::int64_t lda = op_a == blas::Op::none ? k : m;
      const std::int64_t ldb = op_b == blas::Op::none ? n : k;
      const auto a = normal(m * k, 1);
      const auto b = normal(k * n, 2);
      const auto before = normal(m * n, 3);
      auto c = before;
      blas::gemm_complex<double>(op_a, op_b, m, n, k, 2, parts(a), lda, parts(b), ldb, -0.5,
                                 parts(c), n);
      auto single = converted<float>(before);
      blas::gemm_complex<float>(op_a, op_b, m, n, k, 2, converted<float>(a).data(), lda,
                                converted<float>(b).data(), ldb, -0.5F, single.data(), n);
      for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
          const auto at = static_cast<std::size_t>(i * n + j);
          Complex sum = -0.5 * before[at];
          for (std::int64_t l = 0; l < k; ++l) {
            sum += 2.0 * entry(a, op_a, i, l, lda) * entry(b, op_b, l, j, ldb);
          }
          CHECK(std::abs(c[at] - sum) < 1e-13);
          CHECK(std::abs(Complex(single[2 * at], single[2 * at + 1]) - sum) < 1e-5);
        }
      }
    }
  }
}

TEST_CASE("gemm_complex: counts a complex multiplication and addition as eight flops") {
  const auto a = normal(6, 1);
  std::vector<Complex> c(4);
  const FlopCount before = flop_count();
  blas::gemm_complex<double>(blas::Op::none, blas::Op::adjoint, 2, 2, 3, 1, parts(a), 3, parts(a),
                             3, 0, parts(c), 2);
  CHECK((flop_count() - before).f64 == 8 * 2 * 2 * 3);
}

TEST_CASE("inverse_complex: a times its inverse is the identity") {
  const std::int64_t n = 7;
  const auto a = normal(n * n, 5);
  auto factors = a;
  auto inverse = a;
  blas::inverse_complex<double>(n, parts(factors), parts(inverse));
  auto single = converted<float>(a);
  auto single_inverse = single;
  blas::inverse_complex<float>(n, single.data(), single_inverse.data());
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      Complex sum = i == j ? -1 : 0;
      for (std::int64_t l = 0; l < n; ++l) {
        sum += entry(a, blas::Op::none, i, l, n) * entry(inverse, blas::Op::none, l, j, n);
      }
      CHECK(std::abs(sum) < 1e-13);
      const auto at = static_cast<std::size_t>(i * n + j);
      CHECK(std::abs(Complex(single_inverse[2 * at], single_inverse[2 * at + 1]) - inverse[at]) <
            1e-4);
    }
  }
}

TEST_CASE("inverse_complex: names a singular matrix") {
  std::vector<Complex> zero(4);
  std::vector<Complex> inverse(4);
  CHECK_THROWS_WITH_AS(
      blas::inverse_complex<double>(2, parts(zero), parts(inverse)),
      "inverse_complex: expected a regular matrix of order 2, got a zero pivot at 1", NumericError);
}

TEST_SUITE_END();
