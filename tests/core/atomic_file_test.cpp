#include <doctest/doctest.h>
#include <sys/resource.h>
#include <csignal>
#include <string>
#include <support/scratch_folder.hpp>

#include <isotape/core/atomic_file.hpp>
#include <isotape/core/error.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/atomic_file");

TEST_CASE("write_file: creates and replaces a file and leaves nothing else") {
  const ScratchFolder folder;
  write_file(folder / "a", "one");
  CHECK(folder.get("a") == "one");
  write_file(folder / "a", "");
  CHECK(folder.get("a").empty());
  CHECK(folder.entries() == 1);
}

TEST_CASE("atomic_file: the old file stays until commit, and after a discarded one") {
  const ScratchFolder folder;
  folder.put("a", "old");
  {
    AtomicFile file(folder / "a");
    file.write("new");
    CHECK(folder.get("a") == "old");
  }
  CHECK(folder.get("a") == "old");
  CHECK(folder.entries() == 1);
}

TEST_CASE("atomic_file: two writers of one target do not meet") {
  const ScratchFolder folder;
  AtomicFile first(folder / "a");
  AtomicFile second(folder / "a");
  first.write("first");
  second.write("second");
  second.commit();
  first.commit();
  CHECK(folder.get("a") == "first");
  CHECK(folder.entries() == 1);
}

TEST_CASE("write_file: follows a symbolic link instead of replacing it") {
  const ScratchFolder folder;
  folder.put("disk/a", "old");
  std::filesystem::create_symlink("disk/a", folder / "link");
  write_file(folder / "link", "new");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(folder.get("disk/a") == "new");
}

TEST_CASE("write_file: says what it cannot write") {
  const ScratchFolder folder;
  folder.put("file", "");
  const auto error_for = [&](const std::filesystem::path& path) {
    return folder.error<IoError>([&] { write_file(path, "x"); });
  };
  CHECK(error_for(folder / "none/a") ==
        "write: DIR/none/a: cannot be created: No such file or directory");
  CHECK(error_for(folder / "file/a") == "write: DIR/file/a: cannot be created: Not a directory");
  CHECK(error_for(folder.path()) == "write: DIR: expected the name of a file, found a directory");
  CHECK(error_for("/dev/null") ==
        "write: /dev/null: expected a regular file or none, found a device, socket or pipe");
}

TEST_CASE("atomic_file: a full disk leaves the old file and nothing half-written") {
  const ScratchFolder folder;
  folder.put("a", "old");
  // A limit of the file size fails as a full disk does: in write, or as late as in close.
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{8192, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  const std::string in_write = folder.error<IoError>([&] {
    AtomicFile file(folder / "a");
    file.write("head");
    file.write(std::string(100000, 'x'));
  });
  const std::string in_close = folder.error<IoError>([&] {
    AtomicFile file(folder / "a");
    for (int i = 0; i < 10000; ++i) file.write("x");
    file.commit();
  });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  CHECK(in_write ==
        "write: DIR/a: cannot be written: File too large after 4 bytes; what was there is kept");
  CHECK(in_close ==
        "write: DIR/a: cannot be written: File too large after 10000 bytes; what was there is "
        "kept");
  CHECK(folder.get("a") == "old");
  CHECK(folder.entries() == 1);
}

TEST_SUITE_END();
