#include <doctest/doctest.h>
#include <xmmintrin.h>
#include <cfenv>
#include <cmath>
#include <limits>

#include <isotape/apps/verify/arithmetic.hpp>
#include <isotape/apps/verify/failure.hpp>
#include <isotape/apps/verify/radii.hpp>

using namespace isotape::verify;

TEST_SUITE_BEGIN("apps/verify/arithmetic");

TEST_CASE("directed operations: outwards of the exact result") {
  CHECK(add_up(1, 0x1p-60) > 1);
  CHECK(add_down(1, -0x1p-60) < 1);
  CHECK(sub_up(1, -0x1p-60) > 1);
  CHECK(sub_down(1, 0x1p-60) < 1);
  CHECK(mul_up(0x1p-600, 0x1p-600) > 0);
  CHECK(mul_down(0x1p-600, 0x1p-600) < 0x1p-1074);
  CHECK(div_up(1, 3) * 3.0L > 1.0L);
  CHECK(div_down(1, 3) * 3.0L < 1.0L);
  CHECK(sqrt_up(2) * sqrt_up(2) >= 2);
  CHECK(sqrt_down(2) * sqrt_down(2) <= 2);
  CHECK(sqrt_down(-1) == 0);
  CHECK(mul_up(std::numeric_limits<double>::max(), 2) == INFINITY);
  CHECK(mul_down(std::numeric_limits<double>::max(), 2) == std::numeric_limits<double>::max());
  CHECK(mul_up(0, INFINITY) == INFINITY);
  CHECK(sub_down(INFINITY, INFINITY) == -INFINITY);
}

TEST_CASE("gamma_up: of few roundings, and infinite where it means nothing") {
  CHECK(gamma_up(1) >= 0x1p-53);
  CHECK(gamma_up(1) <= 0x1p-53 * (1 + 1e-15));
  CHECK(gamma_up(0x1p22, f32_format) == doctest::Approx(1.0 / 3));
  CHECK(gamma_up(0x1p23, f32_format) == INFINITY);
}

TEST_CASE("check_environment: refuses other rounding and flushed denormals") {
  CHECK_NOTHROW(check_environment());
  for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    std::fesetround(mode);
    CHECK_THROWS_WITH_AS(check_environment(),
                         "arithmetic: expected rounding to nearest, found another mode", Failure);
    std::fesetround(FE_TONEAREST);
  }
  const unsigned before = _mm_getcsr();
  for (const unsigned flush : {0x8000U, 0x0040U}) {
    _mm_setcsr(before | flush);
    CHECK_THROWS_WITH_AS(check_environment(),
                         "arithmetic: expected denormal numbers, found them flushed to zero",
                         Failure);
    _mm_setcsr(before);
  }
}

TEST_CASE("certified_radius: by the least of the margins over what they change") {
  const Slopes plain{1, {}};
  CHECK(certified_radius({3, 1, 0}, 0, 0, 0, plain) == doctest::Approx(std::sqrt(2)));
  CHECK(certified_radius({3, 1, 0}, 0, 0, 0, plain) <= std::sqrt(2.0));
  CHECK(certified_radius({3, 1, 0}, 0, 0.5, 0.5, plain) ==
        doctest::Approx((2 - std::sqrt(2)) / std::sqrt(2)));
  CHECK(certified_radius({3, 1, 0}, 1, 0, 0, plain) == 0);
  CHECK(certified_radius({1, 1, 0}, 0, 0, 0, plain) == 0);
  CHECK(certified_radius({3, 1, 0}, 0, 0, INFINITY, plain) == 0);
  CHECK(certified_radius({NAN, 1, 0}, 0, 0, 0, plain) == 0);
  // The runner-up is 2 away by a pair of norm 4, the other one 3 away by a pair of norm 1.
  const Slopes pairs{10, Head{0.5, {{0, 4, 1}, {4, 0, 1}, {1, 1, 0}}}};
  CHECK(certified_radius({3, 1, 0}, 0, 0, 0, pairs) == doctest::Approx(1));
  // Logits whose rows are equal never meet.
  const Slopes equal{10, Head{0.5, {{0, 0, 0}, {0, 0, 0}, {0, 0, 0}}}};
  CHECK(certified_radius({3, 1, 0}, 0, 0, 0, equal) == INFINITY);
}

TEST_CASE("eps_up: never below the number of the text") {
  CHECK(eps_up("36/255") >= 36.0L / 255);
  CHECK(eps_up("36/255") == doctest::Approx(36.0 / 255));
  CHECK(eps_up("0.1") > 0.1);
  for (const char* text :
       {"", "x", "1/", "/2", "-1", "0", "nan", "inf", "1e400", "1/2/3", "1 ", "0x1"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(eps_up(text), Failure);
  }
}

TEST_SUITE_END();
