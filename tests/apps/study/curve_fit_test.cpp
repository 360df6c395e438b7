#include <doctest/doctest.h>
#include <cmath>
#include <utility>
#include <vector>

#include <isotape/apps/study/curve_fit.hpp>
#include <isotape/apps/study/lipschitz_fit.hpp>
#include <isotape/apps/study/square_wave.hpp>
#include <isotape/apps/study/studies.hpp>
#include <isotape/core/error.hpp>
#include <isotape/layers/lbdn_nets.hpp>
#include <isotape/layers/model.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/study/curve_fit");

namespace {

using Points = std::vector<std::pair<double, double>>;

const StudySettings settings{"", 0, 1, false};

}  // namespace

TEST_CASE("square wave: the best fit within a bound keeps it and has the least error") {
  for (const double gamma : {1.0, 5.0, 10.0}) {
    CAPTURE(gamma);
    constexpr int cells = 400000;
    double error = 0;
    double slope = 0;
    double before = best_fit(-2, gamma);
    for (int i = 0; i < cells; ++i) {
      const double x = -2 + 4 * (i + 0.5) / cells;
      const double f = best_fit(x, gamma);
      error += std::pow(f - square_wave(x), 2) / cells;
      if (i > 0) slope = std::max(slope, std::abs(f - before) * cells / 4);
      before = f;
    }
    CHECK(error == doctest::Approx(least_error(gamma)).epsilon(1e-4));
    CHECK(least_error(gamma) == doctest::Approx(1 / (16 * gamma)));
    CHECK(slope == doctest::Approx(gamma).epsilon(1e-6));
  }
}

TEST_CASE("lipschitz fit: a step of two points is met in the middle, as far as the bound allows") {
  const auto fit = lipschitz_fit({{0, 0}, {0.5, 1}}, 1);
  CHECK(fit[0].second == doctest::Approx(0.25).epsilon(1e-3));
  CHECK(fit[1].second == doctest::Approx(0.75).epsilon(1e-3));
  // Points that keep the bound are their own fit.
  const Points tame = {{-1, 0.2}, {0, 0.9}, {2, 0.1}};
  const auto same = lipschitz_fit(tame, 1);
  for (std::size_t i = 0; i < tame.size(); ++i) {
    CHECK(std::abs(same[i].second - tame[i].second) < 1e-4);
  }
  CHECK(polygon_at(tame, -0.5) == doctest::Approx(0.55));
  CHECK(polygon_at(tame, -3) == 0.2);
  CHECK(polygon_at(tame, 3) == 0.1);
  CHECK_THROWS_WITH_AS(lipschitz_fit({{1, 0}, {0, 1}}, 1),
                       "lipschitz_fit: expected ascending points, got 0 behind 1", ValueError);
}

TEST_CASE("steepest secant: of a sine it is 1, seen through a net it is at most the bound") {
  std::vector<double> sine;
  for (int i = 0; i <= 1000; ++i) sine.push_back(std::sin(-3 + 6 * i / 1000.0));
  CHECK(steepest_secant(sine, -3, 3) == doctest::Approx(1).epsilon(1e-5));
  for (const CurveLayer& layer : curve_layers) {
    CAPTURE(layer.name);
    const std::string name = "lbdn-curve:" + std::string(layer.name);
    const Model model = build_model(with_gamma(named_model(name), 5), {1}, 1, Rng(3));
    CHECK(steepest_secant(values_on_grid(model.net, -3, 3, 600), -3, 3) <=
          model.net.lipschitz_bound().value * (1 + 1e-9));
  }
}

TEST_CASE("curve-fit: sandwich layers use the bound, and no error is below the least one") {
  static const Dataset none;
  const std::function<void()> go_on = [] {};
  const StudyJson cell = {{"layer", "sandwich"}, {"gamma", 1}, {"draw", 0}};
  const StudyContext context{settings, none, go_on};
  const StudyJson result = curve_fit_study.measure(cell, context);
  CHECK(result.at("tightness").get<double>() >= 99);
  CHECK(result.at("tightness").get<double>() <= 100 * (1 + 1e-6));
  CHECK(result.at("bound").get<double>() >= result.at("steepest_slope").get<double>());
  CHECK(result.at("mse").get<double>() >= least_error(1));
  CHECK(result.at("mse").get<double>() <= 1.25 * least_error(1));
  CHECK(result.at("best_fit_mse").get<double>() >= least_error(1));
  CHECK(result.at("curve").size() == curve_points + 1);

  const StudyPage page = curve_fit_study.page({{cell, result}}, settings);
  CHECK(page.figures.size() == 2);
  const std::string html = to_html(page);
  CHECK(html.find("best possible") != std::string::npos);
  CHECK(html.find("nan") == std::string::npos);
  CHECK(curve_fit_study.page({}, settings).figures.empty());
}

TEST_CASE("curve-fit: a person stops a cell") {
  static const Dataset none;
  int calls = 0;
  const std::function<void()> stop = [&] {
    if (++calls == 3) throw Error("stopped");
  };
  const StudyJson cell = {{"layer", "aol"}, {"gamma", 1}, {"draw", 0}};
  CHECK_THROWS_WITH_AS(curve_fit_study.measure(cell, {settings, none, stop}), "stopped", Error);
}

TEST_SUITE_END();
