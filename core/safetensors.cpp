#include <isotape/core/safetensors.hpp>

#include <algorithm>
#include <bit>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include <isotape/core/atomic_file.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/input_file.hpp>

// Layout: the header's length (8 bytes, little endian), the header (JSON), the elements. The header
// maps a name to {"dtype", "shape", "data_offsets": [begin, end)}, counted from the header's end.
static_assert(std::endian::native == std::endian::little, "the format is little endian");

namespace isotape {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::int64_t length_bytes = 8;
constexpr std::int64_t max_header = 100'000'000;  // the limit of the format's reference reader
constexpr int max_depth = 3;                      // header, entry, list
constexpr const char* metadata_name = "__metadata__";

struct Entry {
  std::string name;
  DType dtype;
  Shape shape;
  std::int64_t begin;
  std::int64_t end;
};

// In quotes and ASCII, whatever a file's names hold.
std::string quoted(const std::string& name) {
  return json(name).dump(-1, ' ', true, json::error_handler_t::replace);
}

const char* format_name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "F32";
    case DType::f64:
      return "F64";
    case DType::u8:
      return "U8";
    case DType::bf16:
      return "BF16";
  }
  return "";
}

std::string header_text(const SafeTensors& content, const std::vector<Entry>& entries) {
  ordered_json header = ordered_json::object();
  if (!content.metadata.empty()) header[metadata_name] = content.metadata;
  for (const Entry& entry : entries) {
    header[entry.name] = {
        {"dtype", format_name(entry.dtype)},
        {"shape", std::vector<std::int64_t>(entry.shape.begin(), entry.shape.end())},
        {"data_offsets", {entry.begin, entry.end}}};
  }
  try {
    std::string text = header.dump();
    text.append((0 - text.size()) % alignof(double), ' ');  // so that the elements are aligned
    return text;
  } catch (const json::exception&) {
    throw ValueError("save_safetensors: expected names and metadata in UTF-8, got other bytes");
  }
}

// A parser callback that refuses what nlohmann::json accepts in silence: a key given twice (the
// last would win), and deep nesting.
class Strict {
 public:
  explicit Strict(const InputFile& file) : file_(&file) {}

  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      if (depth >= max_depth) {
        file_->fail(length_bytes, "expected a header of at most ", max_depth,
                    " nested levels, found more");
      }
      if (event == json::parse_event_t::object_start) keys_.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      keys_.pop_back();
    } else if (event == json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys_.back().insert(key).second) {
        file_->fail(length_bytes, "expected distinct names in the header, found ", quoted(key),
                    " twice");
      }
    }
    return true;
  }

 private:
  const InputFile* file_;
  std::vector<std::set<std::string>> keys_;
};

json read_header(InputFile& file, std::int64_t& data_begin) {
  std::uint64_t length = 0;
  file.read(0, std::as_writable_bytes(std::span(&length, 1)), "the header's length");
  const std::int64_t room = std::min(file.size() - length_bytes, max_header);
  if (length < 2 || length > static_cast<std::uint64_t>(room)) {
    file.fail(0, "expected a header length of 2 to ", room, " bytes, found ", length);
  }
  std::string text(length, '\0');
  file.read(length_bytes, std::as_writable_bytes(std::span(text)), "the header");
  data_begin = length_bytes + static_cast<std::int64_t>(length);
  if (text.front() != '{') file.fail(length_bytes, "expected a header that begins with '{'");
  // The parser would take a NUL for the end of the text.
  const std::size_t nul = text.find('\0');
  if (nul != std::string::npos) {
    file.fail(length_bytes + static_cast<std::int64_t>(nul), "expected JSON, found a NUL byte");
  }
  try {
    return json::parse(text, Strict(file));
  } catch (const json::parse_error& error) {
    file.fail(length_bytes + static_cast<std::int64_t>(error.byte) - 1,
              "expected JSON, found a syntax error");
  } catch (const json::exception&) {
    file.fail(length_bytes, "expected JSON, found a number out of range");
  }
}

// The name of an entry's faulty field, what it should be, and what it is.
[[noreturn]] void fail_entry(const InputFile& file, const std::string& name,
                             std::string_view expected, const json& found) {
  std::string text = found.dump(-1, ' ', true);
  constexpr std::size_t longest = 60;
  if (text.size() > longest) text = text.substr(0, longest) + "...";
  file.fail(length_bytes, "tensor ", quoted(name), ": expected ", expected, ", found ", text);
}

std::vector<std::int64_t> integers(const InputFile& file, const std::string& name,
                                   std::string_view expected, const json& list) {
  const auto fits = [](const json& value) {
    return value.is_number_unsigned() && value.get<std::uint64_t>() <= (std::uint64_t{1} << 62U);
  };
  if (!list.is_array() || !std::all_of(list.begin(), list.end(), fits)) {
    fail_entry(file, name, expected, list);
  }
  return list.get<std::vector<std::int64_t>>();
}

