#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/optim/schedule.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("optim/schedule");

namespace {

constexpr std::int64_t per_epoch = 10;

// The factor throughout epoch e = 1, 2, ...; nan if it changes within.
double of_epoch(const Schedule& schedule, std::int64_t e, std::int64_t epochs) {
  const double first = schedule.factor((e - 1) * per_epoch, per_epoch, epochs);
  const double last = schedule.factor(e * per_epoch - 1, per_epoch, epochs);
  return first == last ? first : std::numeric_limits<double>::quiet_NaN();
}

double of_step(const Schedule& schedule, std::int64_t step, std::int64_t steps) {
  return schedule.factor(step, steps, 1);
}

}  // namespace

TEST_CASE("schedule: constant is 1 throughout") {
  for (const std::int64_t step : {0, 1, 99}) CHECK(Schedule().factor(step, 10, 10) == 1);
  CHECK(Schedule::parse("constant").factor(7, 10, 10) == 1);
}

TEST_CASE("schedule: exponential is 10^(-3 (e - 1) / E) in epoch e of E, unless told otherwise") {
  const Schedule schedule = Schedule::parse("exponential");
  for (const std::int64_t epochs : {1, 2, 5, 200}) {
    for (std::int64_t e = 1; e <= epochs; ++e) {
      const double expected = std::pow(10, -3 * double(e - 1) / double(epochs));
      CHECK(of_epoch(schedule, e, epochs) == doctest::Approx(expected).epsilon(1e-14));
    }
  }
  CHECK(of_epoch(schedule, 1, 5) == 1);
}

TEST_CASE("schedule: exponential with gamma, ahead, is gamma^e, whatever the length of the run") {
  const double gamma = std::pow(10, -1.0 / 60);
  const Schedule schedule(Exponential{.gamma = gamma, .ahead = true}, Every::epoch);
  for (const std::int64_t e : {1, 2, 60, 200}) {
    const double expected = std::pow(gamma, double(e));
    CHECK(of_epoch(schedule, e, 200) == doctest::Approx(expected).epsilon(1e-14));
    CHECK(of_epoch(schedule, e, 500) == of_epoch(schedule, e, 200));
  }
  CHECK(of_epoch(schedule, 1, 200) == doctest::Approx(0.96235062639));
  CHECK(of_epoch(schedule, 60, 200) == doctest::Approx(0.1));
  CHECK(of_epoch(Schedule::parse("exponential:gamma=0.5"), 3, 9) == doctest::Approx(0.25));
}

TEST_CASE("schedule: exponential by steps passes through the values of the epochs' beginnings") {
  const Schedule by_step = Schedule::parse("exponential:every=step");
  const Schedule by_epoch = Schedule::parse("exponential");
  for (std::int64_t step = 0; step < 50; step += per_epoch) {
    CHECK(by_step.factor(step, per_epoch, 5) == by_epoch.factor(step, per_epoch, 5));
  }
  CHECK(by_step.factor(25, per_epoch, 5) == doctest::Approx(std::pow(10, -1.5)));
  const Schedule ahead = Schedule::parse("exponential:gamma=0.5,ahead=1,every=step");
  CHECK(ahead.factor(9, per_epoch, 5) == doctest::Approx(0.5));
}

TEST_CASE(
    "schedule: cosine starts at 1, is half-way in the middle, and tends to its final factor") {
  const Schedule schedule(Cosine{.final = 0.2}, Every::step);
  CHECK(of_step(schedule, 0, 100) == 1);
  CHECK(of_step(schedule, 50, 100) == doctest::Approx(0.6));
  CHECK(of_step(schedule, 99, 100) == doctest::Approx(0.2).epsilon(1e-2));
  CHECK(of_step(schedule, 100, 100) == doctest::Approx(0.2));
  CHECK(of_step(schedule, 130, 100) == doctest::Approx(0.2));
  const Schedule by_epoch = Schedule::parse("cosine");
  CHECK(of_epoch(by_epoch, 1, 2) == 1);
  CHECK(of_epoch(by_epoch, 2, 2) == doctest::Approx(0.5));
}

TEST_CASE("schedule: piecewise-linear joins its knots, and jumps where two share a place") {
  const Schedule schedule =
      Schedule::parse("piecewise-linear:at=0.1/0.3/0.5/0.5/0.9,factors=0/1/1/0.1/0.01");
  CHECK(of_step(schedule, 0, 100) == 0);
  CHECK(of_step(schedule, 10, 100) == 0);
  CHECK(of_step(schedule, 20, 100) == doctest::Approx(0.5));
  CHECK(of_step(schedule, 30, 100) == doctest::Approx(1));
  CHECK(of_step(schedule, 49, 100) == doctest::Approx(1));
  CHECK(of_step(schedule, 50, 100) == doctest::Approx(0.1));
  CHECK(of_step(schedule, 70, 100) == doctest::Approx(0.055));
  CHECK(of_step(schedule, 99, 100) == 0.01);
  const Schedule plain = Schedule::parse("piecewise-linear");
  CHECK(of_step(plain, 0, 100) == 0.1);
  CHECK(of_step(plain, 20, 100) == doctest::Approx(1));
}

