#include <doctest/doctest.h>
#include <cmath>
#include <string>
#include <vector>

#include <isotape/apps/study/critic.hpp>
#include <isotape/apps/study/studies.hpp>
#include <isotape/apps/study/wasserstein.hpp>
#include <isotape/core/error.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/study/wasserstein");

namespace {

const StudySettings settings{"", 0, 1, false};

StudyJson measured(
    std::string_view problem, std::string_view critic, const std::function<void()>& check = [] {}) {
  static const Dataset none;
  return wasserstein_study.measure({{"problem", problem}, {"critic", critic}, {"draw", 0}},
                                   {settings, none, check});
}

}  // namespace

TEST_CASE("critics: no estimate is above the truth, of any kind, trained or not") {
  for (const TransportProblem& problem : transport_problems()) {
    for (const CriticKind& kind : critic_kinds) {
      CAPTURE(problem.name);
      CAPTURE(kind.name);
      Sequential net = make_critic({problem.dimension, 8, 1, kind.weight, kind.activation}, Rng(3));
      for (const std::int64_t steps : {1, 100}) {
        train_critic(net, problem, {.steps = steps, .rate = 0.01}, Rng(4), [] {});
        const DistanceEstimate found = estimate_distance(net, problem, 3'000, Rng(5));
        const double room = problem.paired ? 1e-6 : 3 * found.standard_error;
        CHECK(found.value <= problem.distance + room);
        CHECK(found.bound > 0);
      }
    }
  }
}

TEST_CASE("wasserstein: MaxMin finds the distance of two radii, ReLU at most three quarters") {
  const StudyJson sorted = measured("two-radii", "orthogonal-max-min");
  CHECK(sorted.at("share").get<double>() >= 0.98);
  CHECK(sorted.at("estimate").get<double>() <= 1 + 1e-6);
  CHECK(sorted.at("bound").get<double>() == doctest::Approx(1).epsilon(1e-4));
  const StudyJson clipped = measured("two-radii", "orthogonal-relu");
  CHECK(clipped.at("share").get<double>() <= 0.75);

  const StudyPage page = wasserstein_study.page(
      {{{{"problem", "two-radii"}, {"critic", "orthogonal-max-min"}, {"draw", 0}}, sorted},
       {{{"problem", "two-radii"}, {"critic", "orthogonal-relu"}, {"draw", 0}}, clipped}},
      settings);
  CHECK(page.figures.size() == 1);
  CHECK(page.sections.at(0).plots.at(0).series.size() == 3);
  CHECK(page.sections.at(1).tables.at(0).rows.size() == 2);
  CHECK(to_html(page).find("nan") == std::string::npos);
  CHECK(wasserstein_study.page({}, settings).figures.empty());
}

TEST_CASE("wasserstein: shifted Gaussians are found by a linear function, within three errors") {
  const StudyJson found = measured("gaussians", "orthogonal-max-min");
  CHECK(found.at("share").get<double>() >= 0.97);
  CHECK(found.at("estimate").get<double>() <= 2 + 3 * found.at("standard_error").get<double>());
}

TEST_CASE("critics: along a line they are 0 at 0 and no steeper than 1") {
  const std::vector<double> places = profile_places();
  for (const TransportProblem& problem : transport_problems()) {
    for (const CriticKind& kind : critic_kinds) {
      const Sequential net =
          make_critic({problem.dimension, 8, 1, kind.weight, kind.activation}, Rng(6));
      const std::vector<double> values = along_line(net, problem, places);
      REQUIRE(values.size() == places.size());
      CHECK(values[places.size() / 2] == 0);
      for (std::size_t i = 1; i < places.size(); ++i) {
        CHECK(std::abs(values[i] - values[i - 1]) <= (places[i] - places[i - 1]) * (1 + 1e-12));
      }
    }
  }
}

TEST_CASE("wasserstein: a person stops a cell, unknown kinds are named") {
  int calls = 0;
  CHECK_THROWS_WITH_AS(measured("two-radii", "orthogonal-sort",
                                [&] {
                                  if (++calls == 3) throw Error("stopped");
                                }),
                       "stopped", Error);
  CHECK_THROWS_WITH_AS(make_critic({.weight = "qr"}, Rng(0)),
                       "make_critic: expected a weight bjorck or spectral-norm, got 'qr'",
                       ValueError);
  CHECK_THROWS_WITH_AS(make_critic({.activation = "tanh"}, Rng(0)),
                       "make_critic: expected an activation max-min, sort or relu, got 'tanh'",
                       ValueError);
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("slow/wasserstein");

TEST_CASE("wasserstein: MaxMin finds 95 % of three cones and 90 % of the shell") {
  const StudyJson cones = measured("three-cones", "orthogonal-max-min");
  CHECK(cones.at("share").get<double>() >= 0.95);
  CHECK(cones.at("estimate").get<double>() <= 1 + 1e-6);
  const StudyJson shell = measured("shell", "orthogonal-max-min");
  CHECK(shell.at("share").get<double>() >= 0.90);
  CHECK(shell.at("estimate").get<double>() <= 1 + 1e-6);
}

TEST_SUITE_END();
