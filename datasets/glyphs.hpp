#pragma once

#include <cstdint>

#include <isotape/datasets/dataset.hpp>

namespace isotape {

struct GlyphOptions {
  std::int64_t train = 20'000;  ///< images
  std::int64_t test = 4'000;
  std::uint64_t seed = 0;
};

/// Handwriting without a file: 28 x 28 images of the digits 0..9 in turn, each drawn as pen strokes
/// with random form, pose, thickness and ink, under noise. A stand-in for MNIST of the same shape
/// [N, 28, 28, 1], u8; its figures are its own.
///
/// Image i is a function of (seed, i) alone, whatever the number of images or threads.
///
/// @throws ValueError  for fewer than one training or test image
Dataset make_glyphs(const GlyphOptions& options = {});

}  // namespace isotape
