#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/core/tensor.hpp>

namespace isotape {

/// Labelled images: one half of a Dataset.
struct Split {
  Tensor images;  ///< [N, H, W, C], u8 (pixels 0..255) or f32 (taken as they are)
  std::vector<std::int32_t> labels;  ///< N class indices

  std::int64_t size() const { return static_cast<std::int64_t>(labels.size()); }
  /// Images begin..end-1 as the loader gives them without augmentation: f32, u8 pixels scaled to
  /// [0, 1]. @return [end - begin, H, W, C]
  Tensor pixels(std::int64_t begin, std::int64_t end) const;
};

/// A data set in memory: what to train on, and what to test on.
struct Dataset {
  std::string name;                      ///< as the registry calls it
  std::vector<std::string> class_names;  ///< by class index
  Split train;
  Split test;
  std::filesystem::path folder;       ///< where its files were found; empty if it was made
  std::vector<std::string> warnings;  ///< lines to show to a person; none if all is well

  int classes() const { return static_cast<int>(class_names.size()); }
  /// Extents of one image: [H, W, C].
  Shape image_shape() const;
};

/// Sets `count` images aside, chosen by a seeded permutation, so that choices are not made on the
/// test set: the kept ones and the ones set aside, each in their old order.
///
/// @throws ValueError  unless 1 <= count < split.size()
std::pair<Split, Split> hold_out(const Split& split, std::int64_t count, const Rng& rng);

/// @throws ValueError  `NAME: ...` unless images are [N, H, W, C] of u8 or f32, finite, with N >= 1
/// labels, each in 0..classes-1
void check_split(std::string_view name, const Split& split, int classes);

}  // namespace isotape
