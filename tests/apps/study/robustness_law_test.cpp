#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>

#include <isotape/apps/study/fit_line.hpp>
#include <isotape/apps/study/random_labels.hpp>
#include <isotape/apps/study/studies.hpp>
#include <isotape/core/error.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/study/robustness_law");

namespace {

StudyJson measure(std::string_view net, std::int64_t n, std::int64_t width, std::int64_t draw) {
  static const StudySettings settings{"", 0, 1, false};
  static const Dataset none;
  static const std::function<void()> go_on = [] {};
  return robustness_law_study.measure({{"net", net}, {"n", n}, {"width", width}, {"draw", draw}},
                                      {settings, none, go_on});
}

}  // namespace

TEST_CASE("fit_line: recovers a line, and says how good it is") {
  const FittedLine line = fit_line({{0, 1}, {1, 3}, {2, 5}, {4, 9}});
  CHECK(line.slope == doctest::Approx(2));
  CHECK(line.intercept == doctest::Approx(1));
  CHECK(line.r == doctest::Approx(1));
  CHECK(fit_line({{0, 0}, {1, 1}, {2, 0}}).r == doctest::Approx(0));
  CHECK(fit_line({{0, 2}, {1, -1}}).r == doctest::Approx(-1));
  CHECK_THROWS_WITH_AS(fit_line({{1, 1}, {1, 2}}),
                       "fit_line: expected two points or more of different x, got 2 with a "
                       "variance of 0",
                       ValueError);
}

TEST_CASE("random_labels: points of the sphere and both signs, a function of the generator") {
  const RandomLabels data = random_labels(400, 5, Rng(3));
  double sum = 0;
  for (std::int64_t i = 0; i < 400; ++i) {
    CHECK(frobenius_norm(data.x.rows(i, i + 1)) == doctest::Approx(1).epsilon(1e-6));
    CHECK(std::abs(data.y.at(i)) == 1);
    sum += data.y.at(i);
  }
  CHECK(std::abs(sum) < 80);  // four standard deviations
  CHECK(max_abs_diff(data.x, random_labels(400, 5, Rng(3)).x) == 0);
  CHECK(max_abs_diff(data.x, random_labels(400, 5, Rng(4)).x) > 0);
}

TEST_CASE("free net: gradient norms are those of differences, along the sphere or not") {
  for (const char* activation : {"relu", "square", "cube"}) {
    CAPTURE(activation);
    FreeNet net({3, {7, 6}, activation}, Rng(2));
    const Tensor x = sphere_points(1, 3, Rng(9));
    const double norm = net.gradient_norms(x)[0];
    double square = 0;
    double along = 0;
    for (std::int64_t j = 0; j < 3; ++j) {
      constexpr double h = 1e-2;
      Tensor up = x.clone();
      Tensor down = x.clone();
      up.write<float>()[j] += static_cast<float>(h);
      down.write<float>()[j] -= static_cast<float>(h);
      const double slope = (net(up).value().item() - net(down).value().item()) / (2 * h);
      square += slope * slope;
      along += slope * x.at(j);
    }
    CHECK(norm == doctest::Approx(std::sqrt(square)).epsilon(0.01));
    const double tangential = net.gradient_norms(x, true)[0];
    CHECK(tangential == doctest::Approx(std::sqrt(square - along * along)).epsilon(0.01));
    CHECK(norm <= net.norm_product() * (activation[0] == 'r' ? 1 : 1e9));
  }
  CHECK(FreeNet({3, {7, 6}, "relu"}, Rng(2)).size() == 3 * 7 + 7 + 7 * 6 + 6 + 6 + 1);
}

TEST_CASE("robustness-law: a cell is fitted, its gradients lie in order, and it repeats its bits") {
  const StudyJson cell = measure("relu", 100, 50, 1);
  CHECK(cell["train_mse"] < 1e-3);
  CHECK(cell["steps"] < 6000);
  CHECK(cell["max_gradient_tangential"] <= cell["max_gradient"]);
  CHECK(cell["max_gradient"] <= cell["path_norm"]);
  CHECK(cell["parameters"] == 20 * 50 + 50 + 50 + 1);
  CHECK(cell == measure("relu", 100, 50, 1));
  CHECK(cell != measure("relu", 100, 50, 2));
}

TEST_CASE("robustness-law: few neurons for each point cost a larger gradient") {
  std::vector<std::pair<double, double>> points;
  for (const std::int64_t ratio : {8, 4, 2, 1}) {
    double mean = 0;
    for (std::int64_t draw = 0; draw < 4; ++draw) {
      mean += measure("relu", 200, 200 / ratio, draw)["max_gradient"].get<double>() / 4;
    }
    points.emplace_back(std::sqrt(static_cast<double>(ratio)), mean);
  }
  CHECK(fit_line(points).r > 0.9);
  const double rise = points.front().second / points.back().second;
  CHECK(rise > 1.4);
  CHECK(rise < 2.1);
}

TEST_CASE("robustness-law: the report draws whatever cells there are") {
  std::vector<StudyResult> results;
  for (const std::int64_t width : {25, 50, 100}) {
    results.push_back({{{"net", "relu"}, {"n", 100}, {"width", width}, {"draw", 0}},
                       measure("relu", 100, width, 0)});
  }
  const StudySettings settings;
  CHECK(robustness_law_study.page({}, settings).figures.empty());
  const StudyPage page = robustness_law_study.page(results, settings);
  REQUIRE(page.sections.front().plots.size() == 1);
  CHECK(page.sections.front().plots[0].series[0].points.size() == 3);
  CHECK(page.sections.front().tables[0].rows.size() == 1);
  CHECK(page.figures.size() == 2);
  CHECK(to_html(page).find("<table>") != std::string::npos);
}

TEST_SUITE_END();