DType read_dtype(const InputFile& file, const std::string& name, const json& field) {
  for (const DType dtype : {DType::f32, DType::f64, DType::u8, DType::bf16}) {
    if (field == format_name(dtype)) return dtype;
  }
  fail_entry(file, name, R"(dtype "F32", "F64", "U8" or "BF16")", field);
}

Shape read_shape(const InputFile& file, const std::string& name, const json& field) {
  constexpr std::string_view expected = "a shape of at most 6 extents that fit into memory";
  const std::vector<std::int64_t> extents = integers(file, name, expected, field);
  if (extents.size() > Shape::max_rank) fail_entry(file, name, expected, field);
  std::int64_t size = 1;
  for (const std::int64_t extent : extents) {
    constexpr std::int64_t limit = std::numeric_limits<std::int64_t>::max() / sizeof(double);
    if (size > limit / std::max<std::int64_t>(extent, 1)) fail_entry(file, name, expected, field);
    size *= std::max<std::int64_t>(extent, 1);
  }
  return Shape(extents);
}

Entry read_entry(const InputFile& file, const std::string& name, const json& fields) {
  if (!fields.is_object() || fields.size() != 3 || !fields.contains("dtype") ||
      !fields.contains("shape") || !fields.contains("data_offsets")) {
    fail_entry(file, name, "the fields dtype, shape and data_offsets", fields);
  }
  const DType dtype = read_dtype(file, name, fields["dtype"]);
  const Shape shape = read_shape(file, name, fields["shape"]);
  const json& offsets = fields["data_offsets"];
  constexpr std::string_view expected = "data_offsets [begin, end]";
  const std::vector<std::int64_t> range = integers(file, name, expected, offsets);
  if (range.size() != 2 || range[0] > range[1]) fail_entry(file, name, expected, offsets);
  const std::int64_t bytes = shape.size() * static_cast<std::int64_t>(size_of(dtype));
  if (range[1] - range[0] != bytes) {
    fail_entry(file, name,
               message("data_offsets ", bytes, " apart for ", format_name(dtype), " ", shape),
               offsets);
  }
  return {name, dtype, shape, range[0], range[1]};
}

// The entries, in the order of their data, must tile it: no gap, no overlap, no rest.
void check_tiling(const InputFile& file, std::int64_t data_begin, std::vector<Entry>& entries) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::int64_t position = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != position) {
      file.fail(data_begin + position, "tensor ", quoted(entry.name),
                ": expected data_offsets from ", position, " on, found ", entry.begin,
                entry.begin < position ? " (overlap)" : " (gap)");
    }
    position = entry.end;
  }
  if (data_begin + position != file.size()) {
    file.fail(std::min(data_begin + position, file.size()), "expected a file of ",
              data_begin + position, " bytes, found ", file.size(), " bytes");
  }
}

std::map<std::string, std::string> read_metadata(const InputFile& file, const json& fields) {
  const auto is_text = [](const json& value) { return value.is_string(); };
  if (!fields.is_object() || !std::all_of(fields.begin(), fields.end(), is_text)) {
    file.fail(length_bytes, "expected __metadata__ to map names to texts, found another type");
  }
  return fields.get<std::map<std::string, std::string>>();
}

}  // namespace

void save_safetensors(const std::filesystem::path& path, const SafeTensors& content) {
  std::vector<Entry> entries;
  for (const auto& [name, tensor] : content.tensors) {
    require<ValueError>(static_cast<bool>(tensor), "save_safetensors: expected a tensor for ",
                        quoted(name), ", got an absent one");
    require<ValueError>(name != metadata_name,
                        "save_safetensors: expected another tensor name, got ", metadata_name);
    entries.push_back({name, tensor.dtype(), tensor.shape(), 0, 0});
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return size_of(a.dtype) > size_of(b.dtype);
  });
  std::int64_t position = 0;
  for (Entry& entry : entries) {
    entry.begin = position;
    position += entry.shape.size() * static_cast<std::int64_t>(size_of(entry.dtype));
    entry.end = position;
  }
  const std::string header = header_text(content, entries);
  const std::uint64_t length = header.size();
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  for (const Entry& entry : entries) {
    file.write(content.tensors.at(entry.name).bytes());
  }
  file.commit();
}

SafeTensors load_safetensors(const std::filesystem::path& path) {
  InputFile file("load_safetensors", path);
  std::int64_t data_begin = 0;
  const json header = read_header(file, data_begin);
  SafeTensors content;
  std::vector<Entry> entries;
  for (const auto& [name, fields] : header.items()) {
    if (name == metadata_name) {
      content.metadata = read_metadata(file, fields);
    } else {
      entries.push_back(read_entry(file, name, fields));
    }
  }
  check_tiling(file, data_begin, entries);
  for (const Entry& entry : entries) {
    Tensor tensor(entry.shape, entry.dtype);
    file.read(data_begin + entry.begin, tensor.write_bytes(), "elements");
    content.tensors.emplace(entry.name, std::move(tensor));
  }
  return content;
}

}  // namespace isotape
