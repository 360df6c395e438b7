#include <fmt/format.h>
#include <cmath>

#include <isotape/apps/certificate.hpp>
#include <isotape/core/error.hpp>

namespace isotape {
namespace {

using Operation = verify::Operation;

std::string digits_up(double value) { return fmt::format("{:.9f}", std::ceil(value * 1e9) / 1e9); }
std::string digits_down(double value) {
  return fmt::format("{:.9f}", std::floor(value * 1e9) / 1e9);
}

// Why an operation has the bound that it has.
std::string rule(const Operation& o) {
  if (o.op == "linear") {
    return fmt::format("L <= {}: singular values of {} in [{}, {}]", digits_up(o.sigma.upper),
                       o.weight, digits_down(o.sigma.lower), digits_up(o.sigma.upper));
  }
  if (o.op == "conv") {
    return fmt::format("L <= {}: singular values of {} in [{}, {}], {} padding, any image",
                       digits_up(o.sigma.upper), o.weight, digits_down(o.sigma.lower),
                       digits_up(o.sigma.upper), o.circular ? "circular" : "zero");
  }
  if (o.op == "sort") return "L = 1: a permutation wherever the order does not change";
  if (o.op == "maxout") return "L = 1: a maximum moves no further than the group";
  if (o.op == "abs" || o.op == "relu" || o.op == "leaky_relu") return "L = 1: slopes in [-1, 1]";
  if (o.op == "l2pool") return "L = 1: norms of windows over their overlap";
  if (o.op == "avgpool" || o.op == "global_avgpool") return "L = 1: sums over their norm";
  if (o.op == "upsample")
    return fmt::format("L = {}: every pixel {} times", o.factor, o.factor * o.factor);
  if (o.op == "center") return "L = 1: a translation";
  if (o.op == "bias") return "L = 1: a translation";
  if (o.op == "nact") return "L = 1: slopes 1 and -1, continuous";
  if (o.op == "householder") return "L = 1: orthogonal in every sector, continuous";
  if (o.op == "affine") return "L = largest scale of a channel";
  if (o.op == "potential") {
    return fmt::format("L = max(1, s^2 - 1): singular values of {} at most s = {}, any image",
                       o.weight, digits_up(o.sigma.upper));
  }
  if (o.op == "skew_exp") {
    return fmt::format(
        "L = exp(k) (1 + s^{0} / {0}!): singular values of {1} at most s = {2}, its "
        "part that is not skew at most k",
        o.terms, o.weight, digits_up(o.sigma.upper));
  }
  if (o.op == "frequencies") {
    return fmt::format("L <= {0}: norms of the matrices of {1} at most {0}, circular padding",
                       digits_up(o.sigma.upper), o.weight);
  }
  if (o.op == "sandwich" || o.op == "frequency_sandwich") {
    return fmt::format("L = s^2: singular values of {} at most s = {}", o.weight,
                       digits_up(o.sigma.upper));
  }
  if (o.op == "layer_center") return "L = 1: an orthogonal projection";
  if (o.op == "gain") return fmt::format("L = {}", std::abs(o.value));
  if (o.op == "sum") return "L = sum of the branches' L";
  if (o.op == "concat") return "L = root of the sum of squares of the branches' L";
  if (o.op == "split") return "L = largest of the branches' L";
  if (o.op == "convex") return "L = (1 - a) + a L of its layers, a in [0, 1]";
  return "L = 1: entries move, or are put in as zeros";
}

void add_lines(const verify::Chain& chain, const std::string& indent,
               std::vector<std::string>& lines) {
  for (const Operation& operation : chain) {
    lines.push_back(
        fmt::format("{}{} ({}): {}", indent, operation.name, operation.op, rule(operation)));
    for (const verify::Chain& branch : operation.branches) {
      lines.push_back(indent + "  branch, L = product of" + (branch.empty() ? " nothing: 1" : ""));
      add_lines(branch, indent + "    ", lines);
    }
  }
}

}  // namespace

std::vector<std::string> proof_lines(const verify::Certificate& c) {
  std::vector<std::string> lines = {
      fmt::format("net: L <= {}: product of", digits_up(c.lipschitz))};
  add_lines(c.layers, "  ", lines);
  if (c.head) {
    lines.push_back(fmt::format(
        "head: z_y - z_j moves by at most |w_y - w_j| times {}, the bound of all before {}",
        digits_up(c.head->body), c.layers.back().name));
  }
  return lines;
}

}  // namespace isotape
