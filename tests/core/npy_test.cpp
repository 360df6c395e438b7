#include <doctest/doctest.h>
#include <algorithm>
#include <string>
#include <support/scratch_folder.hpp>

#include <isotape/core/npy.hpp>
#include <isotape/core/random.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/npy");

namespace {

// A file of version 1.0, or 2.0 with its longer length.
std::string file_of(std::string_view header, std::string_view data, int version = 1) {
  std::string bytes = std::string("\x93NUMPY") + static_cast<char>(version) + '\0';
  const auto length = static_cast<std::uint32_t>(header.size());
  bytes.append(reinterpret_cast<const char*>(&length), version == 1 ? 2 : 4);
  return bytes + std::string(header) + std::string(data);
}

constexpr std::string_view two_floats{"\0\0\x80\x3f\0\0\0\xc0", 8};

}  // namespace

TEST_CASE("npy: what is saved is loaded, bit for bit") {
  const ScratchFolder folder;
  Rng rng(3);
  for (const Shape& shape :
       {Shape{}, Shape{1}, Shape{7}, Shape{0, 3}, Shape{2, 3}, Shape{2, 1, 3, 1, 2, 2}}) {
    for (const DType dtype : {DType::f32, DType::f64, DType::u8}) {
      CAPTURE(shape);
      CAPTURE(dtype);
      const Tensor saved = random_uniform(rng, shape, 0, 200, DType::f64).to(dtype);
      save_npy(folder / "a", saved);
      const Tensor loaded = load_npy(folder / "a");
      CHECK(loaded.shape() == shape);
      CHECK(loaded.dtype() == dtype);
      CHECK(std::ranges::equal(loaded.bytes(), saved.bytes()));
    }
  }
}

TEST_CASE("npy: the elements begin at a multiple of 64 bytes, after a header as NumPy writes it") {
  const ScratchFolder folder;
  save_npy(folder / "a", Tensor::of({1, -2}, {2}));
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
  header.resize(117, ' ');
  CHECK(folder.get("a") == file_of(header + '\n', two_floats));
  save_npy(folder / "a", Tensor::of({7, 8, 9, 10, 11, 12}, {2, 3}, DType::u8));
  CHECK(folder.get("a").substr(10, 59) ==
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }");
  save_npy(folder / "a", Tensor::of({7}, {}, DType::f64));
  CHECK(folder.get("a").substr(10, 56) ==
        "{'descr': '<f8', 'fortran_order': False, 'shape': (), } ");
}

TEST_CASE("load_npy: takes version 2.0, any order of keys, either quote, no padding") {
  const ScratchFolder folder;
  for (const std::string& bytes :
       {file_of("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)}\n", two_floats, 2),
        file_of(R"({"shape":(1,2,),"fortran_order":False,"descr":"<f4"})", two_floats)}) {
    const Tensor tensor = load_npy(folder.put("a", bytes));
    CHECK(tensor.shape() == Shape{1, 2});
    CHECK(tensor.at(0) == 1);
    CHECK(tensor.at(1) == -2);
  }
}

TEST_CASE("load_npy: a file cut anywhere, or with a changed header byte, is refused or read") {
  const ScratchFolder folder;
  save_npy(folder / "a", Tensor::of({1, -2}, {2}));
  const std::string bytes = folder.get("a");
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    const auto path = folder.put("b", bytes.substr(0, length));
    CHECK(folder.error<DataError>([&] { load_npy(path); }).starts_with("load_npy: DIR/b: offset "));
  }
  for (std::size_t i = 0; i < 70; ++i) {
    for (const char replacement : {'\0', '9', ',', ')', '\xff'}) {
      std::string changed = bytes;
      changed[i] = replacement;
      const auto path = folder.put("b", changed);
      CAPTURE(i);
      const std::string text = folder.error<DataError>([&] { load_npy(path); });
      const bool known = text == "nothing thrown" || text.starts_with("load_npy: DIR/b: offset ");
      CHECK(known);
    }
  }
}

