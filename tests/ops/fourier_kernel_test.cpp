#include <doctest/doctest.h>
#include <cmath>
#include <vector>

#include <isotape/ops/fourier_kernel.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/fourier_kernel");

namespace {

// n values that differ, from a place that is not aligned.
template <class T>
std::vector<T> values(std::int64_t n, double start) {
  std::vector<T> v;
  for (std::int64_t i = 0; i < n; ++i) v.push_back(static_cast<T>(std::sin(start + double(i))));
  return v;
}

template <class T>
void check(std::int64_t n) {
  const auto size = static_cast<std::size_t>(n);
  const auto pr = values<T>(n, 1);
  const auto ps = values<T>(n, 2);
  const auto qr = values<T>(n, 3);
  const auto qs = values<T>(n, 4);
  std::vector<T> sum(size);
  std::vector<T> difference(size);
  sum_and_difference(n, pr.data(), ps.data(), sum.data(), difference.data());
  std::vector<T> a(2 * size);
  std::vector<T> b(2 * size);
  join_frequencies(n, pr.data(), ps.data(), qr.data(), qs.data(), a.data(), b.data());
  std::vector<T> back[4] = {pr, ps, qr, qs};
  split_frequencies(n, a.data(), b.data(), back[0].data(), back[1].data(), back[2].data(),
                    back[3].data());
  for (std::size_t i = 0; i < size; ++i) {
    CHECK(sum[i] == pr[i] + ps[i]);
    CHECK(difference[i] == pr[i] - ps[i]);
    CHECK(a[2 * i] == pr[i] - qs[i]);
    CHECK(a[2 * i + 1] == -(ps[i] + qr[i]));
    CHECK(b[2 * i] == pr[i] + qs[i]);
    CHECK(b[2 * i + 1] == qr[i] - ps[i]);
    // The transpose of what doubles every entry's square.
    CHECK(double(back[0][i]) == doctest::Approx(2 * double(pr[i])));
    CHECK(double(back[1][i]) == doctest::Approx(2 * double(ps[i])));
    CHECK(double(back[2][i]) == doctest::Approx(2 * double(qr[i])));
    CHECK(double(back[3][i]) == doctest::Approx(2 * double(qs[i])));
  }
}

}  // namespace

TEST_CASE("fourier_kernel: sums, joined and split frequencies, for whole vectors and rests") {
  for (const std::int64_t n : {0, 1, 7, 8, 9, 16, 29}) {
    CAPTURE(n);
    check<float>(n);
    check<double>(n);
  }
}

TEST_SUITE_END();
