#include <doctest/doctest.h>

#include <isotape/apps/eps.hpp>
#include <isotape/apps/errors.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/eps");

TEST_CASE("parse_eps: keeps the text as typed beside its value") {
  CHECK(parse_eps("--eps", "1.58") == Eps{"1.58", 1.58});
  CHECK(parse_eps("--eps", "36/255") == Eps{"36/255", 36.0 / 255});
  CHECK(parse_eps("--eps", "1e-2") == Eps{"1e-2", 0.01});
}

TEST_CASE("parse_eps: names flag and value for what is no radius") {
  for (const std::string text : {"abc", "nan", "-1", "0", "36/0", "36/", "/255", "1/2/3", "inf",
                                 "-1/-2", "1/inf", "", "0x1"}) {
    CAPTURE(text);
    CHECK_THROWS_WITH_AS(
        parse_eps("--eps", text),
        ("--eps: expected radii > 0 such as 0.3 or 36/255, got '" + text + "'").c_str(),
        UsageError);
  }
}

TEST_CASE("parse_eps_list: reads a list, and refuses empty and repeated entries") {
  const std::vector<Eps> list = parse_eps_list("--eps", "36/255, 1.58");
  REQUIRE(list.size() == 2);
  CHECK(list[1] == Eps{"1.58", 1.58});
  CHECK_THROWS_AS(parse_eps_list("--eps", "0.3,"), UsageError);
  CHECK_THROWS_WITH_AS(parse_eps_list("--eps", "0.3,1,0.3"),
                       "--eps: expected different radii, got '0.3' twice", UsageError);
}

TEST_SUITE_END();
