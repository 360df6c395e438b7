#include <isotape/core/input_file.hpp>

#include <cerrno>
#include <system_error>

namespace isotape {

namespace fs = std::filesystem;

InputFile::InputFile(std::string_view reader, const fs::path& path) : reader_(reader), path_(path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  require<DataError>(fs::exists(status), reader_, ": ", path_.string(),
                     ": expected a file, found nothing");
  require<DataError>(!fs::is_directory(status), reader_, ": ", path_.string(),
                     ": expected a file, found a directory");
  require<DataError>(fs::is_regular_file(status), reader_, ": ", path_.string(),
                     ": expected a regular file, found a device, socket or pipe");
  file_.reset(std::fopen(path.c_str(), "rb"));
  require<DataError>(file_ != nullptr, reader_, ": ", path_.string(),
                     ": expected a readable file, found: ", std::generic_category().message(errno));
  size_ = static_cast<std::int64_t>(fs::file_size(path));
}

void InputFile::read(std::int64_t offset, std::span<std::byte> bytes, std::string_view what) {
  const auto count = static_cast<std::int64_t>(bytes.size());
  if (offset > size_ || count > size_ - offset) {
    fail(offset, "expected ", what, " of ", count, " bytes, found the end of the file at offset ",
         size_);
  }
  if (::fseeko(file_.get(), offset, SEEK_SET) != 0 ||
      std::fread(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) {
    fail(offset, "expected ", what, " of ", count,
         " bytes, found: ", std::generic_category().message(errno));
  }
}

std::string read_file(std::string_view reader, const fs::path& path) {
  InputFile file(reader, path);
  std::string content(static_cast<std::size_t>(file.size()), '\0');
  file.read(0, std::as_writable_bytes(std::span(content)), "content");
  return content;
}

}  // namespace isotape
