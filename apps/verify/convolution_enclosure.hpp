#pragma once

#include <array>
#include <cstdint>
#include <span>

#include <isotape/apps/verify/enclosure.hpp>

namespace isotape::verify {

/// A convolution as the certificate describes it.
struct Convolution {
  std::int64_t filters = 0;             ///< O
  std::int64_t inputs = 0;              ///< I / groups
  std::array<std::int64_t, 2> taps{};   ///< [h, w]
  std::array<std::int64_t, 2> image{};  ///< [H', W'] of the output
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
  std::int64_t groups = 1;
  bool circular = true;  ///< else zero padding, whose lower end is 0
};

/// Proved enclosure of the singular values of the operator, over its smaller side.
///
/// @param kernel  [O, I / groups, h, w], row by row, finite
Enclosure convolution_enclosure(const Convolution& c, std::span<const float> kernel);

}  // namespace isotape::verify
