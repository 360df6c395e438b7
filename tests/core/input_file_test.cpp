#include <doctest/doctest.h>
#include <array>
#include <support/scratch_folder.hpp>

#include <isotape/core/input_file.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/input_file");

TEST_CASE("input_file: reads any range, and a whole file") {
  const ScratchFolder folder;
  const auto path = folder.put("a", "0123456789");
  InputFile file("test", path);
  CHECK(file.size() == 10);
  std::array<char, 3> text{};
  file.read(7, std::as_writable_bytes(std::span(text)), "text");
  CHECK(std::string_view(text.data(), 3) == "789");
  file.read(0, std::as_writable_bytes(std::span(text)), "text");
  CHECK(std::string_view(text.data(), 3) == "012");
  CHECK(read_file("test", path) == "0123456789");
  CHECK(read_file("test", folder.put("empty", "")).empty());
}

TEST_CASE("input_file: names reader, path, offset, expected and found") {
  const ScratchFolder folder;
  const auto path = folder.put("a", "0123456789");
  InputFile file("test", path);
  std::array<std::byte, 3> bytes{};
  CHECK(folder.error<DataError>([&] { file.read(8, bytes, "a word"); }) ==
        "test: DIR/a: offset 8: expected a word of 3 bytes, found the end of the file at offset "
        "10");
  CHECK(folder.error<DataError>([&] { file.read(11, bytes, "a word"); }) ==
        "test: DIR/a: offset 11: expected a word of 3 bytes, found the end of the file at offset "
        "10");
  CHECK(folder.error<DataError>([&] { InputFile("test", folder / "b"); }) ==
        "test: DIR/b: expected a file, found nothing");
  CHECK(folder.error<DataError>([&] { InputFile("test", folder.path()); }) ==
        "test: DIR: expected a file, found a directory");
  CHECK(folder.error<DataError>([&] { InputFile("test", "/dev/null"); }) ==
        "test: /dev/null: expected a regular file, found a device, socket or pipe");
}

TEST_SUITE_END();
