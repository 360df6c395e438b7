#include <doctest/doctest.h>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include <isotape/core/bfloat16.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/tensor.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/bfloat16");

namespace {

float rounded(float x) { return static_cast<float>(BFloat16(x)); }

}  // namespace

TEST_CASE("bfloat16: rounds to the nearest, ties to even") {
  CHECK(rounded(1.0F) == 1.0F);
  CHECK(rounded(-2.5F) == -2.5F);
  CHECK(rounded(1.0F + 0x1p-7F) == 1.0F + 0x1p-7F);
  CHECK(rounded(1.0F + 0x1p-8F) == 1.0F);               // a tie, to the even 1
  CHECK(rounded(1.0F + 0x1.8p-7F) == 1.0F + 0x1p-6F);   // a tie, up to the even one
  CHECK(rounded(1.0F + 0x1.02p-8F) == 1.0F + 0x1p-7F);  // just above a tie
  CHECK(rounded(-(1.0F + 0x1.02p-8F)) == -(1.0F + 0x1p-7F));
}

TEST_CASE("bfloat16: the relative error is at most 2^-8") {
  Rng rng(1);
  const Tensor x = random_normal(rng, {10000});
  for (const float value : x.values<float>()) {
    CHECK(std::abs(rounded(value) - value) <= 0x1p-8F * std::abs(value));
  }
}

TEST_CASE("bfloat16: infinities, zeros and NaN stay what they are; what is too large overflows") {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(rounded(infinity) == infinity);
  CHECK(rounded(-infinity) == -infinity);
  CHECK(rounded(std::numeric_limits<float>::max()) == infinity);
  CHECK(std::signbit(rounded(-0.0F)));
  CHECK(std::isnan(rounded(std::numeric_limits<float>::quiet_NaN())));
  // A payload in the lower half alone would turn into an infinity if it were cut off.
  CHECK(std::isnan(rounded(std::bit_cast<float>(0x7f800001U))));
  CHECK(std::isnan(rounded(std::bit_cast<float>(0xffffffffU))));
}

TEST_CASE("round_to_bf16: equals the conversion of each element, for every length") {
  Rng rng(2);
  for (const std::int64_t n : {0, 1, 7, 15, 16, 17, 100, 1000}) {
    CAPTURE(n);
    const Tensor x = random_normal(rng, {n});
    const Tensor y = x.to(DType::bf16);
    CHECK(y.dtype() == DType::bf16);
    const Tensor back = y.to(DType::f32);
    for (std::int64_t i = 0; i < n; ++i) CHECK(back.at(i) == rounded(x.data<float>()[i]));
  }
}

TEST_CASE("tensor: makes, reads and converts bf16") {
  const Tensor x = Tensor::of({1, -2, 0.5}, {3}, DType::bf16);
  CHECK(x.at(1) == -2);
  CHECK(x.bytes().size() == 6);
  CHECK(Tensor::full({2}, 3, DType::bf16).at(1) == 3);
  CHECK(x.to(DType::f64).data<double>()[2] == 0.5);
  CHECK(Tensor::of({3}, {1}, DType::u8).to(DType::bf16).at(0) == 3);
}

TEST_SUITE_END();
