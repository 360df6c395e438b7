#include <isotape/apps/verify/householder.hpp>

#include <cmath>
#include <limits>
#include <numbers>

#include <isotape/apps/verify/linear_map.hpp>

namespace isotape::verify {
namespace {

using std::numbers::pi;

// Reflected at 0 and 2 pi until it lies between.
double folded(double angle) {
  const double turn = std::fmod(std::abs(angle), 4 * pi);
  return turn <= 2 * pi ? turn : 4 * pi - turn;
}

// What z becomes at an angle: e^(i alpha) z or e^(i alpha) conj(z).
struct Turn {
  double cosine, sine;
  bool mirrors;

  Turn(double alpha, bool with_mirror)
      : cosine(std::cos(alpha)), sine(std::sin(alpha)), mirrors(with_mirror) {}
  void apply(double& a, double& b) const {
    const double y = mirrors ? -b : b;
    const double x = a;
    a = cosine * x - sine * y;
    b = sine * x + cosine * y;
  }
};

// Reflected where the sine of the angle from the mirror, at theta / 2, is above 0.
struct Mirror {
  double cosine, sine;
  Turn turn;

  explicit Mirror(double theta)
      : cosine(std::cos(theta / 2)), sine(std::sin(theta / 2)), turn(theta, true) {}
  void apply(double& a, double& b) const {
    if (cosine * b > sine * a) turn.apply(a, b);
  }
};

// Four sectors, by the angle from theta_0 / 2 on.
struct Sectors {
  double start;
  std::array<double, 3> ends;
  std::array<Turn, 4> turns;

  Sectors(double t0, double t1, double t2)
      : start(t0 / 2),
        ends{t1 / 2, (t1 + t2) / 2, pi + t2 / 2},
        turns{Turn(0, false), Turn(t0 + t1, true), Turn(-t2, false), Turn(t0, true)} {}
  void apply(double& a, double& b) const {
    double angle = std::atan2(b, a) - start;
    angle -= 2 * pi * std::floor(angle / (2 * pi));
    std::size_t sector = 0;
    while (sector < ends.size() && angle >= ends.at(sector)) ++sector;
    turns.at(sector).apply(a, b);
  }
};

template <class Map>
void turn_pair(const Layer& layer, std::int64_t pair, const Map& map, Block& y) {
  const std::int64_t channels = layer.in.channels;
  const bool adjacent = layer.op->adjacent;
  const std::int64_t first = adjacent ? 2 * pair : pair;
  const std::int64_t gap = adjacent ? 1 : channels / 2;
  for (std::int64_t p = 0; p < layer.in.pixels(); ++p) {
    double* const a = y.at(p * channels + first);
    double* const b = y.at(p * channels + first + gap);
    for_lanes([&](std::int64_t l) { map.apply(a[l], b[l]); });
  }
}

}  // namespace

// Angles of order 2 beyond 16 are refused to every arithmetic: A is taken as infinite.
void resolve_householder(Layer& layer, const WeightsFile& weights) {
  const Operation& o = *layer.op;
  expect(layer.in.channels % 2 == 0, o, "an even number of channels", layer.in);
  const std::int64_t pairs = layer.in.channels / 2;
  const auto found = weights.tensors.find(o.theta);
  const bool two = found != weights.tensors.end() && found->second.shape.size() == 2;
  const std::vector<std::int64_t> shape =
      two ? std::vector<std::int64_t>{3, pairs} : std::vector<std::int64_t>{pairs};
  const StoredTensor& theta = weights.at(o.theta, shape);
  layer.angles.assign(theta.entries.begin(), theta.entries.end());
  for (const double angle : layer.angles) {
    if (two && std::abs(angle) > 16) layer.absolute = std::numeric_limits<double>::infinity();
  }
}

Block householder(const Layer& layer, const Block& x) {
  const std::int64_t pairs = layer.in.channels / 2;
  const std::vector<double>& theta = layer.angles;
  Block y = x;
  for (std::int64_t i = 0; i < pairs; ++i) {
    if (std::ssize(theta) == pairs) {
      turn_pair(layer, i, Mirror(theta[i]), y);
    } else {
      const Sectors sectors(theta[i], folded(theta[pairs + i]), folded(theta[2 * pairs + i]));
      turn_pair(layer, i, sectors, y);
    }
  }
  return y;
}

}  // namespace isotape::verify
