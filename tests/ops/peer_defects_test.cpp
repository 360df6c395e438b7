// What went wrong in the functions of other libraries, each by what goes wrong.
//
//   OG  orthogonium 0.0.4 (d54ed63)            TL  deel-torchlip 1.0.5 (a477697)
//   LB  LBDN (d81ed68)                         LC  LConvNet (abc14e1)
//   BR  BRONet (9d59c9b)                       GL  gloro (f04fd23)

#include <doctest/doctest.h>
#include <cmath>
#include <numbers>

#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/bjorck.hpp>
#include <isotape/ops/block_reflector.hpp>
#include <isotape/ops/fourier.hpp>
#include <isotape/ops/householder.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/max_min.hpp>
#include <isotape/ops/normalize.hpp>
#include <isotape/ops/spectral.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/peer_defects");

namespace {

Tensor normal(std::uint64_t seed, const Shape& shape, DType dtype = DType::f64) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, dtype);
}

// A square matrix whose singular values fall from 1 to 1 / kappa.
Tensor conditioned(std::int64_t n, double kappa) {
  Rng rng(3);
  Tensor left = random_orthogonal(rng, {n, n}, 1, DType::f64);
  for (std::int64_t i = 0; i < n * n; ++i) {
    left.write<double>()[i] *= std::pow(kappa, -static_cast<double>(i % n) / double(n - 1));
  }
  return matmul(left, random_orthogonal(rng, {n, n}, 1, DType::f64)).value();
}

}  // namespace

// TL's and deel-lip's MaxMin is cat(relu(x), relu(-x)).
TEST_CASE("MaxMin doubles the channels") {
  const Tensor x = normal(1, {5, 6});
  const Tensor y = max_min(x).value();
  CHECK(y.shape() == x.shape());
  for (std::int64_t i = 0; i < 5; ++i) {
    for (std::int64_t j = 0; j < 3; ++j) {
      CHECK(y.at(6 * i + j) == std::max(x.at(6 * i + j), x.at(6 * i + j + 3)));
      CHECK(y.at(6 * i + j + 3) == std::min(x.at(6 * i + j), x.at(6 * i + j + 3)));
    }
  }
}

// OG divides its Householder activations by sqrt(2): ten of them lose a factor of 32.
TEST_CASE("a Householder activation loses a factor sqrt 2") {
  const Tensor x = normal(2, {7, 8});
  Var one = x;
  Var two = x;
  for (std::uint64_t layer = 0; layer < 10; ++layer) {
    one = householder(one, normal(10 + layer, {4}));
    two = householder2(two, normal(30 + layer, {3, 4}));
  }
  CHECK(frobenius_norm(one.value()) == doctest::Approx(frobenius_norm(x)).epsilon(1e-13));
  CHECK(frobenius_norm(two.value()) == doctest::Approx(frobenius_norm(x)).epsilon(1e-13));
}

// TL leaves the cubic term out of the gradient after its fourth step: at kappa 10 the gradient is
// 9.8 times as long and 31 degrees off.
TEST_CASE("the gradient of a polar factor is wrong by its condition") {
  const Tensor dy = normal(4, {12, 12});
  const Tensor direction = normal(5, {12, 12});
  for (const double kappa : {1.05, 1.5, 3.0, 10.0, 30.0}) {
    CAPTURE(kappa);
    const Tensor w = conditioned(12, kappa);
    Tape tape;
    const Var leaf = tape.leaf(w);
    tape.backward(bjorck(leaf), dy.clone());
    const auto at = [&](double step) {
      Tensor moved = w.clone();
      add_in_place(moved, direction, step);
      return dot(dy, bjorck(moved).value());
    };
    constexpr double h = 1e-6;
    CHECK(dot(leaf.grad(), direction) == doctest::Approx((at(h) - at(-h)) / (2 * h)).epsilon(1e-6));
  }
}

// BR adds a regulariser to the Gram matrix: the norm of its trained layers is 0.998.
TEST_CASE("a block reflector is damped below norm 1") {
  const Tensor y = block_reflector(normal(6, {32, 8}, DType::f32)).value();
  const auto sigma = singular_values(y);
  CHECK(std::abs(sigma.front() - 1) <= 1e-6);
  CHECK(std::abs(sigma.back() - 1) <= 1e-6);
}

// LB inverts the real transform without its size: an odd image comes back one column narrower.
TEST_CASE("an odd image loses a column in the Fourier transform") {
  for (const auto& [height, width] : {std::pair{5, 7}, std::pair{6, 5}, std::pair{1, 3}}) {
    const Tensor x = normal(7, {2, height, width, 3});
    const Tensor back = inverse_fourier(fourier(x), height, width).value();
    CHECK(back.shape() == x.shape());
    CHECK(max_abs_diff(back, x) <= 1e-13);
  }
}

// LC's prescaling of a batch of matrices takes one norm for all of them.
TEST_CASE("matrices of a batch are scaled by each other's norm") {
  const Tensor w = normal(8, {3, 6, 4});
  Tensor uneven = w.clone();
  for (std::int64_t i = 0; i < 24; ++i) uneven.write<double>()[i] *= 1e6;
  for (std::int64_t i = 48; i < 72; ++i) uneven.write<double>()[i] *= 1e-6;
  BjorckReport report;
  CHECK(max_abs_diff(bjorck(uneven, {}, &report).value(), bjorck(w).value()) <= 1e-12);
  CHECK(report.converged);
  const BjorckOptions steps{.path = BjorckPath::fast, .iterations = 25};
  CHECK(max_abs_diff(bjorck(uneven, steps).value(), bjorck(w, steps).value()) <= 1e-12);
}

// GL adds a constant to the norms it divides by (its issue 8): norms of tiny weights come out low.
TEST_CASE("a constant in a denominator makes the norm of tiny weights too small") {
  const Tensor w = normal(9, {8, 5});
  Tensor tiny = w.clone();
  for (std::int64_t i = 0; i < w.size(); ++i) tiny.write<double>()[i] *= 1e-30;
  Rng one(1);
  Rng two(1);
  const double norm = spectral_norm(w, 200, one).sigma;
  CHECK(spectral_norm(tiny, 200, two).sigma == doctest::Approx(1e-30 * norm).epsilon(1e-12));
  CHECK(max_abs_diff(unit_rows(tiny).value(), unit_rows(w).value()) <= 1e-14);
  CHECK(frobenius_norm(unit_frobenius(tiny).value()) == doctest::Approx(1).epsilon(1e-14));
}

// Rows of unit length are not a matrix of norm 1, as an issue of the SLL repository shows for LB's
// last layer (1.8 measured): what a margin may be divided by is |w_i - w_j|.
TEST_CASE("a last layer of unit rows passes for 1-Lipschitz") {
  Tensor w = Tensor::full({10, 4}, 1, DType::f64);
  w.write<double>()[0] = 1.5;
  CHECK(singular_values(unit_rows(w).value()).front() > 3);
}

TEST_SUITE_END();
