#include <isotape/datasets/clusters.hpp>

#include <cmath>
#include <string>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>

namespace isotape {
namespace {

void check(const ClusterOptions& options) {
  require<ValueError>(options.train >= 1 && options.test >= 1,
                      "clusters: expected at least one training and one test point, got ",
                      options.train, " and ", options.test);
  require<ValueError>(
      options.classes >= 1 && options.per_class >= 1 && options.d >= 1,
      "clusters: expected at least one class, cluster per class and dimension, got ",
      options.classes, ", ", options.per_class, " and ", options.d);
  for (const double deviation : {options.spread, options.noise}) {
    require<ValueError>(deviation >= 0 && std::isfinite(deviation),
                        "clusters: expected a spread and a noise >= 0, got ", deviation);
  }
}

// The classes come in turn, the cluster of each point by lot.
Split sample(const Tensor& centres, const ClusterOptions& options, std::int64_t count, Rng rng) {
  Split split;
  split.images = Tensor({count, 1, 1, options.d});
  auto* x = split.images.write<float>();
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t label = i % options.classes;
    const auto cluster =
        static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(options.per_class)));
    const std::int64_t centre = (label * options.per_class + cluster) * options.d;
    for (std::int64_t j = 0; j < options.d; ++j) {
      x[i * options.d + j] =
          static_cast<float>(centres.at(centre + j) + options.noise * rng.normal());
    }
    split.labels.push_back(static_cast<std::int32_t>(label));
  }
  return split;
}

}  // namespace

Dataset make_clusters(const ClusterOptions& options) {
  check(options);
  const Rng rng = Rng(options.seed).stream("clusters");
  Rng places = rng.stream("centres");
  const Tensor centres = random_normal(places, {options.classes * options.per_class, options.d},
                                       options.spread, DType::f64);
  Dataset dataset;
  dataset.name = "clusters";
  for (int k = 0; k < options.classes; ++k) dataset.class_names.push_back(std::to_string(k));
  dataset.train = sample(centres, options, options.train, rng.stream("train"));
  dataset.test = sample(centres, options, options.test, rng.stream("test"));
  return dataset;
}

}  // namespace isotape
