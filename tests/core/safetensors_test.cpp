#include <doctest/doctest.h>
#include <algorithm>
#include <string>
#include <support/scratch_folder.hpp>

#include <isotape/core/random.hpp>
#include <isotape/core/safetensors.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/safetensors");

namespace {

// A file of the format from its two parts.
std::string file_of(const std::string& header, std::string_view data, long length_change = 0) {
  const std::uint64_t length = header.size() + length_change;
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
  return bytes + header + std::string(data);
}

std::string entry(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return message(R"({"dtype":")", dtype, R"(","shape":[)", shape, R"(],"data_offsets":[)", offsets,
                 "]}");
}

SafeTensors sample() {
  Rng rng(5);
  SafeTensors content;
  content.metadata = {{"format", "pt"}, {"note", "quotes \" and \xc3\xa4"}};
  content.tensors["b.weight"] = random_normal(rng, {3, 2});
  content.tensors["a.bias"] = random_normal(rng, {2}, 1, DType::f64);
  content.tensors["mask"] = Tensor::of({1, 0, 255}, {3}, DType::u8);
  content.tensors["half"] = Tensor::of({1, -0.5, 3}, {3}, DType::bf16);
  content.tensors["scalar"] = Tensor::of({0.25}, {});
  content.tensors["empty"] = Tensor::zeros({0, 4});
  return content;
}

void check_equal(const SafeTensors& a, const SafeTensors& b) {
  CHECK(a.metadata == b.metadata);
  REQUIRE(a.tensors.size() == b.tensors.size());
  for (const auto& [key, tensor] : a.tensors) {
    const std::string& name = key;
    CAPTURE(name);
    REQUIRE(b.tensors.contains(name));
    const Tensor& other = b.tensors.at(name);
    CHECK(tensor.shape() == other.shape());
    CHECK(tensor.dtype() == other.dtype());
    CHECK(std::ranges::equal(tensor.bytes(), other.bytes()));
  }
}

}  // namespace

TEST_CASE("safetensors: what is saved is loaded, bit for bit") {
  const ScratchFolder folder;
  save_safetensors(folder / "a", sample());
  check_equal(load_safetensors(folder / "a"), sample());
  save_safetensors(folder / "none", {});
  check_equal(load_safetensors(folder / "none"), {});
}

TEST_CASE("safetensors: a view is saved as the elements it shows") {
  const ScratchFolder folder;
  const Tensor whole = Tensor::of({1, 2, 3, 4, 5, 6}, {3, 2});
  save_safetensors(folder / "a", {{{"x", whole.rows(1, 2)}}, {}});
  const Tensor x = load_safetensors(folder / "a").tensors.at("x");
  CHECK(x.shape() == Shape{1, 2});
  CHECK(x.at(0) == 3);
  CHECK(x.at(1) == 4);
}

TEST_CASE("safetensors: the bytes are those of the format's reference writer") {
  const ScratchFolder folder;
  SafeTensors content;
  content.metadata = {{"format", "pt"}};
  content.tensors["a"] = Tensor::of({7}, {1}, DType::u8);
  content.tensors["b"] = Tensor::of({1, -2}, {2});
  save_safetensors(folder / "a", content);
  std::string header = R"({"__metadata__":{"format":"pt"},"b":)" + entry("F32", "2", "0,8") +
                       R"(,"a":)" + entry("U8", "1", "8,9") + "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::string data{"\0\0\x80\x3f\0\0\0\xc0\7", 9};
  CHECK(folder.get("a") == file_of(header, data));
}

TEST_CASE("safetensors: equal content gives equal bytes") {
  const ScratchFolder folder;
  save_safetensors(folder / "a", sample());
  save_safetensors(folder / "b", load_safetensors(folder / "a"));
  CHECK(folder.get("a") == folder.get("b"));
}

TEST_CASE("save_safetensors: refuses what the format cannot hold and keeps the old file") {
  const ScratchFolder folder;
  folder.put("a", "old");
  const auto error_for = [&](const SafeTensors& content) {
    return folder.error<ValueError>([&] { save_safetensors(folder / "a", content); });
  };
  CHECK(error_for({{{"x", Tensor()}}, {}}) ==
        "save_safetensors: expected a tensor for \"x\", got an absent one");
  CHECK(error_for({{{"__metadata__", Tensor::zeros({1})}}, {}}) ==
        "save_safetensors: expected another tensor name, got __metadata__");
  CHECK(error_for({{{"\xff", Tensor::zeros({1})}}, {}}) ==
        "save_safetensors: expected names and metadata in UTF-8, got other bytes");
  CHECK(folder.error<IoError>([&] { save_safetensors(folder / "none/a", sample()); }) ==
        "write: DIR/none/a: cannot be created: No such file or directory");
  CHECK(folder.get("a") == "old");
  CHECK(folder.entries() == 1);
}

TEST_CASE("load_safetensors: a file cut anywhere is refused") {
  const ScratchFolder folder;
  save_safetensors(folder / "a", sample());
  const std::string bytes = folder.get("a");
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    const auto cut = folder.put("cut", bytes.substr(0, length));
    CHECK(folder.error<DataError>([&] { load_safetensors(cut); })
              .starts_with("load_safetensors: "
                           "DIR/cut: offset "));
  }
}

TEST_CASE("load_safetensors: a changed header byte is refused or read, never more") {
  const ScratchFolder folder;
  save_safetensors(folder / "a", sample());
  const std::string bytes = folder.get("a");
  const std::size_t data_begin = bytes.find("}}") + 2;
  int refused = 0;
  for (std::size_t i = 0; i < data_begin; ++i) {
    for (const char replacement : {'\0', '"', '9', '}', '\xff'}) {
      std::string changed = bytes;
      changed[i] = replacement;
      const auto path = folder.put("changed", changed);
      try {
        load_safetensors(path);
      } catch (const DataError&) {
        ++refused;
      }
    }
  }
  CHECK(refused > static_cast<int>(data_begin));
}

