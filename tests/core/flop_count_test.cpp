#include <doctest/doctest.h>
#include <functional>
#include <vector>

#include <isotape/core/blas.hpp>
#include <isotape/core/flop_count.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>

using namespace isotape;

namespace {

FlopCount counted(const std::function<void()>& f) {
  const FlopCount before = flop_count();
  f();
  return flop_count() - before;
}

}  // namespace

TEST_SUITE_BEGIN("core/flop_count");

TEST_CASE("flop_count: products count as their multiplications and additions") {
  const std::vector<float> a(6, 1.0F);
  const std::vector<float> b(12, 1.0F);
  std::vector<float> c(16);
  FlopCount count = counted([&] {
    blas::gemm<float>(false, false, 2, 4, 3, 1, a.data(), 3, b.data(), 4, 0, c.data(), 4);
  });
  CHECK(count.f32 == 2 * 2 * 4 * 3);
  CHECK(count.f64 == 0);
  CHECK(count.convolution == 0);
  count = counted([&] { blas::syrk<float>(false, 2, 3, 1, a.data(), 3, 0, c.data(), 2); });
  CHECK(count.f32 == 2 * 3 * 3);
  count = counted([&] { blas::gemv<float>(false, 2, 3, 1, a.data(), 3, b.data(), 0, c.data()); });
  CHECK(count.total() == 2 * 2 * 3);
}

TEST_CASE("flop_count: factorisations count by their leading terms, in their own precision") {
  constexpr std::int64_t n = 6;
  Rng rng(1);
  const Tensor square = random_normal(rng, {n, n}, 1, DType::f64);
  const Tensor tall = random_normal(rng, {2 * n, n}, 1, DType::f64);
  const double cube = n * n * n;
  std::vector<double> values(n);
  Tensor a = square.clone();
  FlopCount count = counted([&] { blas::symmetric_eigen(n, a.write<double>(), values.data()); });
  CHECK(count.f64 == doctest::Approx(14 * cube / 3));
  CHECK(count.f32 == 0);

  a = square.clone();
  std::vector<int> pivots(n);
  count = counted([&] { blas::lu_factor(n, a.write<double>(), pivots.data()); });
  CHECK(count.f64 == doctest::Approx(2 * cube / 3));
  Tensor inverse = square.clone();
  count = counted(
      [&] { blas::lu_inverse(n, a.data<double>(), pivots.data(), inverse.write<double>()); });
  CHECK(count.f64 == doctest::Approx(2 * cube));
  count = counted([&] {
    blas::lu_solve(false, n, 3, a.data<double>(), pivots.data(), inverse.write<double>());
  });
  CHECK(count.f64 == 2 * n * n * 3);

  Tensor identity = Tensor::eye(n, DType::f64);
  count = counted([&] { CHECK(blas::cholesky(n, identity.write<double>())); });
  CHECK(count.f64 == doctest::Approx(cube / 3));
  count = counted([&] { blas::triangular_inverse(n, identity.write<double>()); });
  CHECK(count.f64 == doctest::Approx(cube / 3));
  a = tall.clone();
  count = counted([&] {
    blas::triangular_product(true, false, 2 * n, n, identity.data<double>(), a.write<double>());
  });
  CHECK(count.f64 == 2 * n * n * n);
  count = counted([&] {
    blas::triangular_product(false, true, n, 2, identity.data<double>(), a.write<double>());
  });
  CHECK(count.f64 == n * n * 2);
  a = tall.clone();
  count = counted([&] { blas::qr_orthonormal(2 * n, n, a.write<double>(), values.data()); });
  CHECK(count.f64 == doctest::Approx(8 * cube - 4 * cube / 3));

  // Thin singular values of [12, 6] and of its transpose are the same work.
  for (const bool wide : {false, true}) {
    CAPTURE(wide);
    const std::int64_t rows = wide ? n : 2 * n;
    const std::int64_t columns = wide ? 2 * n : n;
    a = tall.clone();
    Tensor u({rows, n}, DType::f64);
    Tensor vt({n, columns}, DType::f64);
    count = counted([&] {
      blas::svd(rows, columns, a.write<double>(), values.data(), u.write<double>(),
                vt.write<double>());
    });
    CHECK(count.f64 == doctest::Approx(16 * cube + 4 * cube / 3));
    a = tall.clone();
    count =
        counted([&] { blas::singular_values(rows, columns, a.write<double>(), values.data()); });
    CHECK(count.f64 == doctest::Approx(8 * cube - 4 * cube / 3));
  }
}

TEST_CASE("flop_count: no call of any thread is lost") {
  const std::vector<double> a(9, 1.0);
  const FlopCount count = counted([&] {
    parallel_jobs(1000, [&](std::int64_t) {
      std::vector<double> c(9);
      blas::gemm<double>(false, false, 3, 3, 3, 1, a.data(), 3, a.data(), 3, 0, c.data(), 3);
    });
  });
  CHECK(count.f64 == 1000 * 54);
}

TEST_SUITE_END();
