#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace isotape {

/// The base rate throughout.
struct Constant {};

/// final^t, t in [0, 1) the part of the run that has passed; or, with gamma given, gamma^p after p
/// epochs. The default is 10^(-3 (e - 1) / E) in epoch e = 1..E.
struct Exponential {
  double final = 1e-3;          ///< what the factor tends to at the end of the run, > 0
  std::optional<double> gamma;  ///< decay per epoch, > 0; `final` is then without effect
  bool ahead = false;  ///< whether the first epoch (step) has already decayed: gamma^e [Li 2019]
};

/// final + (1 - final) (1 + cos(pi t)) / 2 [Loshchilov 2017].
struct Cosine {
  double final = 0;
};

/// Straight lines between knots, constant before the first and after the last. Of two knots at one
/// place the second holds from there on: a jump.
struct PiecewiseLinear {
  struct Knot {
    double at;  ///< part of the run, in [0, 1]
    double factor;
  };
  std::vector<Knot> knots = {{0, 0.1}, {0.2, 1}, {1, 0.01}};
};

/// Up from `start` to 1 while t < warmup, then down to `final`, each along half a cosine wave
/// [Smith 2018].
struct OneCycle {
  double warmup = 0.3;  ///< part of the run, in (0, 1)
  double start = 0.04;
  double final = 4e-6;
};

/// When the factor changes.
enum class Every : std::uint8_t { epoch, step };

/// The factor of the base rate in the course of a run. A schedule has no state: the factor is a
/// function of the place, so that a resumed run continues as if it had not stopped.
class Schedule {
 public:
  using Kind = std::variant<Constant, Exponential, Cosine, PiecewiseLinear, OneCycle>;

  Schedule() = default;
  /// @throws ValueError  `cosine: expected final >= 0, got -1`, and the like
  Schedule(Kind kind, Every every);  // NOLINT(google-explicit-constructor)

  /// "constant", "exponential", "cosine", "piecewise-linear" or "one-cycle" with options (see
  /// Settings): "exponential:gamma=0.96235,ahead=1", "cosine:final=0.01,every=step",
  /// "piecewise-linear:at=0/0.2/1,factors=0.1/1/0". By default the first three change with the
  /// epoch, the others with the step.
  static Schedule parse(std::string_view text);
  /// The text, with all options, that parses to this schedule.
  std::string describe() const;

  /// The factor for a step of a run, evaluated at its beginning (or that of its epoch).
  ///
  /// @param step             counted from 0 over the whole run
  /// @param steps_per_epoch  >= 1
  /// @param epochs           length of the run, >= 1
  double factor(std::int64_t step, std::int64_t steps_per_epoch, std::int64_t epochs) const;

 private:
  Kind kind_ = Constant{};
  Every every_ = Every::epoch;
};

}  // namespace isotape
