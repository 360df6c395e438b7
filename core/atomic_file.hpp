#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

namespace isotape {

/// A file being written that replaces its target whole or not at all: the bytes go to a temporary
/// name in the same folder, and commit() renames it over the target. Until then, and after any
/// failure, the target is what it was. Not committed means discarded.
///
///     AtomicFile file("run/model.safetensors");
///     file.write(header);
///     file.commit();
class AtomicFile {
 public:
  /// A target that is a symbolic link is followed; one that is not a regular file is refused.
  /// @throws IoError  `write: PATH: expected ..., found ...`
  explicit AtomicFile(const std::filesystem::path& path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  AtomicFile(AtomicFile&&) = delete;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Everything is handed to the system, and the target replaced. Call it once, at the end.
  void commit();

 private:
  struct Close {
    void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
  };
  [[noreturn]] void fail(std::string_view action, int error) const;
  std::filesystem::path path_;
  std::filesystem::path target_;     // path_, links resolved
  std::filesystem::path temporary_;  // empty once renamed
  std::unique_ptr<std::FILE, Close> file_;
  std::int64_t written_ = 0;
};

/// Replaces the content of a file, whole or not at all.
/// @throws IoError  if it cannot be written; the earlier content is kept
void write_file(const std::filesystem::path& path, std::string_view content);

}  // namespace isotape
