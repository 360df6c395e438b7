#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <isotape/core/error.hpp>

namespace isotape {

/// A regular file opened for reading, of known size. Every failure is a DataError that names who
/// reads, the path, the offset, what was expected and what was found:
///
///     load_npy: w.npy: offset 10: expected a header of 118 bytes, found the end of the file at
///     offset 64
class InputFile {
 public:
  /// @param reader  first word of the messages, e.g. "load_npy"
  /// @throws DataError  if the path is not a regular file that can be read
  InputFile(std::string_view reader, const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::int64_t size() const { return size_; }
  /// Fills `bytes` from the offset on; `what` they are, for the message.
  void read(std::int64_t offset, std::span<std::byte> bytes, std::string_view what);

  /// @throws DataError  `READER: PATH: offset N: ` and the parts
  template <class... Parts>
  [[noreturn]] void fail(std::int64_t offset, const Parts&... parts) const {
    throw DataError(message(reader_, ": ", path_.string(), ": offset ", offset, ": ", parts...));
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
  };
  std::string reader_;
  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::int64_t size_ = 0;
};

/// The whole content of a file.
/// @throws DataError  as InputFile
std::string read_file(std::string_view reader, const std::filesystem::path& path);

}  // namespace isotape
