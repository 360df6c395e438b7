#include <isotape/core/atomic_file.hpp>

#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

namespace fs = std::filesystem;

// Unlike that of any other writer: not of another process, not of another thread.
fs::path temporary_beside(const fs::path& target) {
  static std::atomic<unsigned> count{0};
  return target.parent_path() /
         message(".", target.filename().string(), ".", ::getpid(), ".", ++count, ".tmp");
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& path) : path_(path), target_(path) {
  std::error_code error;
  if (fs::is_symlink(path, error)) target_ = fs::weakly_canonical(path, error);
  const fs::file_status status = fs::status(target_, error);
  require<IoError>(!fs::is_directory(status), "write: ", path_.string(),
                   ": expected the name of a file, found a directory");
  require<IoError>(!fs::exists(status) || fs::is_regular_file(status), "write: ", path_.string(),
                   ": expected a regular file or none, found a device, socket or pipe");
  temporary_ = temporary_beside(target_);
  file_.reset(std::fopen(temporary_.c_str(), "wbx"));
  if (!file_) {
    const int reason = errno;
    temporary_.clear();
    fail("cannot be created", reason);
  }
}

AtomicFile::~AtomicFile() {
  if (temporary_.empty()) return;
  file_.reset();
  std::error_code ignored;
  fs::remove(temporary_, ignored);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) {
    fail("cannot be written", errno);
  }
  written_ += static_cast<std::int64_t>(bytes.size());
}

void AtomicFile::commit() {
  if (std::fclose(file_.release()) != 0) fail("cannot be written", errno);
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) fail("cannot be replaced", errno);
  temporary_.clear();
}

void AtomicFile::fail(std::string_view action, int error) const {
  const std::string place =
      written_ > 0 ? message(" after ", written_, " bytes; what was there is kept") : std::string();
  throw IoError(message("write: ", path_.string(), ": ", action, ": ",
                        std::generic_category().message(error), place));
}

void write_file(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

}  // namespace isotape
