#pragma once

#include <cstdint>

#include <isotape/datasets/dataset.hpp>

namespace isotape {

struct ToyOptions {
  std::int64_t train = 2'000;  ///< points
  std::int64_t test = 1'000;
  double noise = 0.1;  ///< standard deviation of the normal noise on each coordinate
  std::uint64_t seed = 0;
};

/// Two interleaved half circles of radius 1, the classes upper and lower in turn. Points (x, y) are
/// stored as images [N, 1, 1, 2] of f32, in the plane's own units, so that every model and the
/// loader take them. Without noise the classes are exactly 1/2 apart, so that no classifier is
/// correct and certified beyond radius 1/4 on all points.
///
/// @throws ValueError  for fewer than one point or a negative noise
Dataset make_moons(const ToyOptions& options = {});

/// A circle of radius 1 and one of radius 1/2 within, the classes outer and inner; likewise.
Dataset make_rings(const ToyOptions& options = {});

}  // namespace isotape
