#include <isotape/optim/schedule.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <isotape/core/error.hpp>
#include <isotape/optim/settings.hpp>

namespace isotape {
namespace {

bool is_factor(double value) { return std::isfinite(value) && value >= 0; }

// From 1 at t = 0 to 0 at t = 1.
double half_wave(double t) { return 0.5 * (1 + std::cos(std::numbers::pi * t)); }

void check(const Constant& /*kind*/) {}

void check(const Exponential& kind) {
  require<ValueError>(is_factor(kind.final) && kind.final > 0,
                      "exponential: expected final > 0, got ", kind.final);
  require<ValueError>(!kind.gamma || (is_factor(*kind.gamma) && *kind.gamma > 0),
                      "exponential: expected gamma > 0, got ", kind.gamma.value_or(0));
}

void check(const Cosine& kind) {
  require<ValueError>(is_factor(kind.final), "cosine: expected final >= 0, got ", kind.final);
}

void check(const PiecewiseLinear& kind) {
  require<ValueError>(!kind.knots.empty(), "piecewise-linear: expected at least one knot");
  double last = 0;
  for (const PiecewiseLinear::Knot& knot : kind.knots) {
    require<ValueError>(last <= knot.at && knot.at <= 1,
                        "piecewise-linear: expected ascending places in [0, 1], got ", knot.at,
                        " after ", last);
    require<ValueError>(is_factor(knot.factor), "piecewise-linear: expected factors >= 0, got ",
                        knot.factor);
    last = knot.at;
  }
}

void check(const OneCycle& kind) {
  require<ValueError>(0 < kind.warmup && kind.warmup < 1,
                      "one-cycle: expected warmup in (0, 1), got ", kind.warmup);
  require<ValueError>(is_factor(kind.start), "one-cycle: expected start >= 0, got ", kind.start);
  require<ValueError>(is_factor(kind.final), "one-cycle: expected final >= 0, got ", kind.final);
}

// A place in the run: epochs (or fractions of them) passed, and to be run.
struct Place {
  double passed;
  double epochs;
  double step;  // one epoch or one step, in epochs
  double part() const { return std::min(passed / epochs, 1.0); }
};

double factor_at(const Constant& /*kind*/, const Place& /*place*/) { return 1; }

double factor_at(const Exponential& kind, Place place) {
  if (kind.ahead) place.passed += place.step;
  return kind.gamma ? std::pow(*kind.gamma, place.passed) : std::pow(kind.final, place.part());
}

double factor_at(const Cosine& kind, const Place& place) {
  return kind.final + (1 - kind.final) * half_wave(place.part());
}

double factor_at(const PiecewiseLinear& kind, const Place& place) {
  const double t = place.part();
  const auto right = std::find_if(kind.knots.begin(), kind.knots.end(),
                                  [t](const PiecewiseLinear::Knot& knot) { return t < knot.at; });
  if (right == kind.knots.begin()) return right->factor;
  const auto left = right - 1;
  if (right == kind.knots.end()) return left->factor;
  return left->factor + (right->factor - left->factor) * (t - left->at) / (right->at - left->at);
}

double factor_at(const OneCycle& kind, const Place& place) {
  const double t = place.part();
  if (t < kind.warmup) return 1 + (kind.start - 1) * half_wave(t / kind.warmup);
  return kind.final + (1 - kind.final) * half_wave((t - kind.warmup) / (1 - kind.warmup));
}

std::string text_of(const Constant& /*kind*/) { return "constant:"; }

std::string text_of(const Exponential& kind) {
  const std::string rate =
      kind.gamma ? "gamma=" + spelled(*kind.gamma) : "final=" + spelled(kind.final);
  return "exponential:" + rate + (kind.ahead ? ",ahead=1," : ",ahead=0,");
}

std::string text_of(const Cosine& kind) { return "cosine:final=" + spelled(kind.final) + ","; }

std::string text_of(const PiecewiseLinear& kind) {
  std::string places;
  std::string factors;
  for (const PiecewiseLinear::Knot& knot : kind.knots) {
    places += (places.empty() ? "" : "/") + spelled(knot.at);
    factors += (factors.empty() ? "" : "/") + spelled(knot.factor);
  }
  return "piecewise-linear:at=" + places + ",factors=" + factors + ",";
}

std::string text_of(const OneCycle& kind) {
  return "one-cycle:warmup=" + spelled(kind.warmup) + ",start=" + spelled(kind.start) +
         ",final=" + spelled(kind.final) + ",";
}

Exponential read_exponential(Settings& settings) {
  Exponential kind;
  require<ValueError>(!settings.has("final") || !settings.has("gamma"),
                      "exponential: expected final or gamma, got both");
  kind.final = settings.number("final", kind.final);
  const bool by_epoch = settings.has("gamma");
  const double gamma = settings.number("gamma", 1);
  if (by_epoch) kind.gamma = gamma;
  kind.ahead = settings.flag("ahead", kind.ahead);
  return kind;
}

PiecewiseLinear read_piecewise_linear(Settings& settings) {
  require<ValueError>(settings.has("at") == settings.has("factors"),
                      "piecewise-linear: expected both at and factors, or neither");
  const std::vector<double> at = settings.numbers("at", {});
  const std::vector<double> factors = settings.numbers("factors", {});
  require<ValueError>(at.size() == factors.size(),
                      "piecewise-linear: expected as many factors as places, got ", factors.size(),
                      " and ", at.size());
  PiecewiseLinear kind;
  if (!at.empty()) kind.knots.clear();
  for (std::size_t i = 0; i < at.size(); ++i) kind.knots.push_back({at[i], factors[i]});
  return kind;
}

OneCycle read_one_cycle(Settings& settings) {
  OneCycle kind;
  kind.warmup = settings.number("warmup", kind.warmup);
  kind.start = settings.number("start", kind.start);
  kind.final = settings.number("final", kind.final);
  return kind;
}

}  // namespace

Schedule::Schedule(Kind kind, Every every) : kind_(std::move(kind)), every_(every) {
  std::visit([](const auto& k) { check(k); }, kind_);
}

Schedule Schedule::parse(std::string_view text) {
  const std::vector<std::string> names = {"constant", "exponential", "cosine", "piecewise-linear",
                                          "one-cycle"};
  Settings settings(text);
  const std::string& name = settings.name();
  require<ValueError>(std::find(names.begin(), names.end(), name) != names.end(),
                      "schedule: expected a name among ", listed(names), ", got '", name, "'");
  const bool by_step = name == "piecewise-linear" || name == "one-cycle";
  const std::string every = settings.word("every", {"epoch", "step"}, by_step ? "step" : "epoch");
  Kind kind = Constant{};
  if (name == "exponential") kind = read_exponential(settings);
  if (name == "cosine") kind = Cosine{.final = settings.number("final", 0)};
  if (name == "piecewise-linear") kind = read_piecewise_linear(settings);
  if (name == "one-cycle") kind = read_one_cycle(settings);
  settings.done();
  return {std::move(kind), every == "step" ? Every::step : Every::epoch};
}

std::string Schedule::describe() const {
  const std::string kind = std::visit([](const auto& k) { return text_of(k); }, kind_);
  return kind + (every_ == Every::step ? "every=step" : "every=epoch");
}

double Schedule::factor(std::int64_t step, std::int64_t steps_per_epoch,
                        std::int64_t epochs) const {
  require<ValueError>(step >= 0 && steps_per_epoch >= 1 && epochs >= 1,
                      "schedule: expected step >= 0, steps_per_epoch >= 1 and epochs >= 1, got ",
                      step, ", ", steps_per_epoch, " and ", epochs);
  const bool by_step = every_ == Every::step;
  const std::int64_t last_change = by_step ? step : step - step % steps_per_epoch;
  const auto per_epoch = static_cast<double>(steps_per_epoch);
  const Place place{.passed = static_cast<double>(last_change) / per_epoch,
                    .epochs = static_cast<double>(epochs),
                    .step = by_step ? 1 / per_epoch : 1};
  return std::visit([&](const auto& k) { return factor_at(k, place); }, kind_);
}

}  // namespace isotape