TEST_CASE(
    "schedule: one-cycle rises to 1 at the end of its warmup, and falls to its final factor") {
  const Schedule schedule = Schedule::parse("one-cycle:warmup=0.25,start=0.1,final=0.001");
  CHECK(of_step(schedule, 0, 200) == doctest::Approx(0.1));
  CHECK(of_step(schedule, 25, 200) == doctest::Approx(0.55));
  CHECK(of_step(schedule, 50, 200) == doctest::Approx(1));
  CHECK(of_step(schedule, 125, 200) == doctest::Approx(0.5005));
  CHECK(of_step(schedule, 200, 200) == doctest::Approx(0.001));
  for (std::int64_t step = 1; step < 200; ++step) {
    const double change = of_step(schedule, step, 200) - of_step(schedule, step - 1, 200);
    CHECK((step <= 50) == (change > 0));
  }
}

TEST_CASE("schedule: describe() gives the text that parses to the same schedule") {
  for (const char* const text :
       {"constant", "exponential", "exponential:gamma=0.9623506263980885,ahead=1",
        "exponential:final=0.01,every=step", "cosine:final=0.25,every=step", "piecewise-linear",
        "piecewise-linear:at=0/0.5,factors=1/0.3,every=epoch", "one-cycle:warmup=0.1"}) {
    const Schedule schedule = Schedule::parse(text);
    const Schedule again = Schedule::parse(schedule.describe());
    CAPTURE(text);
    CHECK(again.describe() == schedule.describe());
    for (const std::int64_t step : {0, 7, 10, 33, 59}) {
      CHECK(again.factor(step, 10, 6) == schedule.factor(step, 10, 6));
    }
  }
  CHECK(Schedule::parse("exponential").describe() == "exponential:final=0.001,ahead=0,every=epoch");
  CHECK(Schedule().describe() == "constant:every=epoch");
}

TEST_CASE("schedule: rejects unknown names and options, and values out of range") {
  const auto parse = [](const char* text) { return Schedule::parse(text); };
  CHECK_THROWS_WITH_AS(parse("linear"),
                       "schedule: expected a name among constant, exponential, cosine, "
                       "piecewise-linear, one-cycle, got 'linear'",
                       ValueError);
  CHECK_THROWS_WITH_AS(parse("cosine:start=1"),
                       "cosine: expected an option among every, final, got start", ValueError);
  CHECK_THROWS_WITH_AS(parse("cosine:final=-1"), "cosine: expected final >= 0, got -1", ValueError);
  CHECK_THROWS_WITH_AS(parse("cosine:every=day"),
                       "cosine: expected every among epoch, step, got 'day'", ValueError);
  CHECK_THROWS_WITH_AS(parse("exponential:final=0"), "exponential: expected final > 0, got 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(parse("exponential:gamma=nan"), "exponential: expected gamma > 0, got nan",
                       ValueError);
  CHECK_THROWS_WITH_AS(parse("exponential:gamma=0.9,final=0.1"),
                       "exponential: expected final or gamma, got both", ValueError);
  CHECK_THROWS_WITH_AS(parse("piecewise-linear:at=0.5/0.2,factors=1/2"),
                       "piecewise-linear: expected ascending places in [0, 1], got 0.2 after 0.5",
                       ValueError);
  CHECK_THROWS_WITH_AS(parse("piecewise-linear:at=0.5,factors=-1"),
                       "piecewise-linear: expected factors >= 0, got -1", ValueError);
  CHECK_THROWS_WITH_AS(parse("piecewise-linear:at=0.5"),
                       "piecewise-linear: expected both at and factors, or neither", ValueError);
  CHECK_THROWS_WITH_AS(parse("piecewise-linear:at=0/1,factors=1"),
                       "piecewise-linear: expected as many factors as places, got 1 and 2",
                       ValueError);
  CHECK_THROWS_WITH_AS(Schedule(PiecewiseLinear{.knots = {}}, Every::step),
                       "piecewise-linear: expected at least one knot", ValueError);
  CHECK_THROWS_WITH_AS(parse("one-cycle:warmup=1"), "one-cycle: expected warmup in (0, 1), got 1",
                       ValueError);
  CHECK_THROWS_WITH_AS(parse("one-cycle:start=-1"), "one-cycle: expected start >= 0, got -1",
                       ValueError);
  CHECK_THROWS_WITH_AS(parse("one-cycle:final=inf"), "one-cycle: expected final >= 0, got inf",
                       ValueError);
  CHECK_THROWS_WITH_AS(Schedule().factor(-1, 10, 1),
                       "schedule: expected step >= 0, steps_per_epoch >= 1 and epochs >= 1, got "
                       "-1, 10 and 1",
                       ValueError);
}

TEST_SUITE_END();
