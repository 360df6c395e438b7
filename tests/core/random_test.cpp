#include <doctest/doctest.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/random");

namespace {

using Block = std::array<std::uint32_t, 4>;

std::vector<std::uint32_t> draws(Rng rng, int n) {
  std::vector<std::uint32_t> result(static_cast<std::size_t>(n));
  for (std::uint32_t& word : result) word = rng.next();
  return result;
}

// Correlation of two sequences of uniform draws.
double correlation(Rng a, Rng b, int n) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += (a.uniform() - 0.5) * (b.uniform() - 0.5);
  return 12 * sum / n;
}

}  // namespace

// [Salmon 2011], the known answers that their library Random123 is tested with.
TEST_CASE("philox: gives the published vectors") {
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr std::uint32_t ones = 0xffffffff;
  CHECK(philox({ones, ones, ones, ones}, {ones, ones}) ==
        Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("rng: the seed is the key, and draws are the words of successive blocks") {
  const Block first = philox({0, 0, 0, 0}, {0x9abcdef0, 0x12345678});
  const Block second = philox({1, 0, 0, 0}, {0x9abcdef0, 0x12345678});
  std::vector<std::uint32_t> words(first.begin(), first.end());
  words.insert(words.end(), second.begin(), second.end());
  CHECK(draws(Rng(0x123456789abcdef0), 8) == words);
}

TEST_CASE("rng: continues from its state") {
  Rng rng(5);
  for (int i = 0; i < 7; ++i) rng.next();
  CHECK(rng.state() == Rng::State{5, 7});
  const Rng resumed(rng.state());
  CHECK(draws(resumed, 9) == draws(rng, 9));
}

TEST_CASE("rng: a stream depends on key and name, not on the position") {
  Rng rng(5);
  const auto before = draws(rng.stream("init"), 8);
  rng.next();
  CHECK(draws(rng.stream("init"), 8) == before);
  CHECK(draws(Rng(6).stream("init"), 8) != before);
  CHECK(draws(rng.stream("shuffle"), 8) != before);
  CHECK(draws(rng, 8) != before);
  CHECK(draws(rng.stream(std::uint64_t{0}), 8) != draws(rng.stream(std::uint64_t{1}), 8));
}

TEST_CASE("rng: streams are uncorrelated with each other and with their parent") {
  const Rng rng(11);
  const int n = 100000;
  const double bound = 5 / std::sqrt(double(n));  // five deviations
  CHECK(std::abs(correlation(rng, rng.stream("a"), n)) < bound);
  CHECK(std::abs(correlation(rng.stream("a"), rng.stream("b"), n)) < bound);
  CHECK(std::abs(correlation(Rng(0), Rng(1), n)) < bound);
  for (std::uint64_t i = 0; i < 4; ++i) {
    CHECK(std::abs(correlation(rng.stream(i), rng.stream(i + 1), n)) < bound);
  }
}

TEST_CASE("rng: streams by number do not collide, not even over several parents") {
  std::set<std::uint64_t> keys;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    for (std::uint64_t i = 0; i < 200; ++i) keys.insert(Rng(seed).stream(i).state().key);
  }
  CHECK(keys.size() == 50 * 200);
}

TEST_CASE("uniform: lies in [0, 1) with the moments and the tenths of its distribution") {
  Rng rng(1);
  const int n = 200000;
  std::array<int, 10> tenths{};
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < n; ++i) {
    const double u = rng.uniform();
    REQUIRE((0 <= u && u < 1));
    ++tenths.at(static_cast<std::size_t>(10 * u));
    sum += u;
    squares += u * u;
  }
  CHECK(sum / n == doctest::Approx(0.5).epsilon(0.005));
  CHECK(squares / n == doctest::Approx(1.0 / 3).epsilon(0.01));
  double chi = 0;
  for (const int count : tenths) chi += (count - n / 10.0) * (count - n / 10.0) / (n / 10.0);
  CHECK(chi < 27.9);  // 9 degrees of freedom, one in a thousand
}

TEST_CASE("normal: has the moments of its distribution") {
  Rng rng(2);
  const int n = 200000;
  std::array<double, 5> moments{};
  for (int i = 0; i < n; ++i) {
    const double z = rng.normal();
    for (std::size_t k = 1; k < moments.size(); ++k) moments.at(k) += std::pow(z, double(k)) / n;
  }
  CHECK(std::abs(moments[1]) < 0.012);
  CHECK(std::abs(moments[2] - 1) < 0.016);
  CHECK(std::abs(moments[3]) < 0.05);
  CHECK(std::abs(moments[4] - 3) < 0.12);
}

