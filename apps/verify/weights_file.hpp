#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace isotape::verify {

struct StoredTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> entries;
};

/// The f32 tensors of a safetensors file and the digest of all its bytes.
struct WeightsFile {
  std::string sha256;
  std::map<std::string, StoredTensor> tensors;

  /// A tensor of these extents, all finite.
  /// @throws Failure  `weights: KEY: expected ..., found ...`
  const StoredTensor& at(const std::string& key, const std::vector<std::int64_t>& shape) const;
  const StoredTensor& at(const std::string& key, std::size_t rank) const;
};

/// Reads the bytes of a file whole.
/// @throws Missing
std::string read_bytes(const std::filesystem::path& path);

/// @throws Failure  if they are not those of a safetensors file
WeightsFile parse_weights(std::string_view bytes);

}  // namespace isotape::verify
