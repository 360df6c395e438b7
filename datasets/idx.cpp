#include <isotape/datasets/idx.hpp>

#include <zlib.h>
#include <algorithm>
#include <array>
#include <iomanip>
#include <limits>
#include <memory>
#include <span>
#include <vector>

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
// Unpacked here, for zlib's own reader of files overlooks that the last eight bytes are cut off.
class IdxFile {
 public:
  explicit IdxFile(const std::filesystem::path& path) : input_("load_idx", path) {
    if (!refill() || !chunk_begins_gzip()) return;
    stream_.reset(new z_stream{});
    stream_->next_in = chunk_.data();
    stream_->avail_in = static_cast<uInt>(chunk_.size());
    constexpr int gzip_of_any_window = 15 + 16;
    require<IoError>(inflateInit2(stream_.get(), gzip_of_any_window) == Z_OK,
                     "load_idx: ", path.string(), ": expected zlib to start, got an error");
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

  // Asking for one more byte also verifies the checksum of a gzipped file.
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
  std::int64_t capacity() const { return stream_ ? input_.size() * 1032 : input_.size(); }

 private:
  struct End {
    void operator()(z_stream* stream) const {
      inflateEnd(stream);
      delete stream;
    }
  };

  bool chunk_begins_gzip() const {
    return chunk_.size() >= 2 && chunk_[0] == 0x1f && chunk_[1] == 0x8b;
  }

  // The next bytes of the file; false at its end.
  bool refill() {
    constexpr std::int64_t chunk_bytes = 1 << 18;
    chunk_.resize(static_cast<std::size_t>(std::min(chunk_bytes, input_.size() - consumed_)));
    input_.read(consumed_, std::as_writable_bytes(std::span(chunk_)), "content");
    consumed_ += std::ssize(chunk_);
    return !chunk_.empty();
  }

  std::size_t read_some(std::span<std::uint8_t> bytes) {
    const std::size_t got = stream_ ? unpack_some(bytes) : copy_some(bytes);
    offset_ += static_cast<std::int64_t>(got);
    return got;
  }

  std::size_t copy_some(std::span<std::uint8_t> bytes) {
    if (copied_ == chunk_.size()) {
      copied_ = 0;
      if (!refill()) return 0;
    }
    const std::size_t count = std::min(bytes.size(), chunk_.size() - copied_);
    std::copy_n(chunk_.begin() + static_cast<std::ptrdiff_t>(copied_), count, bytes.begin());
    copied_ += count;
    return count;
  }

  std::size_t unpack_some(std::span<std::uint8_t> bytes) {
    constexpr std::size_t most = 1U << 30U;
    const auto count = static_cast<uInt>(std::min(bytes.size(), most));
    stream_->next_out = bytes.data();
    stream_->avail_out = count;
    while (stream_->avail_out > 0 && !ended_) {
      if (stream_->avail_in == 0) {
        if (!refill()) fail_unpacking("unexpected end of file");
        stream_->next_in = chunk_.data();
        stream_->avail_in = static_cast<uInt>(chunk_.size());
      }
      const int status = inflate(stream_.get(), Z_NO_FLUSH);
      if (status == Z_STREAM_END) {
        ended_ = stream_->avail_in == 0 && consumed_ == input_.size();
        if (!ended_) inflateReset(stream_.get());  // another stream follows
      } else if (status != Z_OK) {
        fail_unpacking(stream_->msg != nullptr ? stream_->msg : "unknown damage");
      }
    }
    return count - stream_->avail_out;
  }

  [[noreturn]] void fail_unpacking(std::string_view found) const {
    fail(offset_, "expected an intact gzip stream, found: ", found);
  }

  InputFile input_;
  std::vector<std::uint8_t> chunk_;
  std::int64_t consumed_ = 0;              // of the file, up to the chunk's end
  std::size_t copied_ = 0;                 // of the chunk
  std::unique_ptr<z_stream, End> stream_;  // of a gzipped file
  bool ended_ = false;                     // and whether its last stream has
  std::int64_t offset_ = 0;                // in what was unpacked
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
