#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <random>

#include <isotape/apps/verify/failure.hpp>
#include <isotape/apps/verify/forward.hpp>
#include <isotape/apps/verify/rounding.hpp>
#include <isotape/core/blas.hpp>
#include <isotape/layers/fourier_conv.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/verify/frequencies");

namespace {

using Numbers = std::vector<double>;

std::vector<float> normal(std::int64_t count, double scale, std::mt19937& random) {
  std::normal_distribution<double> distribution;
  std::vector<float> numbers(count);
  for (float& number : numbers) number = static_cast<float>(scale * distribution(random));
  return numbers;
}

// Matrices of no symmetry, of 2 to 3 channels, on images of h x w.
struct Example {
  verify::Extents in;
  verify::WeightsFile weights;
  verify::Chain chain;
  verify::Network network;

  Example(std::int64_t h, std::int64_t w, std::mt19937& random) : in{h, w, 2, false} {
    const std::int64_t f = (h / 2 + 1) * w;
    weights.tensors["w"] = {{f, 2, 3, 2}, normal(12 * f, 0.3, random)};
    chain.resize(1);
    chain[0].name = chain[0].op = "frequencies";
    chain[0].weight = "w";
    network = verify::resolve(chain, in, weights);
    chain[0].sigma = verify::own_sigma(network[0], weights);
  }
  Tensor symbol(DType dtype) const {
    const verify::StoredTensor& w = weights.tensors.at("w");
    return Tensor::of(Numbers(w.entries.begin(), w.entries.end()),
                      {w.shape[0], w.shape[1], w.shape[2], w.shape[3]}, dtype);
  }
  Numbers own(const Numbers& x) const { return verify::forward(network, {x})[0]; }
  Numbers engine(const Numbers& x, DType dtype) const {
    const FourierConv2d layer({in.rows, in.columns, in.channels, 1}, symbol(dtype), {});
    const Tensor image = Tensor::of(x, {1, in.rows, in.columns, in.channels}, dtype);
    const Tensor y = layer.forward(image).value().to(DType::f64);
    return {y.data<double>(), y.data<double>() + y.size()};
  }
};

double norm(const Numbers& x) {
  double sum = 0;
  for (const double entry : x) sum += entry * entry;
  return std::sqrt(sum);
}

double distance(Numbers a, const Numbers& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  return norm(a);
}

}  // namespace

TEST_CASE("frequencies: engine and checker agree within their rounding, on images of any sides") {
  std::mt19937 random(53);
  for (const std::int64_t h : {1, 2, 3, 4, 7, 8}) {
    for (const std::int64_t w : {1, 2, 5, 6}) {
      CAPTURE(h);
      CAPTURE(w);
      const Example e(h, w, random);
      const std::vector<float> start = normal(e.in.size(), 1, random);
      const Numbers x(start.begin(), start.end());
      const auto error = [&](const verify::Format& format) {
        return verify::propagate(e.network, {norm(x), 0}, format).error;
      };
      const Numbers own = e.own(x);
      const double fine = error(verify::f64_format);
      CHECK(fine <= 1e-12 * norm(x));
      CHECK(distance(own, e.engine(x, DType::f64)) <= 2 * fine);
      CHECK(distance(own, e.engine(x, DType::f32)) <= fine + error(verify::f32_format));
    }
  }
}

// By the SVD of the whole operator: the largest norm of a matrix bounds it, and where the matrices
// of v and -v need no symmetry (0 < u < H/2) it is reached.
TEST_CASE("frequencies: sigma covers the whole operator, of matrices of no symmetry") {
  std::mt19937 random(59);
  double tightest = 0;
  for (const std::int64_t h : {1, 2, 3, 6}) {
    for (const std::int64_t w : {1, 2, 5}) {
      CAPTURE(h);
      CAPTURE(w);
      const Example e(h, w, random);
      Numbers rows;
      for (std::int64_t i = 0; i < e.in.size(); ++i) {
        Numbers unit(e.in.size());
        unit[i] = 1;
        const Numbers image = e.own(unit);
        rows.insert(rows.end(), image.begin(), image.end());
      }
      const std::int64_t outputs = std::ssize(rows) / e.in.size();
      Numbers values(e.in.size());
      blas::singular_values(e.in.size(), outputs, rows.data(), values.data());
      const double bound = e.chain[0].sigma.upper;
      CHECK(values[0] <= bound * (1 + 1e-12));
      tightest = std::max(tightest, values[0] / bound);
    }
  }
  CHECK(tightest > 0.99);
}

TEST_CASE("frequencies: matrices of another image are refused") {
  std::mt19937 random(61);
  Example e(4, 5, random);
  CHECK_THROWS_WITH_AS(verify::resolve(e.chain, {4, 4, 2, false}, e.weights),
                       "frequencies (frequencies): expected a complex matrix for each of the "
                       "image's 12 frequencies, found [4, 4, 2]",
                       verify::Failure);
  CHECK_THROWS_WITH_AS(verify::resolve(e.chain, {4, 5, 3, false}, e.weights),
                       "frequencies (frequencies): expected 2 channels, the rows of each matrix, "
                       "found [4, 5, 3]",
                       verify::Failure);
  CHECK_THROWS_WITH_AS(verify::resolve(e.chain, {2000, 1, 2, false}, e.weights),
                       "frequencies (frequencies): expected an image of at most 1024 x 1024 "
                       "pixels, found [2000, 1, 2]",
                       verify::Failure);
  e.chain[0].op = "frequency_sandwich";
  CHECK_THROWS_WITH_AS(verify::resolve(e.chain, {4, 5, 2, false}, e.weights),
                       "frequencies (frequency_sandwich): expected as many channels as each matrix "
                       "has rows beyond its columns, found [4, 5, 2]",
                       verify::Failure);
}

TEST_SUITE_END();
