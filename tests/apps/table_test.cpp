#include <doctest/doctest.h>

#include <isotape/apps/table.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/table");

TEST_CASE("table: sets numbers flush right and words flush left, without trailing blanks") {
  CHECK(table({{"layer", "count"}, {"a", "1,000"}, {"long", "2"}}) ==
        "layer  count\n"
        "-----  -----\n"
        "a      1,000\n"
        "long       2\n");
  CHECK(table({{"x", "what"}, {"1", ""}, {"22", "word"}}) ==
        " x  what\n"
        "--  ----\n"
        " 1\n"
        "22  word\n");
}

TEST_CASE("with_commas: groups digits by three") {
  CHECK(with_commas(0) == "0");
  CHECK(with_commas(999) == "999");
  CHECK(with_commas(1000) == "1,000");
  CHECK(with_commas(2913290) == "2,913,290");
  CHECK(with_commas(-1000) == "-1,000");
  CHECK(with_commas(-100) == "-100");
}

TEST_SUITE_END();
