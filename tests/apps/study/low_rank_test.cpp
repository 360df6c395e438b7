#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <map>
#include <support/scratch_folder.hpp>

#include <isotape/apps/study/attack_curves.hpp>
#include <isotape/apps/study/cut_net.hpp>
#include <isotape/apps/study/low_rank.hpp>
#include <isotape/apps/study/max_margin.hpp>
#include <isotape/apps/study/representation.hpp>
#include <isotape/apps/study/studies.hpp>
#include <isotape/core/error.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/study/low_rank");

namespace {

const StudySettings settings{"glyphs", 0, 1, false};
const Dataset none;
const std::function<void()> go_on = [] {};

// One for all cases: nets are trained once.
const std::filesystem::path& folder() {
  static const ScratchFolder scratch;
  return scratch.path();
}

StudyContext context() { return {settings, none, go_on, folder()}; }

StudyJson cell(std::string_view net) { return {{"problem", "points"}, {"net", net}, {"draw", 0}}; }

const StudyJson& measured(const std::string& net) {
  static std::map<std::string, StudyJson> results;
  if (!results.contains(net)) results[net] = low_rank_study.measure(cell(net), context());
  return results[net];
}

}  // namespace

TEST_CASE("cut net: what is behind the cut makes the logits of the net of its activations") {
  const LowRankProblem& problem = low_rank_problem("points");
  const Dataset data = data_of(problem, context(), 0);
  const Model net = net_of({problem, "vanilla", 0}, data, context());
  const Tensor x = data.test.images.rows(0, 40);
  const Tensor logits = net.net.forward(Var(x)).value();
  for (const auto layer : {problem.last, problem.early}) {
    CAPTURE(layer);
    const CutNet cut(net, layer);
    CHECK(cut.width() == 256);
    CHECK(max_abs_diff(cut.logits(cut.activations(x)).to(DType::f32), logits) < 1e-4);
  }
  CHECK(CutNet(net, "act2").parameters_behind() == 256 * 10 + 10);
  CHECK_THROWS_AS(CutNet(net, "act9"), ValueError);
}

TEST_CASE("max margin: two classes on a line are parted by most of the widest margin") {
  // Classes at x <= -1 and x >= 3: the widest border is at 1, two from either.
  const Tensor points = Tensor::of({-1, -2, 3, 5}, {4, 1}, DType::f64);
  const std::vector<std::int32_t> labels = {0, 0, 1, 1};
  const MaxMargin found = fit_max_margin(points, labels, 2, go_on);
  const std::vector<double> distances = found.distances(points, labels);
  const double border = -1 + distances[0];
  CHECK(*std::min_element(distances.begin(), distances.end()) > 1.4);
  CHECK(distances[1] == doctest::Approx(border + 2));
  CHECK(distances[2] == doctest::Approx(3 - border));
  CHECK(distances[3] == doctest::Approx(5 - border));
  // A wrong label counts below 0.
  CHECK(found.distances(points, std::vector<std::int32_t>{1, 0, 1, 1})[0] ==
        doctest::Approx(-distances[0]));
}

TEST_CASE("low-rank: variance in ten directions, no accuracy lost, and FGSM leaves more") {
  const StudyJson& vanilla = measured("vanilla");
  const StudyJson& low = measured("rank-10");
  const auto variance = [](const StudyJson& r) { return r.at("variance").at(9).get<double>(); };
  const auto fgsm = [](const StudyJson& r, const char* source) {
    const StudyJson& curve = r.at(source).at("fgsm");
    const auto point =
        std::find_if(curve.begin(), curve.end(), [](const StudyJson& p) { return p.at(0) == 0.2; });
    return point->at(1).get<double>();
  };
  CHECK(variance(low) >= 0.99);
  CHECK(variance(vanilla) < 0.98);
  CHECK(low.at("accuracy").get<double>() > vanilla.at("accuracy").get<double>() - 1);
  CHECK(fgsm(low, "white") > fgsm(vanilla, "white") + 10);

  // More steps and restarts leave less; random signs leave more.
  CHECK(low.at("hard").at("strong").get<double>() <= fgsm(low, "white"));
  CHECK(low.at("hard").at("signs").get<double>() > fgsm(low, "white"));
  // A vanilla net of another start deceives this one less than its own gradients.
  CHECK(fgsm(low, "transfer") > fgsm(low, "white"));
}

TEST_CASE("low-rank: a net comes from the folder with the bits it was trained to") {
  const LowRankProblem& problem = low_rank_problem("points");
  const Dataset data = data_of(problem, context(), 0);
  const Tensor x = data.test.images.rows(0, 40);
  const StudyContext elsewhere = {settings, none, go_on};
  const Model trained = net_of({problem, "rank-10", 0}, data, elsewhere);
  net_of({problem, "rank-10", 0}, data, context());
  CHECK(std::filesystem::exists(folder() / "nets" / "points-rank-10-0.safetensors"));
  const Model kept = net_of({problem, "rank-10", 0}, data, context());
  CHECK(max_abs_diff(kept.net.forward(Var(x)).value(), trained.net.forward(Var(x)).value()) == 0);
}

TEST_CASE("low-rank: steps along ways are as long as they say, and short ones change little") {
  const LowRankProblem& problem = low_rank_problem("points");
  const Dataset data = data_of(problem, context(), 0);
  const Model net = net_of({problem, "vanilla", 0}, data, context());
  const AttackedImages images = attacked_images(data.test, 100, Rng(1));
  CHECK(images.x.shape()[0] == 100);
  const StudyJson moved = along(random_ways(images), net, problem.last, images, go_on);
  const StudyJson& accuracy = moved.at("accuracy");
  REQUIRE(accuracy.size() == moved.at("stability").size());
  for (std::size_t i = 0; i < accuracy.size(); ++i) {
    const double rho = accuracy.at(i).at(0).get<double>();
    CHECK(moved.at("stability").at(i).at(0).get<double>() ==
          doctest::Approx(rho * rho).epsilon(1e-4));
  }
  const CutNet cut(net, problem.last);
  const double right = percent_right(cut.logits(cut.activations(images.x)), images.labels);
  CHECK(std::abs(accuracy.at(0).at(1).get<double>() - right) <= 1);
}

TEST_CASE("low-rank: the report draws whatever cells there are") {
  CHECK(low_rank_study.page({}, settings).figures.empty());
  CHECK(low_rank_study.page({}, settings).sections.empty());
  const std::vector<StudyResult> results = {{cell("vanilla"), measured("vanilla")}};
  const std::string html = to_html(low_rank_study.page(results, settings));
  CHECK(html.find("vanilla") != std::string::npos);
  CHECK(html.find("nan") == std::string::npos);
}

TEST_CASE("low-rank: the grid has every way of training on points, ten draws of them at full") {
  const auto is_points = [](const StudyJson& c) { return c.at("problem") == "points"; };
  const auto some = low_rank_study.cells(settings);
  const auto all = low_rank_study.cells(StudySettings{"", 0, 1, true});
  CHECK(std::count_if(some.begin(), some.end(), is_points) == 18);
  CHECK(std::count_if(all.begin(), all.end(), is_points) == 60);
}

TEST_SUITE_END();
