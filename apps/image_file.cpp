#include <isotape/apps/image_file.hpp>

#include <algorithm>
#include <cmath>
#include <string>

#include <isotape/core/atomic_file.hpp>
#include <isotape/core/error.hpp>

namespace isotape {

bool is_drawable(const Shape& image) {
  return image.rank() == 3 && image.size() > 0 && (image[2] == 1 || image[2] == 3);
}

std::filesystem::path write_image(const std::filesystem::path& path, const Tensor& image,
                                  double low, double high) {
  require<ShapeError>(is_drawable(image.shape()),
                      "write_image: expected an image [H, W, 1] or [H, W, 3], got ", image.shape());
  const bool is_grey = image.dim(2) == 1;
  std::string text =
      message(is_grey ? "P5" : "P6", '\n', image.dim(1), ' ', image.dim(0), "\n255\n");
  for (std::int64_t k = 0; k < image.size(); ++k) {
    const double level = std::clamp((image.at(k) - low) / (high - low), 0.0, 1.0);
    text += static_cast<char>(static_cast<unsigned char>(std::lround(255 * level)));
  }
  std::filesystem::path file = path.string() + (is_grey ? ".pgm" : ".ppm");
  write_file(file, text);
  return file;
}

}  // namespace isotape