TEST_CASE("below: is uniform, also where 2^64 is no multiple of n") {
  Rng rng(3);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70000; ++i) ++counts.at(rng.below(7));
  for (const int count : counts) CHECK(std::abs(count - 10000) < 500);
  // Two thirds of the range: with the bias of a plain remainder the lower third comes twice as
  // often.
  const std::uint64_t n = 0xAAAAAAAAAAAAAAABU;
  int low = 0;
  for (int i = 0; i < 30000; ++i) low += rng.below(n) < n / 2 ? 1 : 0;
  CHECK(std::abs(low - 15000) < 450);
  CHECK(rng.below(1) == 0);
  CHECK_THROWS_WITH_AS(rng.below(0), "below: expected n >= 1, got 0", ValueError);
}

TEST_CASE("permutation: holds each number once, and all orders come equally often") {
  Rng rng(4);
  std::vector<std::int64_t> order = rng.permutation(1000);
  CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (std::int64_t i = 0; i < 1000; ++i) REQUIRE(order[static_cast<std::size_t>(i)] == i);
  CHECK(rng.permutation(0).empty());
  CHECK(rng.permutation(1) == std::vector<std::int64_t>{0});

  std::array<int, 6> counts{};
  for (int i = 0; i < 60000; ++i) {
    const auto p = rng.permutation(3);
    ++counts.at(static_cast<std::size_t>(2 * p[0] + (p[1] > p[2] ? 1 : 0)));
  }
  for (const int count : counts) CHECK(std::abs(count - 10000) < 500);
}

TEST_CASE("random tensors: ranges, deviations, and the same values in both types") {
  Rng rng(6);
  const Tensor u = random_uniform(rng, {100, 50}, -3, 1, DType::f64);
  for (const double value : u.values<double>()) REQUIRE((-3 <= value && value < 1));
  CHECK(dot(u, Tensor::full(u.shape(), 1, DType::f64)) / 5000 == doctest::Approx(-1).epsilon(0.05));
  const Tensor z = random_normal(rng, {100, 50}, 3, DType::f64);
  CHECK(frobenius_norm(z) / std::sqrt(5000) == doctest::Approx(3).epsilon(0.05));
  Rng first(8);
  Rng second(8);
  const Tensor wide = random_normal(first, {5}, 1, DType::f64);
  CHECK(max_abs_diff(wide.to(DType::f32), random_normal(second, {5}, 1, DType::f32)) == 0);
}

TEST_CASE("random_orthogonal: every matrix of a batch is orthonormal, and no two are equal") {
  Rng rng(7);
  for (const Shape& shape : {Shape{6, 6}, Shape{7, 3}, Shape{3, 7}, Shape{1, 5}, Shape{5, 1}}) {
    CAPTURE(shape);
    for (const double sigma : singular_values(random_orthogonal(rng, shape, 2, DType::f64))) {
      CHECK(sigma == doctest::Approx(2).epsilon(1e-13));
    }
  }
  const Tensor batch = random_orthogonal(rng, {3, 4, 2}, 1, DType::f64);
  for (std::int64_t b = 0; b < 3; ++b) {
    const Tensor matrix = batch.rows(b, b + 1).reshaped({4, 2});
    for (const double sigma : singular_values(matrix)) CHECK(sigma == doctest::Approx(1));
  }
  CHECK(max_abs_diff(batch.rows(0, 1), batch.rows(1, 2)) > 0.01);
  CHECK_THROWS_WITH_AS(random_orthogonal(rng, {4}),
                       "random_orthogonal: expected shape [m, n] or [b, m, n], got [4]",
                       ShapeError);
}

// Without the signs of R the diagonal of Q would have one sign, and Q no Haar distribution.
TEST_CASE(
    "random_orthogonal: entries have mean 0 and variance 1/n, rotations and mirrors balance") {
  Rng rng(9);
  const int n = 4000;
  double diagonal = 0;
  double square = 0;
  int rotations = 0;
  for (int i = 0; i < n; ++i) {
    const Tensor q = random_orthogonal(rng, {2, 2}, 1, DType::f64);
    diagonal += q.at(0);
    square += q.at(0) * q.at(0);
    rotations += q.at(0) * q.at(3) > q.at(1) * q.at(2) ? 1 : 0;
  }
  CHECK(std::abs(diagonal / n) < 0.06);
  CHECK(square / n == doctest::Approx(0.5).epsilon(0.05));
  CHECK(std::abs(rotations - n / 2) < 160);
}

TEST_SUITE_END();
