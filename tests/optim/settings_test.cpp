#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/optim/settings.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("optim/settings");

TEST_CASE("settings: reads a name and its options, and gives defaults for the rest") {
  Settings settings("sgd:momentum=0.9,nesterov=true,betas=0/0.5,every=step");
  CHECK(settings.name() == "sgd");
  CHECK(settings.number("momentum", 0) == 0.9);
  CHECK(settings.number("eps", 1e-8) == 1e-8);
  CHECK(settings.flag("nesterov", false));
  CHECK_FALSE(settings.flag("decay_all", false));
  CHECK(settings.numbers("betas", {}) == std::vector<double>{0, 0.5});
  CHECK(settings.numbers("knots", {1}) == std::vector<double>{1});
  CHECK(settings.word("every", {"epoch", "step"}, "epoch") == "step");
  CHECK(settings.has("momentum"));
  CHECK_FALSE(settings.has("eps"));
  settings.done();
  CHECK(Settings("adam").name() == "adam");
}

TEST_CASE("settings: spelled() is the shortest text that reads back") {
  CHECK(spelled(0.1) == "0.1");
  CHECK(spelled(1e-8) == "1e-08");
  CHECK(spelled(1) == "1");
  Settings settings("x:third=" + spelled(1.0 / 3));
  CHECK(settings.number("third", 0) == 1.0 / 3);
}

TEST_CASE("settings: says what it cannot read") {
  CHECK_THROWS_WITH_AS(Settings("sgd:nesterov"),
                       "sgd: expected options as key=value, got 'nesterov'", ValueError);
  CHECK_THROWS_WITH_AS(Settings("sgd:"), "sgd: expected options as key=value, got ''", ValueError);
  CHECK_THROWS_WITH_AS(Settings("sgd:a=1,a=2"), "sgd: expected each option once, got a twice",
                       ValueError);
  Settings settings("sgd:a=1x,b=yes,c=0/,d=often");
  CHECK_THROWS_WITH_AS(settings.number("a", 0), "sgd: expected a number for a, got '1x'",
                       ValueError);
  CHECK_THROWS_WITH_AS(settings.flag("b", false), "sgd: expected true or false for b, got 'yes'",
                       ValueError);
  CHECK_THROWS_WITH_AS(settings.numbers("c", {}),
                       "sgd: expected numbers as 0/0.5/1 for c, got '0/'", ValueError);
  CHECK_THROWS_WITH_AS(settings.word("d", {"epoch", "step"}, "step"),
                       "sgd: expected d among epoch, step, got 'often'", ValueError);
}

TEST_CASE("settings: done() refuses an option that nobody asked for") {
  Settings none("constant:final=1");
  CHECK_THROWS_WITH_AS(none.done(), "constant: expected no option, got final", ValueError);
  Settings some("adam:beta=0.9");
  CHECK(some.number("beta1", 0.9) == 0.9);
  CHECK(some.number("beta2", 0.999) == 0.999);
  CHECK_THROWS_WITH_AS(some.done(), "adam: expected an option among beta1, beta2, got beta",
                       ValueError);
}

TEST_SUITE_END();