TEST_CASE("load_safetensors: says where, what was expected and what was found") {
  const ScratchFolder folder;
  const auto error_for = [&](const std::string& bytes) {
    const auto path = folder.put("a", bytes);
    const std::string text = folder.error<DataError>([&] { load_safetensors(path); });
    const std::string prefix = "load_safetensors: DIR/a: ";
    return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
  };
  const auto error_for_entry = [&](const std::string& fields) {
    return error_for(file_of(R"({"x":)" + fields + "}", "12345678"));
  };
  SUBCASE("the length of the header") {
    CHECK(error_for("") ==
          "offset 0: expected the header's length of 8 bytes, found the end of the file at "
          "offset 0");
    CHECK(error_for(file_of("{}", "", 1)) ==
          "offset 0: expected a header length of 2 to 2 bytes, found 3");
    CHECK(error_for(std::string(8, '\xff') + "{}") ==
          "offset 0: expected a header length of 2 to 2 bytes, found 18446744073709551615");
    CHECK(error_for(std::string(8, '\0') + "{}") ==
          "offset 0: expected a header length of 2 to 2 bytes, found 0");
  }
  SUBCASE("the text of the header") {
    CHECK(error_for(file_of("[]", "")) == "offset 8: expected a header that begins with '{'");
    CHECK(error_for(file_of(R"({"x":1,})", "")) ==
          "offset 15: expected JSON, found a syntax error");
    CHECK(error_for(file_of(R"({"x":1e999})", "")) ==
          "offset 8: expected JSON, found a number out of range");
    CHECK(error_for(file_of({"{}\0{", 4}, "")) == "offset 10: expected JSON, found a NUL byte");
    CHECK(error_for(file_of(R"({"x":[[[1]]]})", "")) ==
          "offset 8: expected a header of at most 3 nested levels, found more");
    CHECK(error_for(file_of(R"({"__metadata__":{"a":1}})", "")) ==
          "offset 8: expected __metadata__ to map names to texts, found another type");
    const std::string x = R"("x":)" + entry("U8", "1", "0,1");
    CHECK(error_for(file_of("{" + x + "," + x + "}", "1")) ==
          R"(offset 8: expected distinct names in the header, found "x" twice)");
    CHECK(error_for(file_of(
              R"({"x":{"dtype":"U8","dtype":"F32","shape":[1],"data_offsets":[0,1]}})", "1")) ==
          R"(offset 8: expected distinct names in the header, found "dtype" twice)");
  }
  SUBCASE("an entry") {
    CHECK(error_for_entry("7") ==
          R"(offset 8: tensor "x": expected the fields dtype, shape and data_offsets, found 7)");
    CHECK(error_for_entry(entry("I64", "1", "0,8")) ==
          R"(offset 8: tensor "x": expected dtype "F32", "F64", "U8" or "BF16", found "I64")");
    CHECK(error_for_entry(entry("F32", "-2", "0,8")) ==
          R"(offset 8: tensor "x": expected a shape of at most 6 extents that fit into memory, )"
          "found [-2]");
    CHECK(error_for_entry(entry("F32", "1,1,1,1,1,1,2", "0,8")) ==
          R"(offset 8: tensor "x": expected a shape of at most 6 extents that fit into memory, )"
          "found [1,1,1,1,1,1,2]");
    CHECK(error_for_entry(entry("F32", "4294967296,4294967296", "0,8")) ==
          R"(offset 8: tensor "x": expected a shape of at most 6 extents that fit into memory, )"
          "found [4294967296,4294967296]");
    CHECK(error_for_entry(entry("F32", "2", "8,0")) ==
          R"(offset 8: tensor "x": expected data_offsets [begin, end], found [8,0])");
    CHECK(error_for_entry(entry("F32", "2", "0,4,8")) ==
          R"(offset 8: tensor "x": expected data_offsets [begin, end], found [0,4,8])");
    CHECK(error_for_entry(entry("F32", "2", "0,7")) ==
          R"(offset 8: tensor "x": expected data_offsets 8 apart for F32 [2], found [0,7])");
  }
  SUBCASE("a name that is not for a terminal") {
    CHECK(error_for(file_of(R"({"\u001b\u00e4":7})", "")) ==
          R"(offset 8: tensor "\u001b\u00e4": expected the fields dtype, shape and data_offsets, )"
          "found 7");
  }
  SUBCASE("the elements") {
    const auto error_for_two = [&](std::string_view x, std::string_view y, std::string_view data) {
      return error_for(
          file_of(R"({"x":)" + entry("U8", "4", x) + R"(,"y":)" + entry("U8", "4", y) + "}", data));
    };
    CHECK(error_for_two("0,4", "2,6", "123456") ==
          R"(offset 117: tensor "y": expected data_offsets from 4 on, found 2 (overlap))");
    CHECK(error_for_two("0,4", "5,9", "123456789") ==
          R"(offset 117: tensor "y": expected data_offsets from 4 on, found 5 (gap))");
    CHECK(error_for_two("4,8", "0,4", "123456789") ==
          "offset 121: expected a file of 121 bytes, found 122 bytes");
    CHECK(error_for_two("4,8", "0,4", "1234567") ==
          "offset 120: expected a file of 121 bytes, found 120 bytes");
  }
}

TEST_SUITE_END();
