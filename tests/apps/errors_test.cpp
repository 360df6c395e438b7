#include <doctest/doctest.h>
#include <new>
#include <sstream>

#include <isotape/apps/errors.hpp>

using namespace isotape;

namespace {

// Code and line for an exception.
template <class E>
std::pair<int, std::string> reported(const E& error) {
  std::ostringstream os;
  try {
    throw error;
  } catch (...) {
    const int code = report_exception(os);
    return {code, os.str()};
  }
}

}  // namespace

TEST_SUITE_BEGIN("apps/errors");

TEST_CASE("report_exception: every kind of error has its exit code") {
  CHECK(reported(UsageError("u")) == std::pair<int, std::string>(2, "isotape: error: u\n"));
  CHECK(reported(ValueError("v")).first == 2);
  CHECK(reported(ShapeError("s")).first == 2);
  CHECK(reported(CheckError("c")).first == 3);
  CHECK(reported(DataError("d")).first == 4);
  CHECK(reported(IoError("i")).first == 1);
  CHECK(reported(NumericError("n")).first == 1);
  CHECK(reported(Interrupted("i")) == std::pair<int, std::string>(130, "isotape: i\n"));
  CHECK(reported(std::bad_alloc()).first == 1);
  CHECK(reported(std::runtime_error("r")).first == 1);
  CHECK(reported(7).first == 1);
}

TEST_CASE("report_exception: prints one line") {
  CHECK(reported(std::runtime_error("a\nb")).second == "isotape: error: a b\n");
}

TEST_SUITE_END();
