#include <doctest/doctest.h>

#include <isotape/apps/argument.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/suggestion.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/argument");

TEST_CASE("to_number: takes the whole text or nothing") {
  CHECK(to_number("1e-3") == 1e-3);
  CHECK(to_number("-2") == -2);
  for (const char* text : {"", "1.5x", "x", " 1", "1 ", "0x10", "1,5", "+"}) {
    CAPTURE(text);
    CHECK_FALSE(to_number(text).has_value());
  }
  CHECK_FALSE(to_integer("1.5").has_value());
  CHECK_FALSE(to_integer("99999999999999999999").has_value());
}

TEST_CASE("parse_number: refuses what is outside the limits, and what is no number") {
  const Limits rate{0, 1e9, true, "a number > 0"};
  CHECK(parse_number("--lr", "0.5", rate) == 0.5);
  for (const char* text : {"0", "-1", "nan", "-nan", "inf", "1e400", "abc", ""}) {
    CAPTURE(text);
    CHECK_THROWS_WITH_AS(parse_number("--lr", text, rate),
                         ("--lr: expected a number > 0, got '" + std::string(text) + "'").c_str(),
                         UsageError);
  }
}

TEST_CASE("parse_integer: refuses fractions and zero where it makes no sense") {
  const Limits count{1, 1e9, false, "an integer >= 1"};
  CHECK(parse_integer("--epochs", "5", count) == 5);
  CHECK_THROWS_WITH_AS(parse_integer("--epochs", "0", count),
                       "--epochs: expected an integer >= 1, got '0'", UsageError);
  CHECK_THROWS_WITH_AS(parse_integer("--epochs", "2.5", count),
                       "--epochs: expected an integer >= 1, got '2.5'", UsageError);
}

TEST_CASE("parse_word: names the choices, and the nearest") {
  CHECK(parse_word("--loss", "multi-margin", {"multi-margin", "cross-entropy"}) == "multi-margin");
  CHECK_THROWS_WITH_AS(parse_word("--loss", "crossentropy", {"multi-margin", "cross-entropy"}),
                       "--loss: expected multi-margin or cross-entropy, got 'crossentropy'; did "
                       "you mean cross-entropy?",
                       UsageError);
  CHECK_THROWS_WITH_AS(parse_word("--data", "", {}), "--data: expected a value, got ''",
                       UsageError);
}

TEST_CASE("parse_extents: reads a shape") {
  CHECK(parse_extents("--input", "28x28x1") == std::vector<std::int64_t>{28, 28, 1});
  CHECK(parse_extents("--input", "7") == std::vector<std::int64_t>{7});
  for (const char* text : {"", "x", "28x", "28x-1", "0x1", "1x1x1x1x1x1x1", "2x3.5"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_extents("--input", text), UsageError);
  }
}

TEST_CASE("parse_integers, parse_words, parse_matrices: read lists, and refuse what is none") {
  CHECK(parse_words("--methods", "b,a", {"a", "b"}) == std::vector<std::string>{"b", "a"});
  CHECK_THROWS_WITH_AS(parse_words("--methods", "a,c", {"a", "b"}),
                       "--methods: expected a or b, got 'c'", UsageError);
  CHECK_THROWS_AS(parse_words("--methods", "a,", {"a", "b"}), UsageError);
  const Limits limits{1, 64, false, "an integer in 1..64"};
  CHECK(parse_integers("--threads", "1,2,16", limits) == std::vector<std::int64_t>{1, 2, 16});
  for (const char* text : {"", "1,", ",1", "1,,2", "0", "1,65", "1 2"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_integers("--threads", text, limits), UsageError);
  }
  CHECK(parse_matrices("--matrices", "8x9,2x3x4") ==
        std::vector<std::vector<std::int64_t>>{{8, 9}, {2, 3, 4}});
  for (const char* text : {"", "8", "8x9,", "1x2x3x4", "8x0"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_matrices("--matrices", text), UsageError);
  }
}

TEST_CASE("did_you_mean: suggests the nearest name, or nothing when none is near") {
  CHECK(did_you_mean("--epoch", {"--eps", "--epochs"}) == "; did you mean --epochs?");
  CHECK(did_you_mean("trian", {"train", "eval"}) == "; did you mean train?");
  CHECK(did_you_mean("banana", {"train", "eval"}).empty());
  CHECK(did_you_mean("x", {}).empty());
}

TEST_SUITE_END();
