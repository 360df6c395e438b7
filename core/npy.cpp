#include <isotape/core/npy.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/core/atomic_file.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/input_file.hpp>

// Layout: magic, version (2 bytes), the header's length (2 bytes in version 1, 4 in version 2), the
// header (a Python dictionary, padded with blanks), the elements.
static_assert(std::endian::native == std::endian::little, "the format is little endian");

namespace isotape {
namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr std::int64_t version_offset = 6;
constexpr std::int64_t length_offset = 8;
constexpr std::size_t alignment = 64;  // of the elements within the file
constexpr std::int64_t max_header = 1 << 16;

struct Element {
  DType dtype;
  std::string_view descr;
};
constexpr std::array<Element, 3> elements{
    {{DType::f32, "<f4"}, {DType::f64, "<f8"}, {DType::u8, "|u1"}}};

std::string_view descr_of(DType dtype) {
  const auto* found = std::find_if(elements.begin(), elements.end(),
                                   [&](const Element& element) { return element.dtype == dtype; });
  require<ValueError>(found != elements.end(), "save_npy: expected f32, f64 or u8, got ", dtype);
  return found->descr;
}

// The header's text, read from front to back.
class HeaderText {
 public:
  HeaderText(const InputFile& file, std::int64_t offset, std::string_view text)
      : file_(&file), offset_(offset), text_(text) {}

  // The same text from its next character on that is not blank, to say where something was.
  HeaderText here() {
    skip_blanks();
    return *this;
  }
  bool accept(char c) {
    skip_blanks();
    if (position_ == text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(message("'", c, "'"));
  }
  std::string_view quoted() {
    const char quote = accept('"') ? '"' : '\'';
    if (quote == '\'') expect('\'');
    const std::size_t end = text_.find(quote, position_);
    if (end == std::string_view::npos) fail("a closing quote");
    const std::string_view result = text_.substr(position_, end - position_);
    position_ = end + 1;
    return result;
  }
  std::int64_t integer() {
    skip_blanks();
    std::int64_t value = -1;
    const auto [end, error] =
        std::from_chars(text_.data() + position_, text_.data() + text_.size(), value);
    if (error != std::errc() || value < 0) fail("an extent");
    position_ = static_cast<std::size_t>(end - text_.data());
    return value;
  }
  bool boolean() {
    skip_blanks();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(position_).starts_with(word)) {
        position_ += word.size();
        return value;
      }
    }
    fail("True or False");
  }
  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> values;
    expect('(');
    while (!accept(')')) {
      values.push_back(integer());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return values;
  }
  void expect_end() {
    skip_blanks();
    if (position_ != text_.size()) fail("the header's end");
  }
  [[noreturn]] void fail(std::string_view expected) const {
    constexpr std::size_t shown = 20;
    std::string rest(text_.substr(std::min(position_, text_.size()), shown));
    std::replace_if(
        rest.begin(), rest.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    file_->fail(offset_ + static_cast<std::int64_t>(position_), "expected ", expected, ", found ",
                rest.empty() ? "the header's end" : message("\"", rest, "\""));
  }

 private:
  void skip_blanks() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n')) {
      ++position_;
    }
  }
  const InputFile* file_;
  std::int64_t offset_;
  std::string_view text_;
  std::size_t position_ = 0;
};

struct Header {
  std::optional<DType> dtype;
  std::optional<Shape> shape;
  bool has_order = false;
};

DType read_dtype(HeaderText& text) {
  const HeaderText before = text.here();
  const std::string_view descr = text.quoted();
  for (const Element& element : elements) {
    if (element.descr == descr) return element.dtype;
  }
  before.fail("elements '<f4', '<f8' or '|u1'");
}

Shape read_shape(HeaderText& text) {
  const HeaderText before = text.here();
  const std::vector<std::int64_t> extents = text.tuple();
  std::int64_t size = 1;
  bool fits = extents.size() <= Shape::max_rank;
  for (const std::int64_t extent : extents) {
    constexpr std::int64_t limit = std::numeric_limits<std::int64_t>::max() / sizeof(double);
    fits = fits && size <= limit / std::max<std::int64_t>(extent, 1);
    if (fits) size *= std::max<std::int64_t>(extent, 1);
  }
  if (!fits) before.fail("a shape of at most 6 extents that fit into memory");
  return Shape(extents);
}

