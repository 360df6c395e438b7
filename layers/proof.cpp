#include <isotape/layers/proof.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

// NaN stays NaN: a bound that is none must not vanish behind a larger one.
double larger(double a, double b) { return b <= a || std::isnan(a) ? a : b; }
double smaller(double a, double b) { return b < a ? b : a; }

Enclosure chain(const std::vector<Proof>& parts) {
  Enclosure all{1, 1, "product over the chain, rounded outwards"};
  for (const Proof& part : parts) {
    all.upper = bound_product(all.upper, part.enclosure.upper);
    all.lower = lower_product(all.lower, part.enclosure.lower);
  }
  return all;
}

Enclosure split(const std::vector<Proof>& parts) {
  Enclosure all{parts.empty() ? 0 : parts[0].enclosure.lower, 0,
                "least and largest of the branches, each on its share of the input"};
  for (const Proof& part : parts) {
    all.upper = larger(all.upper, part.enclosure.upper);
    all.lower = smaller(all.lower, part.enclosure.lower);
  }
  return all;
}

Enclosure concat(const std::vector<Proof>& parts) {
  double square = 0;
  for (const Proof& part : parts) {
    const double upper = part.enclosure.upper;
    square = bound_sum(square, bound_product(upper, upper));
  }
  return {0, bound_root(square),
          "root of the sum of squares over the branches on one input, rounded up"};
}

Enclosure sum(const std::vector<Proof>& parts) {
  double total = 0;
  for (const Proof& part : parts) total = bound_sum(total, part.enclosure.upper);
  return {0, total, "sum over the branches, rounded up"};
}

}  // namespace

Proof proof_line(std::string name, std::string kind, Enclosure enclosure) {
  Proof proof;
  proof.name = std::move(name);
  proof.kind = std::move(kind);
  proof.enclosure = std::move(enclosure);
  return proof;
}

Proof compose(Composition rule, std::string kind, std::vector<Proof> parts, bool one_sided) {
  Proof whole = proof_line("net", std::move(kind), {});
  whole.parts = std::move(parts);
  switch (rule) {
    case Composition::chain:
      whole.enclosure = chain(whole.parts);
      break;
    case Composition::split:
      whole.enclosure = split(whole.parts);
      break;
    case Composition::concat:
      whole.enclosure = concat(whole.parts);
      break;
    case Composition::sum:
      whole.enclosure = sum(whole.parts);
      break;
  }
  // A single branch is what is added or concatenated, too.
  if (whole.parts.size() == 1) whole.enclosure.lower = whole.parts[0].enclosure.lower;
  if (!one_sided) whole.enclosure.lower = 0;
  return whole;
}

// (1 - a) + a L = 1 + a (L - 1): with L = 1, or a = 0, exactly 1. 1 - a rounds, by less than a
// place. A singular value of (1 - a) I + a J is at least (1 - a) - a |J|.
Proof convex_combination(std::string kind, Proof body, double share) {
  const double inner = body.enclosure.upper;
  double upper = 1;
  if (inner != 1 && share != 0) {
    upper = inner >= 1 ? bound_sum(1, bound_product(share, std::nextafter(inner - 1, inner)))
                       : bound_sum(std::nextafter(1 - share, 2), bound_product(share, inner));
  }
  const double rest = lower_difference(1, share);
  const double lower = lower_difference(rest, bound_product(share, inner));
  Proof whole = proof_line("net", std::move(kind),
                           {std::isnan(lower) ? 0 : lower, upper,
                            message("convex combination of 1 and the chain's limits with share ",
                                    share, ", rounded outwards")});
  whole.parts.push_back(std::move(body));
  return whole;
}

Proof behind_input_scaling(Proof net, const std::vector<double>& deviations) {
  require<ValueError>(!deviations.empty(), "behind_input_scaling: expected deviations, got none");
  for (const double deviation : deviations) {
    require<ValueError>(deviation > 0 && std::isfinite(deviation),
                        "behind_input_scaling: expected deviations > 0, got ", deviation);
  }
  const auto [least, largest] = std::minmax_element(deviations.begin(), deviations.end());
  // A quotient is off by half a place; a scale of 1 by nothing.
  const auto up = [](double x) { return std::nextafter(x, HUGE_VAL); };
  const auto down = [](double x) { return std::nextafter(x, 0.0); };
  Proof scaling =
      proof_line("input", "InputScaling",
                 {*largest == 1 ? 1 : down(1 / *largest), *least == 1 ? 1 : up(1 / *least),
                  "1 over the largest and the least deviation of a channel"});
  Proof whole = proof_line("net", "Scaled", {});
  whole.parts.push_back(std::move(scaling));
  whole.parts.push_back(std::move(net));
  whole.enclosure = chain(whole.parts);
  return whole;
}

}  // namespace isotape
