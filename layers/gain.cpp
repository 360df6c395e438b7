#include <isotape/layers/gain.hpp>

#include <cmath>
#include <functional>

#include <isotape/core/error.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/elementwise.hpp>

namespace isotape {
namespace {

constexpr double most = 1e6;

double gain_option(const LayerSpec& layer, OptionReader& options, std::string_view key) {
  const double gain = options.number(key, 1);
  require<ValueError>(gain > 0 && gain <= most, layer.name, " (gain): expected ", key,
                      " in (0, 1e6], got ", gain);
  return gain;
}

bool is_share(const LayerSpec& layer) {
  return layer.type == "gain" && OptionReader(layer).find("network") != nullptr;
}

// Calls f for every gain layer with a share, those of nested layers too.
void for_shares(std::vector<LayerSpec>& layers, const std::function<void(LayerSpec&)>& f) {
  for (LayerSpec& layer : layers) {
    if (is_share(layer)) f(layer);
    for_shares(layer.layers, f);
  }
}

}  // namespace

constinit const LayerType gain_type = {
    .type = "gain",
    .kind = LayerKind::normalization,
    .property = LayerProperty::bounded,
    .options = "value, network",
    .description =
        "times value; or, of m layers that name one network-wide gain, times its m-th "
        "root",
    .cost = "",
    .source = "Anil 2019",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      require<ValueError>(
          site.options.find("network") == nullptr, site.place(),
          ": expected value; network is the gain of a whole model, shared when that is built");
      return std::make_unique<Gain>(gain_option(site.spec, site.options, "value"));
    },
};

// The share of m layers in a gain K is K^(1/m), and the bound of the network follows from the
// shares in use, as that of every chain does. (A library that reads the gain of a network once, at
// construction, and gives it to the activations only has a bound that its layers do not know.)
std::vector<LayerSpec> with_shared_gains(const std::vector<LayerSpec>& layers) {
  std::vector<LayerSpec> result = layers;
  int count = 0;
  double total = 1;
  for_shares(result, [&](LayerSpec& layer) {
    OptionReader options(layer);
    const double gain = gain_option(layer, options, "network");
    require<ValueError>(layer.options.size() == 1, layer.name,
                        " (gain): expected value or network, got both");
    require<ValueError>(count == 0 || gain == total, layer.name,
                        " (gain): expected the network's gain ", total, " as in the others, got ",
                        gain);
    total = gain;
    ++count;
  });
  for_shares(result, [&](LayerSpec& layer) {
    layer.options = {{"value", std::pow(total, 1.0 / count)}};
  });
  return result;
}

Gain::Gain(double value) : value_(static_cast<float>(value)) {
  require<ValueError>(std::isfinite(value), "gain: expected a finite value, got ", value);
}

Var Gain::forward(const Var& x) const { return scale(x, value_); }

std::string Gain::describe() const { return message("Gain ", value_); }

Enclosure Gain::enclosure() const { return {std::abs(value_), std::abs(value_), "its value"}; }

NormPreservation Gain::gnp() const {
  return std::abs(value_) == 1 ? NormPreservation::both : NormPreservation::none;
}

std::unique_ptr<Module> Gain::materialize(DType) const { return std::make_unique<Gain>(value_); }

void Gain::collect_operations(const std::string& prefix, const Shape& input,
                              Operations& operations) const {
  Operation scaled = plain_operation(prefix, "gain", input, input, {{"value", value_}});
  scaled.bound = std::abs(value_);
  operations.push_back(std::move(scaled));
}

}  // namespace isotape
