#pragma once

#include <isotape/apps/run_config.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/model.hpp>

namespace isotape {

/// The model of a configuration, with its initial weights, for images of its data set's shape. No
/// file of the data set is read.
Model build_bench_model(const RunConfig& config);

/// Uniform pixels in [0, 1): [batch, ...] of the shape of one image.
Tensor random_images(Rng& rng, const Shape& image, std::int64_t batch);

}  // namespace isotape
