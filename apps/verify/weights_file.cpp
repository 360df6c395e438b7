#include <isotape/apps/verify/weights_file.hpp>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>

#include <isotape/apps/verify/failure.hpp>
#include <isotape/apps/verify/sha256.hpp>

static_assert(std::endian::native == std::endian::little, "the format is little endian");

namespace isotape::verify {
namespace {

using nlohmann::json;

[[noreturn]] void fail(const std::string& what) { throw Failure("weights: " + what); }

std::string text_of(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t extent : shape)
    text += (text.empty() ? "" : ", ") + std::to_string(extent);
  return '[' + text + ']';
}

std::vector<std::int64_t> naturals(const std::string& name, const json& list) {
  std::vector<std::int64_t> values;
  if (!list.is_array()) fail(name + ": expected a list of integers");
  for (const json& entry : list) {
    if (!entry.is_number_unsigned() || entry.get<std::uint64_t>() >= (std::uint64_t{1} << 40U)) {
      fail(name + ": expected integers in 0..2^40, found " + entry.dump());
    }
    values.push_back(entry.get<std::int64_t>());
  }
  return values;
}

// What lies outside of the bytes, or is not as large as its shape, is refused before it is copied.
StoredTensor read_tensor(const std::string& name, const json& entry, std::string_view elements) {
  StoredTensor tensor{naturals(name, entry.at("shape")), {}};
  const std::vector<std::int64_t> range = naturals(name, entry.at("data_offsets"));
  const auto size = static_cast<std::int64_t>(elements.size());
  if (range.size() != 2 || range[0] > range[1] || range[1] > size) {
    fail(name + ": expected data_offsets within the file");
  }
  std::int64_t count = 1;
  for (const std::int64_t extent : tensor.shape) {
    if (extent < 1 || count > size / extent) fail(name + ": expected a shape that fits the file");
    count *= extent;
  }
  if (range[1] - range[0] != count * 4)
    fail(name + ": expected data_offsets 4 bytes apart per entry");
  tensor.entries.resize(static_cast<std::size_t>(count));
  std::memcpy(tensor.entries.data(), elements.data() + range[0],
              static_cast<std::size_t>(count) * 4);
  return tensor;
}

}  // namespace

const StoredTensor& WeightsFile::at(const std::string& key, std::size_t rank) const {
  const auto found = tensors.find(key);
  if (found == tensors.end()) fail(key + ": expected an f32 tensor, found none");
  const StoredTensor& tensor = found->second;
  if (tensor.shape.size() != rank) {
    fail(key + ": expected " + std::to_string(rank) + " axes, found " + text_of(tensor.shape));
  }
  for (const float entry : tensor.entries) {
    if (!std::isfinite(entry))
      fail(key + ": expected finite numbers, found " + std::to_string(entry));
  }
  return tensor;
}

const StoredTensor& WeightsFile::at(const std::string& key,
                                    const std::vector<std::int64_t>& shape) const {
  const StoredTensor& tensor = at(key, shape.size());
  if (tensor.shape != shape) {
    fail(key + ": expected shape " + text_of(shape) + ", found " + text_of(tensor.shape));
  }
  return tensor;
}

std::string read_bytes(const std::filesystem::path& path) {
  std::error_code error;
  std::ifstream file(path, std::ios::binary);
  if (!std::filesystem::is_regular_file(path, error) || !file) {
    throw Missing(path.string() + ": expected a file that can be read, found none");
  }
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad())
    throw Missing(path.string() + ": expected a file that can be read, found an error");
  return bytes;
}

// 8 bytes: the length of the header; the header, JSON; the elements.
WeightsFile parse_weights(std::string_view bytes) {
  WeightsFile weights{sha256(bytes), {}};
  std::uint64_t length = 0;
  if (bytes.size() < sizeof length) fail("expected a safetensors file, found fewer than 8 bytes");
  std::memcpy(&length, bytes.data(), sizeof length);
  const std::string_view rest = bytes.substr(sizeof length);
  if (length > rest.size()) fail("expected a header within the file, found a length beyond it");
  try {
    const json header = json::parse(rest.substr(0, length));
    if (!header.is_object()) fail("expected a header that is an object");
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__" || entry.at("dtype") != "F32") continue;
      weights.tensors.emplace(name, read_tensor(name, entry, rest.substr(length)));
    }
  } catch (const json::exception&) {
    fail("expected a header in JSON, one entry of dtype, shape and data_offsets per tensor");
  }
  return weights;
}

}  // namespace isotape::verify
