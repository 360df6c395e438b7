#pragma once

#include <filesystem>

#include <isotape/core/tensor.hpp>

namespace isotape {

/// Writes an image for a person to look at: PGM for one channel, PPM for three. Values are rounded
/// to 8 bits of `low`..`high`; what is outside is cut. The file is replaced whole or not at all.
/// @param image  [H, W, 1] or [H, W, 3], f32 or f64
/// @return       the path, with .pgm or .ppm appended
/// @throws ShapeError  for another shape; IoError if it cannot be written
std::filesystem::path write_image(const std::filesystem::path& path, const Tensor& image,
                                  double low = 0, double high = 1);

/// Whether write_image() takes images of that shape.
bool is_drawable(const Shape& image);

}  // namespace isotape
