#pragma once

#include <optional>
#include <string>
#include <vector>

#include <isotape/layers/module.hpp>

namespace isotape {

/// What a network in training found out about its own constraints.
struct SelfAudit {
  double bound = 0;                   ///< of the whole net, proved
  Residual residual;                  ///< the largest of all layers
  std::vector<std::string> remedies;  ///< layers that iterate more from now on, in words
  std::optional<std::string> drift;   ///< what is wrong and has no remedy; none: all is well
};

/// Largest |W^T W - I| or |sigma - 1| of a layer that keeps its constraint: what folding in f64 and
/// one rounding to f32 leave, and a margin.
inline constexpr double drift_tolerance = 1e-6;

/// What does not hold of the folded layers, in words: the largest residual, and each weight that a
/// fixed number of iterations has left unconverged.
std::vector<std::string> broken_constraints(Module& net);

/// Compares the folded layers with what they claim: sigma_max and sigma_min of orthogonal ones, the
/// residuals of the rest, a finite bound. A weight made by a fixed number of iterations that has
/// not converged gets twice as many, until it has.
SelfAudit self_audit(Module& net);

}  // namespace isotape
