#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>

#include <isotape/core/tape.hpp>

namespace isotape {

/// Outcome of a check; converts to bool and prints its reason.
struct CheckReport {
  bool ok = true;
  std::string detail;
  explicit operator bool() const { return ok; }
};
std::ostream& operator<<(std::ostream& os, const CheckReport& report);

struct GradcheckOptions {
  int directions = 5;       ///< random pairs (dy, v)
  double tolerance = 1e-7;  ///< relative to max(|analytic|, |numeric|, 1e-3 |dy| |v|)
  double step = 1e-5;       ///< times the input's scale, its largest entry (1 for zeros)
  int points = 2;           ///< of the central stencil: 2, 4 or 6, of that order in the step
  bool may_vanish = false;  ///< accept an input whose gradient is zero in every direction
  std::uint64_t seed = 1;
};

/// Checks the vjp and the jvp of f at the given f64 inputs.
///
/// Along random directions it compares <vjp(dy), v> with <dy, J v> by central differences, and with
/// <dy, jvp(v)> to rounding; for inputs of up to 64 entries also every entry of the Jacobian (every
/// input entry against every output entry, or against random dy where there are more than 64 of
/// those). A gradient that vanishes on both sides fails, for then nothing was checked.
///
/// @param f   maps recorded inputs to one or several outputs; must be deterministic
/// @param at  f64 tensors
/// @throws ValueError  if an input is not f64
CheckReport gradcheck(std::string_view name, const std::function<Vars(const Vars&)>& f,
                      const Tensors& at, const GradcheckOptions& options = {});
CheckReport gradcheck(std::string_view name, const std::function<Var(const Vars&)>& f,
                      const Tensors& at, const GradcheckOptions& options = {});

}  // namespace isotape
