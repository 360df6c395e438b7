#include <isotape/datasets/idx.hpp>

#include <zlib.h>
#include <algorithm>
#include <array>
#include <iomanip>
#include <limits>
#include <memory>
#include <span>

#include <isotape/core/error.hpp>
#include <isotape/core/input_file.hpp>

namespace isotape {
namespace {

constexpr std::uint32_t image_magic = 0x803;
constexpr std::uint32_t label_magic = 0x801;

std::string hexadecimal(std::uint32_t value) {
  std::ostringstream text;
  text << "0x" << std::hex << std::setw(8) << std::setfill('0') << value;
  return text.str();
}

// A file read from front to back; a gzipped one is unpacked on the way, any other taken as it is.
class IdxFile {
 public:
  explicit IdxFile(const std::filesystem::path& path)
      : input_("load_idx", path), stream_(gzopen(path.c_str(), "rb")) {
    if (!stream_) input_.fail(0, "expected a readable file, found none");
    gzbuffer(stream_.get(), 1U << 18U);
  }

  void read(std::span<std::uint8_t> bytes, std::string_view what) {
    const std::int64_t begin = offset_;
    const std::size_t wanted = bytes.size();
    while (!bytes.empty()) {
      const std::size_t got = read_some(bytes);
      if (got == 0) {
        input_.fail(begin, "expected ", what, " of ", wanted,
                    " bytes, found the end of the file at offset ", offset_);
      }
      bytes = bytes.subspan(got);
    }
  }

  std::uint32_t read_u32(std::string_view what) {
    std::array<std::uint8_t, 4> bytes{};
    read(bytes, what);
    return std::uint32_t{bytes[0]} << 24U | std::uint32_t{bytes[1]} << 16U |
           std::uint32_t{bytes[2]} << 8U | bytes[3];
  }

  void expect_magic(std::uint32_t expected, std::string_view what) {
    const std::uint32_t magic = read_u32("a magic number");
    if (magic != expected) {
      fail(0, "expected magic ", hexadecimal(expected), " (", what, "), found ",
           hexadecimal(magic));
    }
  }

  // Reading past the last byte also verifies the checksum of a gzipped file.
  void expect_end() {
    std::array<std::uint8_t, 1> byte{};
    if (read_some(byte) != 0) fail(offset_ - 1, "expected the end of the file, found more bytes");
  }

  template <class... Parts>
  [[noreturn]] void fail(std::int64_t offset, const Parts&... parts) const {
    input_.fail(offset, parts...);
  }
  std::int64_t offset() const { return offset_; }
  // What the file can hold at most: deflate packs at most 1032 bytes into one.
  std::int64_t capacity() const {
    const bool packed = gzdirect(stream_.get()) == 0;
    return packed ? input_.size() * 1032 : input_.size();
  }

 private:
  struct Close {
    void operator()(gzFile stream) const { gzclose(stream); }
  };

  std::size_t read_some(std::span<std::uint8_t> bytes) {
    constexpr std::size_t most = 1U << 30U;
    const auto count = static_cast<unsigned>(std::min(bytes.size(), most));
    const int got = gzread(stream_.get(), bytes.data(), count);
    int error = Z_OK;
    std::string_view reason = gzerror(stream_.get(), &error);
    if (got < 0 || error != Z_OK) {
      const std::string prefix = input_.path().string() + ": ";
      if (reason.starts_with(prefix)) reason.remove_prefix(prefix.size());
      fail(offset_, "expected an intact gzip stream, found: ", reason);
    }
    offset_ += got;
    return static_cast<std::size_t>(got);
  }

  InputFile input_;
  std::unique_ptr<gzFile_s, Close> stream_;
  std::int64_t offset_ = 0;
};

Tensor read_images(const std::filesystem::path& path) {
  IdxFile file(path);
  file.expect_magic(image_magic, "u8 images");
  std::array<std::int64_t, 3> extents{};
  std::int64_t size = 1;
  for (std::int64_t& extent : extents) {
    const std::int64_t offset = file.offset();
    extent = file.read_u32("a count");
    if (extent < 1 || extent > file.capacity() / size) {
      file.fail(offset, "expected a count that fits the file's size, found ", extent);
    }
    size *= extent;
  }
  Tensor images({extents[0], extents[1], extents[2], 1}, DType::u8);
  file.read({images.write<std::uint8_t>(), static_cast<std::size_t>(size)}, "pixels");
  file.expect_end();
  return images;
}

std::vector<std::int32_t> read_labels(const std::filesystem::path& path, std::int64_t count,
                                      int classes) {
  IdxFile file(path);
  file.expect_magic(label_magic, "u8 labels");
  const std::int64_t found = file.read_u32("a count");
  if (found != count) {
    file.fail(4, "expected ", count, " labels, as many as there are images, found ", found);
  }
  const std::int64_t begin = file.offset();
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(count));
  file.read(labels, "labels");
  file.expect_end();
  for (std::int64_t i = 0; i < count; ++i) {
    if (labels[i] >= classes) {
      file.fail(begin + i, "expected a label in 0..", classes - 1, ", found ", int{labels[i]});
    }
  }
  return {labels.begin(), labels.end()};
}

}  // namespace

Split load_idx(const std::filesystem::path& images, const std::filesystem::path& labels,
               int classes) {
  Split split;
  split.images = read_images(images);
  split.labels = read_labels(labels, split.images.dim(0), classes);
  return split;
}

}  // namespace isotape