TEST_CASE("load_npy: says where, what was expected and what was found") {
  const ScratchFolder folder;
  const auto error_for = [&](const std::string& bytes) {
    const auto path = folder.put("a", bytes);
    const std::string text = folder.error<DataError>([&] { load_npy(path); });
    const std::string prefix = "load_npy: DIR/a: ";
    return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
  };
  CHECK(error_for("") ==
        "offset 0: expected magic and version of 8 bytes, found the end of the file at offset 0");
  CHECK(error_for("0123456789") ==
        "offset 0: expected the magic of a .npy file, found other bytes");
  CHECK(error_for(file_of("", "", 3)) == "offset 6: expected version 1.0 or 2.0, found 3.0");
  CHECK(error_for(std::string("\x93NUMPY\2\0\xff\xff\xff\xff", 12)) ==
        "offset 8: expected a header of at most 65536 bytes, found 4294967295");
  CHECK(error_for(file_of("{}", "")) ==
        "offset 12: expected each of descr, fortran_order and shape, found the header's end");
  CHECK(error_for(file_of("{'descr': '<i8'}", "")) ==
        "offset 20: expected elements '<f4', '<f8' or '|u1', found \"'<i8'}\"");
  CHECK(error_for(file_of("{'descr': '>f4'}", "")) ==
        "offset 20: expected elements '<f4', '<f8' or '|u1', found \"'>f4'}\"");
  CHECK(error_for(file_of("{'fortran_order': True}", "")) ==
        "offset 28: expected row-major order (fortran_order False), found \"True}\"");
  CHECK(error_for(file_of("{'fortran_order': 1}", "")) ==
        "offset 28: expected True or False, found \"1}\"");
  CHECK(error_for(file_of("{'shape': (1, 1, 1, 1, 1, 1, 1)}", "")) ==
        "offset 20: expected a shape of at most 6 extents that fit into memory, found \"(1, 1, 1, "
        "1, 1, 1, 1\"");
  CHECK(error_for(file_of("{'shape': (4294967296, 4294967296)}", "")) ==
        "offset 20: expected a shape of at most 6 extents that fit into memory, found "
        "\"(4294967296, 4294967\"");
  CHECK(error_for(file_of("{'shape': (-1,)}", "")) ==
        "offset 21: expected an extent, found \"-1,)}\"");
  CHECK(error_for(file_of("{'shape': 3}", "")) == "offset 20: expected '(', found \"3}\"");
  CHECK(error_for(file_of("{'shape': (), 'shape': ()}", "")) ==
        "offset 24: expected each of descr, fortran_order and shape once, found \"'shape': ()}\"");
  CHECK(error_for(file_of("{'name': ()}", "")) ==
        "offset 11: expected each of descr, fortran_order and shape once, found \"'name': ()}\"");
  CHECK(error_for(file_of("{'sh\x1b\xff", "")) ==
        "offset 12: expected a closing quote, found \"sh??\"");
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}";
  CHECK(error_for(file_of(header + "x", "")) ==
        "offset 65: expected the header's end, found \"x\"");
  CHECK(error_for(file_of(header, "1234567")) ==
        "offset 65: expected 8 bytes of elements for f32 [2], found 7");
  CHECK(error_for(file_of(header, "123456789")) ==
        "offset 65: expected 8 bytes of elements for f32 [2], found 9");
}

TEST_CASE("save_npy: keeps the old file when it cannot write") {
  const ScratchFolder folder;
  folder.put("a", "old");
  CHECK_THROWS_WITH_AS(save_npy(folder / "a", Tensor()),
                       "save_npy: expected a tensor, got an absent one", ValueError);
  CHECK_THROWS_WITH_AS(save_npy(folder / "a", Tensor::zeros({1}, DType::bf16)),
                       "save_npy: expected f32, f64 or u8, got bf16", ValueError);
  CHECK(folder.get("a") == "old");
  CHECK(folder.error<IoError>([&] { save_npy(folder / "none/a", Tensor::zeros({1})); }) ==
        "write: DIR/none/a: cannot be created: No such file or directory");
}

TEST_SUITE_END();
