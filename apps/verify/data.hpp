#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace isotape::verify {

/// Test images as bytes, in the order image, row, column, channel.
struct Images {
  std::int64_t height = 0, width = 0, channels = 0;
  std::string pixels;
  std::vector<std::int64_t> labels;
};

/// The first `count` test images of mnist, fashion-mnist or cifar10.
///
/// @param folder  that of the files, or one that holds it by its usual name
/// @throws Missing  if there are no such files, or the set is not kept in files
/// @throws Failure  if they hold something else, or fewer images
Images read_test_images(const std::string& dataset, const std::filesystem::path& folder,
                        std::int64_t count);

/// >= the norm of an image of pixels byte / scale.
double pixel_norm(std::string_view pixels, std::int64_t scale);

}  // namespace isotape::verify
