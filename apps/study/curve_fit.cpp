// Fitting a square wave under a Lipschitz bound.
//
// Nets of some 130,000 weights and a proved bound gamma learn a square wave from 300 points
// [Wang 2023, section 5.1]. Its jumps ask for slopes beyond any bound: whatever slope a net does
// not reach is lost to its layers, not to the bound. Tightness is the largest slope found over
// gamma; the mean square error has the proved least value 1 / (16 gamma).

#include <isotape/apps/study/curve_fit.hpp>

#include <cmath>
#include <map>
#include <string>

#include <isotape/apps/study/lipschitz_fit.hpp>
#include <isotape/apps/study/square_wave.hpp>
#include <isotape/apps/study/studies.hpp>
#include <isotape/layers/lbdn_nets.hpp>
#include <isotape/layers/model.hpp>

namespace isotape {
namespace {

constexpr std::int64_t train_points = 300;
constexpr std::int64_t test_points = 200;
constexpr std::int64_t cells_of_slope = 24000;  // on [-3, 3]
constexpr std::int64_t cells_of_error = 40000;  // on [-2, 2], each jump between two points

std::vector<StudyJson> grid(const StudySettings& settings) {
  const bool full = settings.full;
  std::vector<StudyJson> cells;
  for (int draw = 0; draw < (full ? 20 : 5); ++draw) {
    for (const CurveLayer& layer : curve_layers) {
      for (const int gamma : curve_gammas) {
        cells.push_back({{"layer", layer.name}, {"gamma", gamma}, {"draw", draw}});
      }
    }
  }
  return cells;
}

double error_at(const Module& net, const Samples& samples) {
  const Tensor y = net.forward(samples.x).value();
  double sum = 0;
  for (std::int64_t i = 0; i < y.size(); ++i) sum += std::pow(y.at(i) - samples.y.at(i), 2);
  return sum / static_cast<double>(y.size());
}

// Midpoints of cells of [-2, 2], which stand as far from a jump on its left as on its right.
constexpr double half_cell = 2.0 / cells_of_error;
double midpoint(std::int64_t i) { return -2 + half_cell * (2 * static_cast<double>(i) + 1); }

// The mean square error of f(i, x) over them.
template <class F>
double error_everywhere(F&& f) {
  double sum = 0;
  for (std::int64_t i = 0; i < cells_of_error; ++i) {
    const double x = midpoint(i);
    sum += std::pow(f(i, x) - square_wave(x), 2);
  }
  return sum / static_cast<double>(cells_of_error);
}

double error_of(const Module& net) {
  const auto values =
      values_on_grid(net, midpoint(0), midpoint(cells_of_error - 1), cells_of_error - 1);
  return error_everywhere(
      [&](std::int64_t i, double /*x*/) { return values[static_cast<std::size_t>(i)]; });
}

// What the best fit of the same points within the bound comes to.
double error_of_best_fit(const Samples& samples, double gamma) {
  std::map<double, double> sorted;
  for (std::int64_t i = 0; i < samples.x.size(); ++i) sorted[samples.x.at(i)] = samples.y.at(i);
  const auto fit = lipschitz_fit({sorted.begin(), sorted.end()}, gamma);
  return error_everywhere([&](std::int64_t /*i*/, double x) { return polygon_at(fit, x); });
}

// Weights as the published code draws them: of AOL normal of deviation sqrt(2 / (in + out)), of
// Cayley uniform in +-1 / sqrt(in). Others start so here, too.
void start_as_published(std::string_view layer, Sequential& net, Rng rng) {
  if (layer != "aol" && layer != "cayley") return;
  for (const auto& [name, parameter] : net.parameters()) {
    const Shape& shape = parameter->value().shape();
    if (!name.ends_with(".raw")) continue;
    Rng own = rng.stream(name);
    const auto in = static_cast<double>(shape[1]);
    const auto out = static_cast<double>(shape[0]);
    const double limit = 1 / std::sqrt(in);
    parameter->write() = layer == "aol" ? random_normal(own, shape, std::sqrt(2 / (in + out)))
                                        : random_uniform(own, shape, -limit, limit);
  }
}

// To five places: enough for a picture.
StudyJson rounded(const std::vector<double>& values) {
  StudyJson list = StudyJson::array();
  for (const double value : values) list.push_back(std::round(value * 1e5) / 1e5);
  return list;
}

StudyJson measure(const StudyJson& cell, const StudyContext& context) {
  const auto gamma = cell.at("gamma").get<double>();
  const auto name = "lbdn-curve:" + cell.at("layer").get<std::string>();
  const Rng rng = Rng(static_cast<std::uint64_t>(context.settings.seed))
                      .stream(static_cast<std::uint64_t>(cell.at("draw").get<std::int64_t>()));
  const Samples train = random_samples(train_points, rng.stream("points"));
  Model model = build_model(with_gamma(named_model(name), gamma), {1}, 1, rng.stream("net"));
  start_as_published(cell.at("layer").get<std::string>(), model.net, rng.stream("start"));
  fit_curve(model.net, train, {}, rng.stream("order"), context.check_interrupt);
  const double slope = steepest_secant(values_on_grid(model.net, -3, 3, cells_of_slope), -3, 3);
  return {{"parameters", parameter_count(model.net.parameters())},
          {"bound", model.net.lipschitz_bound().value},
          {"steepest_slope", slope},
          {"tightness", 100 * slope / gamma},
          {"train_mse", error_at(model.net, train)},
          {"test_mse", error_at(model.net, even_samples(test_points))},
          {"mse", error_of(model.net)},
          {"best_fit_mse", error_of_best_fit(train, gamma)},
          {"curve", rounded(values_on_grid(model.net, -2, 2, curve_points))}};
}

}  // namespace

const Study curve_fit_study = {
    "curve-fit",
    "a square wave under the bounds 1, 5 and 10: how much of the bound a net uses",
    "Nets of ten AOL, orthogonal (Cayley), SLL or sandwich layers learn a square wave from 300 "
    "points: largest\nslope found over the bound, and mean square error over the least one that "
    "the "
    "bound allows. Two minutes\non one core.",
    "",
    grid,
    measure,
    curve_fit_page};

}  // namespace isotape
