#include <isotape/layers/registry.hpp>

#include <algorithm>
#include <array>

#include <isotape/core/error.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/aoc.hpp>
#include <isotape/layers/aol.hpp>
#include <isotape/layers/batch_norm.hpp>
#include <isotape/layers/bcop.hpp>
#include <isotape/layers/branches.hpp>
#include <isotape/layers/bro.hpp>
#include <isotape/layers/cayley.hpp>
#include <isotape/layers/cayley_conv.hpp>
#include <isotape/layers/centering.hpp>
#include <isotape/layers/channels.hpp>
#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/convex_potential.hpp>
#include <isotape/layers/convex_residual.hpp>
#include <isotape/layers/exponential.hpp>
#include <isotape/layers/first_channels.hpp>
#include <isotape/layers/frobenius.hpp>
#include <isotape/layers/gain.hpp>
#include <isotape/layers/householder.hpp>
#include <isotape/layers/l2ne.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/linear_residual.hpp>
#include <isotape/layers/linf.hpp>
#include <isotape/layers/lot.hpp>
#include <isotape/layers/n_activation.hpp>
#include <isotape/layers/ossn.hpp>
#include <isotape/layers/parseval.hpp>
#include <isotape/layers/pointwise.hpp>
#include <isotape/layers/pool.hpp>
#include <isotape/layers/qr.hpp>
#include <isotape/layers/rearrange.hpp>
#include <isotape/layers/sandwich.hpp>
#include <isotape/layers/sandwich_conv.hpp>
#include <isotape/layers/sequential.hpp>
#include <isotape/layers/shift.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/layers/soc.hpp>
#include <isotape/layers/spectral.hpp>
#include <isotape/layers/svcm.hpp>
#include <isotape/layers/unit_rows.hpp>
#include <isotape/layers/upsample.hpp>

namespace isotape {
namespace {

constexpr std::array types = {
    // dense
    &linear_type,
    &bjorck_type,
    &cayley_type,
    &cholesky_qr_type,
    &spectral_norm_type,
    &sandwich_type,
    &exponential_type,
    &qr_type,
    &bro_type,
    &frobenius_type,
    &unit_rows_type,
    &linf_type,
    &spectral_type,
    &two_sided_type,
    &parseval_type,
    // convolutions
    &conv_type,
    &bcop_type,
    &rko_type,
    &cayley_conv_type,
    &lot_type,
    &sandwich_conv_type,
    &l2ne_type,
    &ossn_type,
    &svcm_type,
    &aoc_type,
    &shift_type,
    &aol_type,
    &cpl_type,
    &sll_type,
    &soc_type,
    &linear_residual_type,
    // activations
    &maxmin_type,
    &groupsort_type,
    &fullsort_type,
    &householder_type,
    &householder2_type,
    &nact_type,
    &abs_type,
    &relu_type,
    &leaky_relu_type,
    &maxout_type,
    // pooling
    &l2pool_type,
    &avgpool_type,
    &global_avgpool_type,
    // shape
    &pixel_unshuffle_type,
    &pixel_shuffle_type,
    &upsample_type,
    &channel_pad_type,
    &channel_shuffle_type,
    &flatten_type,
    &first_channels_type,
    // normalization
    &batch_center_type,
    &layer_center_type,
    &batch_norm_type,
    &gain_type,
    // composition
    &sequential_type,
    &sum_type,
    &concat_type,
    &split_type,
    &convex_residual_type,
    &concat_residual_type,
};

std::vector<std::string_view> split(std::string_view list) {
  std::vector<std::string_view> words;
  while (!list.empty()) {
    const std::size_t comma = list.find(", ");
    words.push_back(list.substr(0, comma));
    list = comma == std::string_view::npos ? "" : list.substr(comma + 2);
  }
  return words;
}

}  // namespace

std::string_view name(LayerKind kind) {
  constexpr std::array<std::string_view, 7> names = {
      "dense", "convolution", "activation", "pooling", "shape", "normalization", "composition"};
  return names.at(static_cast<std::size_t>(kind));
}

std::string_view name(LayerProperty property) {
  constexpr std::array<std::string_view, 3> names = {"GNP", "1-Lipschitz", "bounded"};
  return names.at(static_cast<std::size_t>(property));
}

std::vector<std::string_view> LayerType::option_names() const {
  std::vector<std::string_view> names = split(options);
  if (std::find(names.begin(), names.end(), "constraint") == names.end()) return names;
  for (const LayerType* other : types) {
    if (other->constraint == nullptr || other->kind != LayerKind::dense) continue;
    for (const std::string_view option : split(other->options)) {
      if (std::find(names.begin(), names.end(), option) == names.end()) names.push_back(option);
    }
  }
  return names;
}

bool LayerType::takes(std::string_view option) const {
  const auto names = option_names();
  return std::find(names.begin(), names.end(), option) != names.end();
}

std::span<const LayerType* const> layer_types() { return types; }

const LayerType* find_layer_type(std::string_view type) {
  const auto* const found = std::find_if(
      types.begin(), types.end(), [&](const LayerType* known) { return known->type == type; });
  return found == types.end() ? nullptr : *found;
}

const LayerType& layer_type_of(const LayerSpec& layer) {
  if (const LayerType* type = find_layer_type(layer.type)) return *type;
  std::string names;
  for (const LayerType* type : types) {
    names += (names.empty() ? "" : ", ") + std::string(type->type);
  }
  throw ValueError(message(layer.name, ": expected a type of ", names, ", got '", layer.type, "'"));
}

Parametrization constraint_option(Site& site, std::string_view fallback) {
  const std::string word = site.options.text("constraint", fallback);
  if (word == "unconstrained") return Unconstrained{};
  const LayerType* type = find_layer_type(word);
  if (type != nullptr && type->constraint != nullptr) return type->constraint(site);
  std::string names;
  for (const LayerType* known : types) {
    if (known->constraint != nullptr) names += std::string(known->type) + ", ";
  }
  throw ValueError(
      message(site.place(), ": expected constraint ", names, "or unconstrained, got '", word, "'"));
}

}  // namespace isotape
