#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/spectral_bound.hpp>

#include "support/exact_svd.hpp"

using namespace isotape;

namespace {

// Random small operators: Gaussian, of few entries, nearly rank deficient, orthonormal, graded.
Tensor random_operator(Rng& rng, double scale) {
  const auto m = static_cast<std::int64_t>(1 + rng.below(7));
  const auto n = static_cast<std::int64_t>(1 + rng.below(7));
  const DType dtype = rng.below(2) == 0 ? DType::f32 : DType::f64;
  const auto kind = rng.below(5);
  if (kind == 3) return random_orthogonal(rng, {m, n}, scale, DType::f64).to(dtype);
  Tensor w = random_normal(rng, {m, n}, scale, DType::f64);
  auto* entries = w.write<double>();
  for (std::int64_t i = 0; i < w.size(); ++i) {
    if (kind == 1 && rng.below(3) != 0) entries[i] = 0;
    if (kind == 2) entries[i] = scale * (1 + 1e-9 * rng.uniform());
    if (kind == 4) entries[i] *= std::exp2(-static_cast<double>(4 * (i % n)));
  }
  return w.to(dtype);
}

void check_contains(const Tensor& w) {
  const std::vector<Exact> exact = exact_singular_values(w);
  const Enclosure proved = singular_value_enclosure(w);
  CAPTURE(w.shape());
  CAPTURE(w.dtype());
  CAPTURE(max_abs(w));
  CHECK(proved.upper >= exact.front());
  CHECK(proved.lower <= exact.back());
  // A residual about c widens by what the spectrum spreads; otherwise the square of either end is
  // right to a few u of the square of the norm.
  const Exact spread = exact.front() - exact.back();
  const Exact slack = spread < exact.front() / 500 ? 2 * spread : Exact(0);
  CHECK(proved.upper <= exact.front() * (1 + Exact(1e-12)) + slack);
  CHECK(proved.lower * Exact(proved.lower) >=
        exact.back() * exact.back() - (Exact(1e-13) * exact.front() + 2 * slack) * exact.front());
  for (const auto bound : {frobenius_bound, row_column_bound, gram_bound, near_isometry_bound}) {
    CHECK(bound(w) >= exact.front());
  }
}

void run(std::uint64_t seed, int trials) {
  Rng rng(seed);
  for (int trial = 0; trial < trials; ++trial) {
    const double scale = std::pow(10.0, 60 * rng.uniform() - 30);
    check_contains(random_operator(rng, scale));
  }
}

// The orthogonal factor that a layer holds: polar, rounded to f32.
Tensor rounded_orthogonal(std::int64_t m, std::int64_t n, std::uint64_t seed) {
  Rng rng(seed);
  return random_orthogonal(rng, {m, n}, 1, DType::f64).to(DType::f32);
}

}  // namespace

TEST_SUITE_BEGIN("ops/singular_value_enclosure");

TEST_CASE(
    "singular_value_enclosure: holds the singular values of 100 digits, scales 1e-30 to 1e30") {
  run(21, 300);
}

TEST_CASE("singular_value_enclosure: holds those of larger matrices, within 1e-12") {
  Rng rng(5);
  for (const auto& [m, n] : {std::pair{64, 64}, {100, 30}, {31, 120}, {128, 127}}) {
    const Tensor w = random_normal(rng, {m, n}, 1, DType::f32);
    const std::vector<double> sigma = singular_values(w);
    const Enclosure proved = singular_value_enclosure(w);
    CHECK(proved.upper >= sigma.front() * (1 - 1e-13));
    CHECK(proved.lower <= sigma.back() * (1 + 1e-10));
    CHECK(proved.upper <= sigma.front() * (1 + 1e-11));
    CHECK(proved.lower * proved.lower >=
          sigma.back() * sigma.back() - 1e-11 * sigma.front() * sigma.front());
  }
}

TEST_CASE("singular_value_enclosure: within 1e-6 for an orthogonal weight rounded to f32") {
  for (const auto& [m, n] : {std::pair{64, 64}, {200, 96}, {96, 256}}) {
    const Tensor w = rounded_orthogonal(m, n, 3);
    const std::vector<double> sigma = singular_values(w);
    const Enclosure proved = singular_value_enclosure(w);
    CHECK(proved.upper >= sigma.front());
    CHECK(proved.lower <= sigma.back());
    CHECK(proved.upper - proved.lower <= 1e-6);
  }
}