Header read_dictionary(HeaderText& text) {
  Header header;
  text.expect('{');
  while (!text.accept('}')) {
    const HeaderText before = text.here();
    const std::string_view key = text.quoted();
    text.expect(':');
    if (key == "descr" && !header.dtype) {
      header.dtype = read_dtype(text);
    } else if (key == "shape" && !header.shape) {
      header.shape = read_shape(text);
    } else if (key == "fortran_order" && !header.has_order) {
      const HeaderText value = text.here();
      if (text.boolean()) value.fail("row-major order (fortran_order False)");
      header.has_order = true;
    } else {
      before.fail("each of descr, fortran_order and shape once");
    }
    if (!text.accept(',')) {
      text.expect('}');
      break;
    }
  }
  if (!header.dtype || !header.shape || !header.has_order) {
    text.fail("each of descr, fortran_order and shape");
  }
  text.expect_end();
  return header;
}

// The header's length, and where it begins.
std::pair<std::int64_t, std::int64_t> read_length(InputFile& file) {
  std::array<char, length_offset> start{};
  file.read(0, std::as_writable_bytes(std::span(start)), "magic and version");
  if (!std::equal(magic.begin(), magic.end(), start.begin())) {
    file.fail(0, "expected the magic of a .npy file, found other bytes");
  }
  const int major = static_cast<unsigned char>(start[version_offset]);
  const int minor = static_cast<unsigned char>(start[version_offset + 1]);
  if (major < 1 || major > 2 || minor != 0) {
    file.fail(version_offset, "expected version 1.0 or 2.0, found ", major, ".", minor);
  }
  const std::int64_t bytes = major == 1 ? 2 : 4;
  std::uint32_t length = 0;
  file.read(length_offset, std::as_writable_bytes(std::span(&length, 1)).first(bytes),
            "the header's length");
  if (length > max_header) {
    file.fail(length_offset, "expected a header of at most ", max_header, " bytes, found ", length);
  }
  return {length, length_offset + bytes};
}

}  // namespace

void save_npy(const std::filesystem::path& path, const Tensor& tensor) {
  require<ValueError>(static_cast<bool>(tensor), "save_npy: expected a tensor, got an absent one");
  std::string header =
      message("{'descr': '", descr_of(tensor.dtype()), "', 'fortran_order': False, 'shape': (");
  for (int axis = 0; axis < tensor.rank(); ++axis) {
    header += message(axis > 0 ? " " : "", tensor.dim(axis), axis + 1 < tensor.rank() ? "," : "");
  }
  header += tensor.rank() == 1 ? ",), }" : "), }";
  constexpr std::size_t prefix = length_offset + 2;
  header.append((0 - (prefix + header.size() + 1)) % alignment, ' ');
  header += '\n';
  AtomicFile file(path);
  file.write(magic);
  file.write(std::string_view("\1\0", 2));
  const auto length = static_cast<std::uint16_t>(header.size());
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  file.write(tensor.bytes());
  file.commit();
}

Tensor load_npy(const std::filesystem::path& path) {
  InputFile file("load_npy", path);
  const auto [length, begin] = read_length(file);
  std::string header_text(static_cast<std::size_t>(length), '\0');
  file.read(begin, std::as_writable_bytes(std::span(header_text)), "a header");
  HeaderText text(file, begin, header_text);
  const Header header = read_dictionary(text);
  const std::int64_t data_begin = begin + length;
  const std::int64_t bytes =
      header.shape->size() * static_cast<std::int64_t>(size_of(*header.dtype));
  if (file.size() - data_begin != bytes) {
    file.fail(data_begin, "expected ", bytes, " bytes of elements for ", *header.dtype, " ",
              *header.shape, ", found ", file.size() - data_begin);
  }
  Tensor tensor(*header.shape, *header.dtype);
  file.read(data_begin, tensor.write_bytes(), "elements");
  return tensor;
}

}  // namespace isotape
