#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/ops/max_min_kernel.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/max_min_kernel");

namespace {

// Normal deviates, every fifth of them rounded: ties.
template <class T>
std::vector<T> values(Rng& rng, std::int64_t n) {
  const Tensor x = random_normal(rng, {n}, 1, DType::f64);
  std::vector<T> result;
  for (std::int64_t i = 0; i < n; ++i) {
    result.push_back(static_cast<T>(i % 5 == 0 ? std::round(x.at(i)) : x.at(i)));
  }
  return result;
}

template <class T>
void check_against_plain_loop(Rng& rng, const PairRows& p) {
  CAPTURE(p.rows);
  CAPTURE(p.half);
  CAPTURE(p.adjacent);
  const std::int64_t channels = p.channels();
  const auto x = values<T>(rng, p.rows * channels);
  const auto bias = values<T>(rng, channels);
  auto y = x;
  std::vector<std::uint8_t> mask(p.rows * p.mask_bytes(), 0xff);
  sort_pairs(p, x.data(), bias.data(), y.data(), mask.data());
  auto sums = std::vector<T>(channels, T(-1));
  auto back = y;
  swap_pairs(p, y.data(), mask.data(), back.data(), sums.data());

  bool equal = true;
  for (std::int64_t row = 0; row < p.rows; ++row) {
    for (std::int64_t g = 0; g < p.half; ++g) {
      const std::int64_t i = p.adjacent ? 2 * g : g;
      const std::int64_t j = p.adjacent ? 2 * g + 1 : g + p.half;
      const T a = x[row * channels + i] + bias[i];
      const T b = x[row * channels + j] + bias[j];
      const bool swapped = (mask[row * p.mask_bytes() + g / 8] >> (g % 8) & 1) != 0;
      equal = equal && swapped == (b > a);
      equal = equal && y[row * channels + i] == std::max(a, b);
      equal = equal && y[row * channels + j] == std::min(a, b);
      equal = equal && back[row * channels + i] == a && back[row * channels + j] == b;
    }
  }
  CHECK(equal);
  const double eps = std::numeric_limits<T>::epsilon();
  for (std::int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    double size = 1;
    for (std::int64_t row = 0; row < p.rows; ++row) {
      sum += double(back[row * channels + c]);
      size += std::abs(double(back[row * channels + c]));
    }
    CHECK(std::abs(double(sums[c]) - sum) <= static_cast<double>(p.rows) * eps * size);
  }

  // In place, and without what is optional.
  auto in_place = x;
  sort_pairs(p, in_place.data(), bias.data(), in_place.data(), nullptr);
  CHECK(in_place == y);
  swap_pairs(p, in_place.data(), mask.data(), in_place.data(), nullptr);
  CHECK(in_place == back);
  const std::vector<T> zero(channels, T(0));
  auto with_zero = x;
  auto without = x;
  sort_pairs(p, x.data(), zero.data(), with_zero.data(), nullptr);
  sort_pairs(p, x.data(), nullptr, without.data(), nullptr);
  CHECK(without == with_zero);
}

}  // namespace

TEST_CASE("sort_pairs, swap_pairs: agree with a plain loop for every number of channels and rows") {
  Rng rng(1);
  for (const bool adjacent : {false, true}) {
    for (const std::int64_t half : {1, 2, 7, 8, 9, 16, 19, 64, 1500}) {
      for (const std::int64_t rows : {0, 1, 3, 65, 130}) {
        check_against_plain_loop<float>(rng, {rows, half, adjacent});
        check_against_plain_loop<double>(rng, {rows, half, adjacent});
      }
    }
  }
}

TEST_SUITE_END();
