#include <doctest/doctest.h>
#include <cmath>
#include <complex>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/matmul_complex.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/matmul_complex");

namespace {

Tensor normal(const Shape& shape, std::uint64_t seed) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, DType::f64);
}

std::complex<double> entry(const Tensor& a, std::int64_t f, std::int64_t i, std::int64_t j) {
  const std::int64_t at = 2 * ((f * a.dim(1) + i) * a.dim(2) + j);
  return {a.at(at), a.at(at + 1)};
}

struct Case {
  Shape a, b;
  bool adjoint;
};
const Case cases[] = {{{1, 1, 1, 2}, {1, 1, 1, 2}, false},
                      {{2, 3, 4, 2}, {2, 4, 2, 2}, false},
                      {{2, 3, 4, 2}, {2, 2, 4, 2}, true},
                      {{3, 1, 2, 2}, {3, 2, 5, 2}, false},
                      {{3, 4, 1, 2}, {3, 3, 1, 2}, true}};

}  // namespace

TEST_CASE("matmul_complex: the sum over the inner index, in f64 and f32") {
  for (const Case& c : cases) {
    CAPTURE(c.a);
    const bool adjoint = c.adjoint;
    const Tensor a = normal(c.a, 1);
    const Tensor b = normal(c.b, 2);
    const Tensor y = matmul_complex(a, b, adjoint).value();
    for (std::int64_t f = 0; f < y.dim(0); ++f) {
      for (std::int64_t i = 0; i < y.dim(1); ++i) {
        for (std::int64_t j = 0; j < y.dim(2); ++j) {
          std::complex<double> sum = 0;
          for (std::int64_t k = 0; k < a.dim(2); ++k) {
            sum += entry(a, f, i, k) * (adjoint ? std::conj(entry(b, f, j, k)) : entry(b, f, k, j));
          }
          CHECK(std::abs(entry(y, f, i, j) - sum) < 1e-14);
        }
      }
    }
    const Tensor single = matmul_complex(a.to(DType::f32), b.to(DType::f32), adjoint).value();
    CHECK(max_abs_diff(single.to(DType::f64), y) < 1e-5);
  }
}

TEST_CASE("matmul_complex: vjp and jvp match finite differences in both operands") {
  for (const Case& c : cases) {
    CAPTURE(c.a);
    const bool adjoint = c.adjoint;
    const auto f = [adjoint](const Vars& in) { return matmul_complex(in[0], in[1], adjoint); };
    CHECK(gradcheck("matmul_complex", f, {normal(c.a, 3), normal(c.b, 4)}));
  }
}

TEST_CASE("matmul_complex: an empty inner extent gives zeros; same bits on many threads") {
  const Tensor zero = matmul_complex(Tensor({2, 3, 0, 2}), Tensor({2, 0, 2, 2})).value();
  CHECK(zero.shape() == Shape{2, 3, 2, 2});
  CHECK(max_abs(zero) == 0);
  const Tensor a = normal({9, 40, 30, 2}, 5);
  const Tensor b = normal({9, 30, 20, 2}, 6);
  const int threads = num_threads();
  set_num_threads(1);
  const Tensor one = matmul_complex(a, b).value();
  set_num_threads(2);
  CHECK(max_abs_diff(matmul_complex(a, b).value(), one) == 0);
  set_num_threads(threads);
}

TEST_CASE("matmul_complex: rejects operands that do not fit") {
  CHECK_THROWS_WITH_AS(matmul_complex(Tensor({1, 2, 3, 2}), Tensor({1, 2, 4, 2})),
                       "matmul_complex: expected a [F, m, k, 2] and b [F, k, n, 2] of one type, "
                       "got [1, 2, 3, 2] of f32 and [1, 2, 4, 2] of f32",
                       ShapeError);
  CHECK_THROWS_WITH_AS(matmul_complex(Tensor({1, 2, 3, 2}), Tensor({2, 4, 3, 2}), true),
                       "matmul_complex: expected a [F, m, k, 2] and b [F, n, k, 2] of one type, "
                       "got [1, 2, 3, 2] of f32 and [2, 4, 3, 2] of f32",
                       ShapeError);
}

TEST_SUITE_END();
