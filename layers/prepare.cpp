#include <algorithm>
#include <variant>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/layers/weight.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

// The weights of one Bjorck{options} that the active recording lacks, as one node of jobs.
void prepare_polar(const std::vector<NamedWeight>& weights) {
  Vars matrices;
  for (const NamedWeight& named : weights) {
    Parameter& raw = named.weight->raw;
    matrices.push_back(reshape(raw.var(), matrix_shape(raw.value().shape())));
  }
  BjorckOptions options = weights[0].weight->polar_options();
  options.measure = false;
  std::vector<BjorckReport> reports;
  const Vars factors = bjorck(matrices, options, &reports);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto& [name, weight] = weights[i];
    const BjorckReport& report = reports[i];
    require<NumericError>(report.converged || options.iterations > 0, name,
                          ": expected a raw matrix of full rank, got one whose polar factor has "
                          "defect ",
                          report.defect);
    weight->remember(reshape(factors[i], weight->raw.value().shape()));
  }
}

// Any other weight by itself.
void make(const NamedWeight& named) {
  try {
    named.weight->var();
  } catch (const NumericError& error) {
    throw NumericError(message(named.name, ": ", error.what()));
  }
}

}  // namespace

void prepare_weights(std::span<const NamedWeight> weights) {
  std::vector<std::vector<NamedWeight>> groups;  // one per set of options
  for (const NamedWeight& named : weights) {
    Weight& weight = *named.weight;
    const bool is_polar = std::holds_alternative<Bjorck>(weight.parametrization());
    if (!is_polar || weight.raw.manifold || !weight.raw.is_recorded()) {
      make(named);
      continue;
    }
    if (!weight.is_missing()) continue;
    const auto same = [&](const std::vector<NamedWeight>& group) {
      return group[0].weight->polar_options() == weight.polar_options();
    };
    const auto group = std::find_if(groups.begin(), groups.end(), same);
    (group == groups.end() ? groups.emplace_back() : *group).push_back(named);
  }
  for (const std::vector<NamedWeight>& group : groups) prepare_polar(group);
}

}  // namespace isotape