TEST_CASE("singular_value_enclosure: one ulp of one entry is seen") {
  // 1 is exact, the next f32 above it is not 1: the norm of the diagonal matrix moves with it.
  Tensor w = Tensor::of({1, 0, 0, 1}, {2, 2}, DType::f32);
  CHECK(singular_value_enclosure(w).upper < 1 + 1e-14);
  w.write<float>()[3] = std::nextafter(1.0F, 2.0F);
  CHECK(singular_value_enclosure(w).upper >= 1 + 0x1p-23);
  w.write<float>()[3] = std::nextafter(1.0F, 0.0F);
  CHECK(singular_value_enclosure(w).lower <= 1 - 0x1p-24);
}

TEST_CASE("singular_value_enclosure: a singular value pushed to 1 + 1e-6 is seen at every size") {
  for (const std::int64_t n : {8, 64, 200}) {
    Tensor w = rounded_orthogonal(n, n, 9).to(DType::f64);
    // w (I + 1e-6 e e^T), e the first unit vector: the first column grows.
    for (std::int64_t i = 0; i < n; ++i) w.write<double>()[i * n] *= 1 + 1e-6;
    CHECK(singular_value_enclosure(w).upper >= singular_values(w).front());
    CHECK(singular_value_enclosure(w).upper >= 1 + 9e-7);
  }
}

TEST_CASE("singular_value_enclosure: subnormal entries, empty matrices, zeros") {
  constexpr double least = std::numeric_limits<double>::denorm_min();
  for (const double entry : {least, 3 * least, 1e-310, 0x1p-1022, 1e-200, 1e-45}) {
    const Tensor w = Tensor::of({entry, 0, 0, 0, entry, 0}, {2, 3}, DType::f64);
    CHECK(singular_value_enclosure(w).upper >= entry);
    CHECK(singular_value_enclosure(w).lower <= entry);
    const Tensor full = Tensor::full({3, 2}, entry, DType::f64);
    CHECK(singular_value_enclosure(full).upper >= std::sqrt(6.0L) * entry);
  }
  const Tensor subnormal_f32 = Tensor::full({2, 2}, 1e-45, DType::f32);
  CHECK(singular_value_enclosure(subnormal_f32).upper >= 2 * static_cast<double>(1e-45F));
  for (const Shape& shape : {Shape{0, 5}, {5, 0}, {0, 0}}) {
    CHECK(singular_value_enclosure(Tensor(shape, DType::f32)).upper == 0);
    CHECK(singular_value_enclosure(Tensor(shape, DType::f32)).lower == 0);
  }
  CHECK(singular_value_enclosure(Tensor::zeros({3, 4})).upper == 0);
}

TEST_CASE("singular_value_enclosure: what is no number has no bound") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  Tensor w = rounded_orthogonal(5, 4, 1);
  w.write<float>()[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(singular_value_enclosure(w).upper));
  CHECK(singular_value_enclosure(w).lower == 0);
  w.write<float>()[7] = std::numeric_limits<float>::infinity();
  CHECK(singular_value_enclosure(w).upper == infinity);
  CHECK(singular_value_enclosure(w).lower == 0);
  const Tensor huge = Tensor::full({2, 2}, 1.7e308, DType::f64);
  CHECK(singular_value_enclosure(huge).upper == infinity);
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("slow/singular_value_enclosure");

TEST_CASE("singular_value_enclosure: holds those of 5000 operators of 100 digits") {
  run(22, 5000);
}

TEST_CASE("singular_value_enclosure: at most 1e-5 wide for orthogonal weights up to 1024") {
  for (const auto& [m, n] : {std::pair{512, 512}, {1024, 1024}, {1024, 300}, {100, 1568}}) {
    const Tensor w = rounded_orthogonal(m, n, 4);
    const std::vector<double> sigma = singular_values(w);
    const Enclosure proved = singular_value_enclosure(w);
    CHECK(proved.upper >= sigma.front());
    CHECK(proved.lower <= sigma.back());
    CHECK(proved.upper - proved.lower <= 1e-5);
    MESSAGE(m, " x ", n, ": [1 - ", 1 - proved.lower, ", 1 + ", proved.upper - 1, "]");
  }
}

TEST_SUITE_END();
