#include <isotape/layers/convex_residual.hpp>

#include <cmath>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/elementwise.hpp>

namespace isotape {

constinit const LayerType convex_residual_type = {
    .type = "convex-residual",
    .kind = LayerKind::composition,
    .property = LayerProperty::bounded,
    .options = "share",
    .description =
        "(1 - a) x + a f(x) of the chain f of its layers, a learned from share (0.5): "
        "at most 1 where f's bound is",
    .cost = "",
    .source = "Trockman 2021",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      const double share = site.options.number("share", 0.5);
      require<ValueError>(share > 0 && share < 1, site.place(), ": expected share in (0, 1), got ",
                          share);
      Sequential body = build_chain(site.spec.layers, site.input, site.classes, site.rng);
      return std::make_unique<ConvexResidual>(std::move(body), share);
    },
};

ConvexResidual::ConvexResidual(Sequential body, double share)
    : body_(std::move(body)), mix_(Tensor::full({1}, std::log(share / (1 - share)))) {
  require<ValueError>(share > 0 && share < 1, "convex_residual: expected share in (0, 1), got ",
                      share);
  mix_.decays = false;
}

// x + a (f(x) - x): one share, whose complement is exact.
Var ConvexResidual::forward(const Var& x) const {
  return add(x, mul(sub(body_.forward(x), x), sigmoid(mix_.var())));
}

Shape ConvexResidual::output_shape(const Shape& input) const {
  const Shape output = body_.output_shape(input);
  require<ShapeError>(output == input, "convex_residual: expected layers that keep the shape ",
                      input, ", got ", output);
  return input;
}

std::string ConvexResidual::describe() const {
  std::string text = "ConvexResidual of ";
  for (const Sequential::Part& part : body_.parts()) {
    text += (part.name == body_.parts()[0].name ? "" : ", ") + part.name;
  }
  return body_.parts().empty() ? text + "nothing" : text;
}

Enclosure ConvexResidual::enclosure() const { return proof().enclosure; }

Proof ConvexResidual::proof() const {
  const double share = sigmoid(mix_.value()).value().item();
  require<NumericError>(std::isfinite(share), "convex_residual: expected a finite mix, got ",
                        mix_.value().item());
  Proof body = body_.proof();
  body.name = "body";
  return convex_combination(kind(), std::move(body), share);
}

std::unique_ptr<Module> ConvexResidual::materialize(DType dtype) const {
  Sequential plain;
  for (const Sequential::Part& part : body_.parts()) {
    plain.add(part.name, part.module->materialize(dtype));
  }
  auto residual = std::make_unique<ConvexResidual>(std::move(plain), 0.5);
  residual->mix_ = Parameter(mix_.value().to(dtype));
  return residual;
}

void ConvexResidual::collect_operations(const std::string& prefix, const Shape& input,
                                        Operations& operations) const {
  output_shape(input);
  Operation mixed = plain_operation(prefix, "convex", input, input);
  mixed.tensors = {{"mix", prefix + "mix"}};
  body_.collect_operations(prefix, input, mixed.branches.emplace_back());
  // 1 / (1 + exp(-mix)) in f64: a few roundings, and exp to less than 2^-48.
  const double share = 1 / (1 + std::exp(-mix_.value().at(0)));
  require<NumericError>(share >= 0, "convex_residual: expected a finite mix, got ",
                        mix_.value().item());
  mixed.absolute = std::min(1.0, share * (1 + 0x1p-46));
  mixed.bound = joined_bound(mixed);
  operations.push_back(std::move(mixed));
}

void ConvexResidual::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + "mix", &mix_});
  body_.collect(prefix, parameters);
}

void ConvexResidual::collect(const std::string& prefix, BufferList& buffers) {
  body_.collect(prefix, buffers);
}

void ConvexResidual::collect(const std::string& prefix, std::vector<NamedWeight>& weights) {
  body_.collect(prefix, weights);
}

void ConvexResidual::collect_folded(const std::string& prefix,
                                    std::vector<NamedTensor>& folded) const {
  body_.collect_folded(prefix, folded);
}

}  // namespace isotape
