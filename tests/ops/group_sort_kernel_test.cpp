#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/ops/group_sort_kernel.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/group_sort_kernel");

namespace {

// Normal deviates, every third of them rounded: ties; every hundredth a NaN.
template <class T>
std::vector<T> values(Rng& rng, std::int64_t n) {
  const Tensor x = random_normal(rng, {n}, 1, DType::f64);
  std::vector<T> result;
  for (std::int64_t i = 0; i < n; ++i) {
    const double value = i % 3 == 0 ? std::round(x.at(i)) : x.at(i);
    result.push_back(static_cast<T>(i % 100 == 99 ? std::nan("") : value));
  }
  return result;
}

template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](T x, T y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

template <class T>
struct Sorted {
  std::vector<T> shifted, y;  // x + bias, and its groups sorted
  std::vector<std::uint8_t> sources;
};

template <class T>
Sorted<T> sorted_plainly(const GroupRows& r, const std::vector<T>& x, const std::vector<T>& bias) {
  Sorted<T> s{x, x, std::vector<std::uint8_t>(x.size())};
  for (std::size_t i = 0; i < x.size(); ++i) s.shifted[i] += bias[i % r.channels()];
  for (std::int64_t n = 0; n < r.rows * r.count; ++n) {
    const std::int64_t first = n / r.count * r.channels() + n % r.count * r.group();
    std::vector<std::uint8_t> order;
    for (std::int64_t i = 0; i < r.size; ++i) order.push_back(static_cast<std::uint8_t>(i));
    std::stable_sort(order.begin(), order.end(), [&](int i, int j) {
      const T a = s.shifted[first + i * r.rank()];
      const T b = s.shifted[first + j * r.rank()];
      return a > b || (std::isnan(a) && !std::isnan(b));
    });
    for (std::int64_t i = 0; i < r.size; ++i) {
      s.sources[first + i * r.rank()] = order[i];
      s.y[first + i * r.rank()] = s.shifted[first + order[i] * r.rank()];
    }
  }
  return s;
}

template <class T>
void check_against_plain_loop(Rng& rng, const GroupRows& r) {
  CAPTURE(r.rows);
  CAPTURE(r.size);
  CAPTURE(r.count);
  CAPTURE(r.adjacent);
  const auto x = values<T>(rng, r.rows * r.channels());
  auto bias = values<T>(rng, r.channels());
  for (T& b : bias) b = std::isnan(b) ? T(0) : b;
  const Sorted<T> expected = sorted_plainly(r, x, bias);

  auto y = x;
  std::vector<std::uint8_t> sources(x.size(), 0xff);
  sort_groups(r, x.data(), bias.data(), y.data(), sources.data());
  CHECK(same(y, expected.y));
  CHECK(sources == expected.sources);
  auto back = y;
  unsort_groups(r, y.data(), sources.data(), back.data(), nullptr);
  CHECK(same(back, expected.shifted));

  // In place, and without what is optional.
  auto in_place = x;
  sort_groups(r, in_place.data(), bias.data(), in_place.data(), nullptr);
  CHECK(same(in_place, y));
  unsort_groups(r, in_place.data(), sources.data(), in_place.data(), nullptr);
  CHECK(same(in_place, back));
  const std::vector<T> zero(bias.size(), T(0));
  auto with_zero = x;
  auto without = x;
  sort_groups(r, x.data(), zero.data(), with_zero.data(), nullptr);
  sort_groups(r, x.data(), nullptr, without.data(), nullptr);
  CHECK(same(without, with_zero));
}

template <class T>
void check_sums(Rng& rng, const GroupRows& r) {
  std::vector<T> x;
  const Tensor normal = random_normal(rng, {r.rows * r.channels()}, 1, DType::f64);
  for (std::int64_t i = 0; i < normal.size(); ++i) x.push_back(static_cast<T>(normal.at(i)));
  std::vector<T> y = x;
  std::vector<std::uint8_t> sources(x.size());
  sort_groups(r, x.data(), nullptr, y.data(), sources.data());
  auto sums = std::vector<T>(r.channels(), T(-1));
  unsort_groups(r, y.data(), sources.data(), y.data(), sums.data());
  const double eps = std::numeric_limits<T>::epsilon();
  for (std::int64_t c = 0; c < r.channels(); ++c) {
    double sum = 0;
    double size = 1;
    for (std::int64_t row = 0; row < r.rows; ++row) {
      sum += double(x[row * r.channels() + c]);
      size += std::abs(double(x[row * r.channels() + c]));
    }
    CHECK(std::abs(double(sums[c]) - sum) <= static_cast<double>(r.rows) * eps * size);
  }
}

}  // namespace

TEST_CASE("sort_groups, unsort_groups: agree with std::stable_sort for every size and count") {
  Rng rng(1);
  for (const bool adjacent : {false, true}) {
    for (const std::int64_t size : {1, 2, 3, 4, 5, 8, 16}) {
      for (const std::int64_t count : {1, 7, 8, 9, 24, 300}) {
        for (const std::int64_t rows : {0, 1, 65}) {
          check_against_plain_loop<float>(rng, {rows, size, count, adjacent});
          check_against_plain_loop<double>(rng, {rows, size, count, adjacent});
        }
      }
    }
  }
}

TEST_CASE("unsort_groups: sums the rows of what it wrote") {
  Rng rng(2);
  for (const bool adjacent : {false, true}) {
    for (const std::int64_t size : {1, 4, 5, 16}) {
      for (const std::int64_t count : {3, 8, 19}) {
        check_sums<float>(rng, {130, size, count, adjacent});
        check_sums<double>(rng, {130, size, count, adjacent});
      }
    }
  }
}

TEST_SUITE_END();
