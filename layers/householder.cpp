#include <isotape/layers/householder.hpp>

#include <limits>
#include <numbers>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/householder.hpp>

namespace isotape {
namespace {

std::unique_ptr<Module> build(Site& site, int order) {
  const Pairing pairing = pairing_option(site);
  require<ShapeError>(site.input.rank() >= 1 && site.input[-1] % 2 == 0, site.place(),
                      ": expected an even number of channels, got input ", site.input);
  return std::make_unique<Householder>(site.input[-1], order, site.rng, pairing);
}

}  // namespace

constinit const LayerType householder_type = {
    .type = "householder",
    .kind = LayerKind::activation,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "pairing",
    .description =
        "pairs of channels reflected on one side of a learnable mirror; begins as maxmin",
    .cost = "",
    .source = "Singla 2022",
    .build = [](Site& site) { return build(site, 1); },
};

constinit const LayerType householder2_type = {
    .type = "householder2",
    .kind = LayerKind::activation,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "pairing",
    .description = "pairs of channels rotated or reflected in four learnable sectors",
    .cost = "",
    .source = "Singla 2022",
    .build = [](Site& site) { return build(site, 2); },
};

Householder::Householder(std::int64_t channels, int order, Rng& rng, Pairing pairing)
    : channels_(channels), order_(order), pairing_(pairing) {
  require<ValueError>(channels >= 2 && channels % 2 == 0,
                      "householder: expected an even number of channels, got ", channels);
  require<ValueError>(order == 1 || order == 2, "householder: expected order 1 or 2, got ", order);
  using std::numbers::pi;
  theta_ = Parameter(order == 1 ? Tensor::full({channels / 2}, pi / 2)
                                : random_uniform(rng, {3, channels / 2}, 0, pi));
  theta_.decays = false;
}

Var Householder::forward(const Var& x) const {
  return order_ == 1 ? householder(x, theta_.var(), pairing_)
                     : householder2(x, theta_.var(), pairing_);
}

Shape Householder::output_shape(const Shape& input) const {
  require<ShapeError>(input.rank() >= 1 && input[-1] == channels_, "householder: expected ",
                      channels_, " channels, got input ", input);
  return input;
}

std::string Householder::describe() const {
  return message("Householder of order ", order_, ", ", channels_, " channels, ",
                 pairing_ == Pairing::split ? "split" : "adjacent", " pairs");
}

Enclosure Householder::enclosure() const {
  require<NumericError>(all_finite(theta_.value()), "householder: expected finite angles, got ",
                        "NaN or infinity");
  return {1, 1, "orthogonal at every point, continuous"};
}

std::unique_ptr<Module> Householder::materialize(DType dtype) const {
  Rng unused;
  auto plain = std::make_unique<Householder>(channels_, order_, unused, pairing_);
  plain->theta_ = Parameter(theta_.value().to(dtype));
  return plain;
}

// `terms` counts the roundings, see docs/certificate.md; angles of order 2 beyond 16 are refused.
void Householder::collect_operations(const std::string& prefix, const Shape& input,
                                     Operations& operations) const {
  enclosure();
  Operation turned = plain_operation(prefix, "householder", input, output_shape(input),
                                     {{"pairing", pairing_word(pairing_)}});
  turned.tensors = {{"theta", prefix + "theta"}};
  turned.terms = order_ == 1 ? 64 : 512;
  constexpr double largest_angle = 16;
  if (order_ == 2 && !(max_abs(theta_.value()) <= largest_angle)) {
    turned.absolute = std::numeric_limits<double>::infinity();
  }
  operations.push_back(std::move(turned));
}

void Householder::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + "theta", &theta_});
}

}  // namespace isotape
