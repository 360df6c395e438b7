#include <isotape/layers/linear.hpp>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/spectral_bound.hpp>

namespace isotape {
namespace {

std::unique_ptr<Module> build(Site& site, Parametrization (*constraint)(Site&)) {
  const std::int64_t in = input_extent(site);
  const std::int64_t out = output_extent(site);
  const Parametrization parametrization = constraint(site);
  const bool bias = site.options.boolean("bias", true);
  return std::make_unique<Linear>(in, out, parametrization, site.rng, bias);
}

Parametrization any_constraint(Site& site) { return constraint_option(site, "bjorck"); }

}  // namespace

constinit const LayerType linear_type = {
    .type = "linear",
    .kind = LayerKind::dense,
    .property = LayerProperty::bounded,
    .options = "out, bias, constraint",
    .description =
        "dense layer under any constraint: bjorck (default), another type that is one, "
        "or unconstrained",
    .cost = "that of the constraint",
    .source = "",
    .build = [](Site& site) { return build(site, any_constraint); },
};

std::unique_ptr<Module> build_constrained_dense(Site& site) {
  return build(site, layer_type_of(site.spec).constraint);
}

Linear::Linear(std::int64_t in, std::int64_t out, const Parametrization& parametrization, Rng& rng,
               bool with_bias)
    : in_(in),
      out_(out),
      weight_((require<ValueError>(in >= 1 && out >= 1, "linear: expected extents >= 1, got ", in,
                                   " -> ", out),
               Shape{out, in}),
              parametrization, rng) {
  if (with_bias) {
    const double limit = 1 / std::sqrt(static_cast<double>(in));
    bias_ = Parameter(random_uniform(rng, {out}, -limit, limit));
  }
}

Var Linear::forward(const Var& x) const {
  return affine(x, weight_.var(), bias_ ? bias_.var() : Var(), Tape::active_precision());
}

Unbiased Linear::forward_unbiased(const Var& x) const {
  return {affine(x, weight_.var(), {}, Tape::active_precision()), bias_ ? bias_.var() : Var()};
}

Shape Linear::output_shape(const Shape& input) const {
  require<ShapeError>(input == Shape{in_}, "linear: expected input [", in_, "], got ", input);
  return {out_};
}

std::string Linear::describe() const {
  return message("Linear ", in_, " -> ", out_, " (", name(weight_.parametrization()), ")");
}

Enclosure Linear::enclosure() const {
  require_finite_bias("linear", bias_);
  return matrix_enclosure("linear", weight_.folded());
}

Enclosure matrix_enclosure(std::string_view layer, const Tensor& weight) {
  Enclosure found = singular_value_enclosure(weight);
  require<NumericError>(std::isfinite(found.upper), layer, ": expected a weight of numbers, found ",
                        std::isnan(found.upper) ? "NaN" : "infinity");
  found.rule = "proved limits of the eigenvalues of W^T W";
  return found;
}

void require_finite_bias(std::string_view layer, const Parameter& bias) {
  require<NumericError>(!bias || all_finite(bias.value()), layer,
                        ": expected a finite bias, got NaN or infinity");
}

std::optional<DenseMap> Linear::dense_map() const { return DenseMap{weight_.folded()}; }

NormPreservation Linear::gnp() const {
  if (!weight_.is_orthogonal()) return NormPreservation::none;
  if (in_ == out_) return NormPreservation::both;
  return out_ < in_ ? NormPreservation::backward : NormPreservation::forward;
}

Spectrum Linear::spectrum(const Shape& input) const {
  output_shape(input);
  return {singular_values(weight_.folded()), "SVD of the weight"};
}

std::unique_ptr<Module> Linear::materialize(DType dtype) const {
  Rng unused;
  auto plain = std::make_unique<Linear>(in_, out_, Unconstrained{}, unused, bool(bias_));
  plain->weight_.raw = Parameter(weight_.folded().to(dtype));
  if (bias_) plain->bias_ = Parameter(bias_.value().to(dtype));
  return plain;
}

void Linear::collect_operations(const std::string& prefix, const Shape& input,
                                Operations& operations) const {
  output_shape(input);
  operations.push_back(
      linear_operation(prefix, weight_.folded(), bias_ ? bias_.value() : Tensor(), enclosure()));
}

void Linear::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + "raw", &weight_.raw});
  if (bias_) parameters.push_back({prefix + "bias", &bias_});
}

void Linear::collect(const std::string& prefix, BufferList& buffers) {
  weight_.collect(prefix, buffers);
}

void Linear::collect(const std::string& prefix, std::vector<NamedWeight>& weights) {
  weights.push_back({prefix.substr(0, prefix.find_last_of('.')), &weight_});
}

void Linear::collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const {
  folded.push_back({prefix + "weight", weight_.folded()});
}

}  // namespace isotape
