#include <isotape/apps/bench/bench_model.hpp>

#include <isotape/apps/model_file.hpp>
#include <isotape/apps/resolve.hpp>

namespace isotape {

Model build_bench_model(const RunConfig& config) {
  const DatasetInfo& info = dataset_info(config.dataset);
  const ModelSpec spec =
      config.layers.empty() ? find_model(config.model) : ModelSpec{config.model, config.layers};
  return build_model(spec, info.image, info.classes, Rng(static_cast<std::uint64_t>(config.seed)));
}

Tensor random_images(Rng& rng, const Shape& image, std::int64_t batch) {
  std::vector<std::int64_t> extents(image.begin(), image.end());
  extents.insert(extents.begin(), batch);
  return random_uniform(rng, Shape(extents), 0, 1);
}

}  // namespace isotape
