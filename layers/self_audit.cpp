#include <isotape/layers/self_audit.hpp>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/layers/weight.hpp>

namespace isotape {
namespace {

// NaN is no small one.
bool is_small(const Residual& residual) { return residual.value <= drift_tolerance; }

std::string complaint(const Residual& residual) {
  return message("expected a residual of at most ", drift_tolerance, ", got ", residual.value, ", ",
                 residual.reason);
}

// Doubles the iterations of a weight until it has converged.
void remedy(const NamedWeight& named, SelfAudit& audit) {
  const Residual before = named.weight->unconverged();
  Residual now = before;
  std::optional<int> iterations;
  while (!is_small(now)) {
    const std::optional<int> more = named.weight->iterate_more();
    if (!more) {
      audit.drift = named.name + ": " + complaint(now);
      return;
    }
    iterations = more;
    now = named.weight->unconverged();
  }
  if (!iterations) return;
  audit.remedies.push_back(message(named.name, ": ", before.reason, " was ", before.value, "; ",
                                   *iterations, " iterations from now on make it ", now.value));
}

}  // namespace

std::vector<std::string> broken_constraints(Module& net) {
  std::vector<std::string> found;
  if (const Residual residual = net.residual(); !is_small(residual)) {
    found.push_back(complaint(residual));
  }
  for (const auto& [name, weight] : net.weights()) {
    if (const Residual left = weight->unconverged(); !is_small(left)) {
      found.push_back(name + ": " + complaint(left));
    }
  }
  return found;
}

SelfAudit self_audit(Module& net) {
  SelfAudit audit;
  for (const NamedWeight& named : net.weights()) {
    if (!audit.drift) remedy(named, audit);
  }
  audit.residual = net.residual();
  audit.bound = net.lipschitz_bound().value;
  if (!audit.drift && !is_small(audit.residual)) audit.drift = complaint(audit.residual);
  if (!audit.drift && !(std::isfinite(audit.bound) && audit.bound >= 0)) {
    audit.drift = message("expected a finite bound of the net, got ", audit.bound);
  }
  return audit;
}

}  // namespace isotape
