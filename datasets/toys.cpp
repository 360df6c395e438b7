#include <isotape/datasets/toys.hpp>

#include <cmath>
#include <numbers>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>

namespace isotape {
namespace {

struct Point {
  double x;
  double y;
};
using Curve = Point (*)(int label, double t);  // t in [0, 1)

Point moon(int label, double t) {
  const double angle = std::numbers::pi * t;
  if (label == 0) return {std::cos(angle), std::sin(angle)};
  return {1 - std::cos(angle), 0.5 - std::sin(angle)};
}

Point ring(int label, double t) {
  const double angle = 2 * std::numbers::pi * t;
  const double radius = label == 0 ? 1 : 0.5;
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

Split sample(Curve curve, std::int64_t count, double noise, Rng rng) {
  Split split;
  split.images = Tensor({count, 1, 1, 2});
  auto* points = split.images.write<float>();
  for (std::int64_t i = 0; i < count; ++i) {
    const int label = static_cast<int>(i % 2);
    const Point point = curve(label, rng.uniform());
    points[2 * i] = static_cast<float>(point.x + noise * rng.normal());
    points[2 * i + 1] = static_cast<float>(point.y + noise * rng.normal());
    split.labels.push_back(label);
  }
  return split;
}

Dataset make(std::string name, std::vector<std::string> class_names, Curve curve,
             const ToyOptions& options) {
  require<ValueError>(options.train >= 1 && options.test >= 1, name,
                      ": expected at least one training and one test point, got ", options.train,
                      " and ", options.test);
  require<ValueError>(options.noise >= 0 && std::isfinite(options.noise), name,
                      ": expected a noise >= 0, got ", options.noise);
  const Rng rng = Rng(options.seed).stream(name);
  Dataset dataset;
  dataset.train = sample(curve, options.train, options.noise, rng.stream("train"));
  dataset.test = sample(curve, options.test, options.noise, rng.stream("test"));
  dataset.name = std::move(name);
  dataset.class_names = std::move(class_names);
  return dataset;
}

}  // namespace

Dataset make_moons(const ToyOptions& options) {
  return make("moons", {"upper", "lower"}, moon, options);
}

Dataset make_rings(const ToyOptions& options) {
  return make("rings", {"outer", "inner"}, ring, options);
}

}  // namespace isotape
