// The law of robustness.
//
// n points of the unit sphere in d dimensions carry labels +-1 drawn at random, and a net fits them
// below the noise: to a mean square error of 1e-3. The conjecture [Bubeck 2021] says that a net of
// two layers with k neurons then has a Lipschitz constant of at least c sqrt(n/k), whatever its
// weights; the theorem [Bubeck 2021b], that any net of p parameters has one of at least about
// sqrt(n d / p). Training does not look for the smallest constant, so that what is measured, the
// largest gradient at 20,000 fresh points, lies on a line above 0 in sqrt(n/k). A penalty on the
// path norm comes nearer to it.

#include <algorithm>
#include <cmath>

#include <isotape/apps/study/random_labels.hpp>
#include <isotape/apps/study/robustness_law.hpp>
#include <isotape/apps/study/studies.hpp>

namespace isotape {

const std::vector<Experiment>& experiments() {
  static const std::vector<double> six = {8, 4, 2, 1, 0.5, 0.25};
  static const std::vector<double> widths = {16, 24, 32, 48, 64, 96, 128};
  static const std::vector<Experiment> list = {
      {"relu", "Two layers, ReLU, d = 20", 20, {100, 200, 400}, six},
      {"relu-wide-start", "The same from large weights", 20, {100, 200, 400}, six, 1, "relu", true},
      {"relu-50", "Two layers, ReLU, d = 50", 50, {200, 400, 800}, {16, 8, 4, 2, 1, 0.5}},
      {"path-norm",
       "With a penalty on the path norm, d = 20",
       20,
       {200, 400},
       {8, 4, 2, 1, 0.5},
       1,
       "relu",
       false,
       true},
      {"square", "Polynomials of degree 2, d = 20", 20, {100, 150}, {8, 4, 2, 1, 0.5}, 1, "square"},
      {"cube",
       "Polynomials of degree 3, d = 20",
       20,
       {100, 200, 400},
       {8, 4, 2, 1, 0.5},
       1,
       "cube"},
      {"deep-2", "Two hidden layers, d = 20", 20, {100, 200, 400}, widths, 2},
      {"deep-3", "Three hidden layers, d = 20", 20, {100, 200, 400}, widths, 3},
  };
  return list;
}

namespace {

constexpr std::int64_t fresh_points = 20000;
constexpr double penalty = 1e-3;  // of the path norm over sqrt(n)

const Experiment& experiment_of(const StudyJson& cell) {
  const auto name = cell.at("net").get<std::string>();
  const auto& list = experiments();
  return *std::find_if(list.begin(), list.end(), [&](const auto& e) { return e.name == name; });
}

std::vector<StudyJson> grid(const StudySettings& settings) {
  const bool full = settings.full;
  std::vector<StudyJson> cells;
  for (const Experiment& e : experiments()) {
    std::vector<std::int64_t> sizes = e.n;
    if (full) sizes.push_back(2 * sizes.back());
    for (const std::int64_t n : sizes) {
      for (const double ratio : e.ratios) {
        const auto width = static_cast<std::int64_t>(
            e.depth > 1 ? ratio : std::round(static_cast<double>(n) / ratio));
        for (std::int64_t draw = 0; draw < (full ? 16 : e.is_penalised ? 4 : 8); ++draw) {
          cells.push_back({{"net", e.name}, {"n", n}, {"width", width}, {"draw", draw}});
        }
      }
    }
  }
  return cells;
}

double largest(const std::vector<double>& values) {
  return *std::max_element(values.begin(), values.end());
}

StudyJson measure(const StudyJson& cell, const StudyContext& context) {
  const Experiment& e = experiment_of(cell);
  const auto n = cell.at("n").get<std::int64_t>();
  const auto width = cell.at("width").get<std::int64_t>();
  const Rng rng = Rng(static_cast<std::uint64_t>(context.settings.seed))
                      .stream(static_cast<std::uint64_t>(cell.at("draw").get<std::int64_t>()));
  const RandomLabels data = random_labels(n, e.d, rng.stream("data"));
  PlainNet options{e.d, {}, std::string(e.activation), e.is_wide_start};
  options.hidden.assign(static_cast<std::size_t>(e.depth), width);
  FreeNet net(options, rng.stream("net"));
  const Fit end = fit(net, data, e.is_penalised ? penalty : 0, context.check_interrupt);
  const Tensor fresh = sphere_points(fresh_points, e.d, rng.stream("fresh"));
  StudyJson result = {{"parameters", net.size()},
                      {"steps", end.steps},
                      {"train_mse", end.mse},
                      {"max_gradient", largest(net.gradient_norms(fresh))},
                      {"max_gradient_tangential", largest(net.gradient_norms(fresh, true))},
                      {"max_gradient_train", largest(net.gradient_norms(data.x))},
                      {"norm_product", net.norm_product()}};
  if (e.depth == 1) result["path_norm"] = net.path_norm().value().item();
  return result;
}

}  // namespace

const Study robustness_law_study = {
    "robustness-law",
    "largest gradient of nets that fit random labels, against sqrt(n/k)",
    "Nets with one hidden layer of k neurons, of ReLU, t^2 or t^3, with and without a penalty on "
    "the "
    "path norm,\nand with two or three hidden layers, fit n random labels on the sphere. Two "
    "minutes "
    "on one core.",
    "",
    grid,
    measure,
    robustness_law_page};

}  // namespace isotape
