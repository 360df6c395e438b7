#include <isotape/layers/sandwich.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/sandwich_operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/cayley.hpp>
#include <isotape/ops/cayley_factor.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/rescale.hpp>
#include <isotape/ops/reshape.hpp>
#include <isotape/ops/spectral_bound.hpp>

namespace isotape {
namespace {

void check(std::int64_t in, std::int64_t out, const SandwichOptions& options) {
  require<ValueError>(in >= 1 && out >= 1, "sandwich: expected extents >= 1, got ", in, " -> ",
                      out);
  require<ValueError>(options.gamma > 0 && std::isfinite(options.gamma),
                      "sandwich: expected gamma > 0, got ", options.gamma);
}

Derived maker(std::int64_t out, bool plain) {
  return Derived([out, plain](const Vars& p) -> Vars {
    const Var weight = plain ? p[0] : cayley(rescale(p[0], p[1]));
    return {slice(weight, 0, 0, out), slice(weight, 0, out, weight.dim(0))};
  });
}

// [X; Y] and f.
Vars make_factors(const Vars& p) {
  const Var scaled = rescale(p[0], p[1]);
  return {scaled, cayley_factor(scaled)};
}

std::unique_ptr<Module> build(Site& site) {
  const std::int64_t in = input_extent(site);
  const std::int64_t out = output_extent(site);
  const SandwichOptions options = sandwich_options(site);
  return std::make_unique<Sandwich>(in, out, site.rng, options);
}

}  // namespace

constinit const LayerType sandwich_type = {
    .type = "sandwich",
    .kind = LayerKind::dense,
    .property = LayerProperty::one_lipschitz,
    .options = "out, gamma, output, activation, bias",
    .description =
        "dense layer, activation (relu, softplus, tanh, sigmoid, identity) and dense layer in one, "
        "with the bound sqrt(gamma); output = true: the last layer, dense alone",
    .cost = "O(p q^2 + q^3) for p inputs, q outputs: products, one inverse",
    .source = "Wang 2023",
    .build = build,
};

SandwichOptions sandwich_options(Site& site) {
  SandwichOptions options;
  options.gamma = site.options.number("gamma", 1);
  options.output = site.options.boolean("output", false);
  options.activation = slope_restricted(site.options.text("activation", "relu"));
  options.bias = site.options.boolean("bias", true);
  return options;
}

double root_bound(double gamma) {
  if (gamma == 1) return 1;
  const double root = std::nextafter(std::sqrt(gamma), std::numeric_limits<double>::infinity());
  return std::max(root, double(static_cast<float>(root)));
}

double lower_root(double gamma) {
  if (gamma == 1) return 1;
  const double root = std::nextafter(std::sqrt(gamma), 0.0);
  return std::min(root, double(static_cast<float>(root)));
}

Sandwich::Sandwich(std::int64_t in, std::int64_t out, Rng& rng, const SandwichOptions& options)
    : in_((check(in, out, options), in)),
      out_(out),
      options_(options),
      derived_(maker(out, false)),
      factors_(make_factors) {
  const double limit = 1 / std::sqrt(static_cast<double>(in + out));
  raw_ = Parameter(random_uniform(rng, {in + out, out}, -limit, limit));
  length_ = Parameter(Tensor::full({1}, frobenius_norm(raw_.value())));
  if (!options.output) psi_ = Parameter(Tensor::zeros({out}));
  if (options.bias) bias_ = Parameter(random_uniform(rng, {out}, -limit, limit));
}

Sandwich::Sandwich(const Sandwich& original, Tensor weight, DType dtype)
    : in_(original.in_),
      out_(original.out_),
      options_(original.options_),
      plain_(true),
      raw_(std::move(weight)),
      derived_(maker(original.out_, true)),
      factors_(make_factors) {
  if (original.psi_) psi_ = Parameter(original.psi_.value().to(dtype));
  if (original.bias_) bias_ = Parameter(original.bias_.value().to(dtype));
}

std::vector<Parameter*> Sandwich::sources() const {
  std::vector<Parameter*> list{&raw_};
  if (length_) list.push_back(&length_);
  return list;
}

Vars Sandwich::halves() const { return derived_.get(sources()); }

Tensor Sandwich::folded_weight() const {
  const Tensors halves = derived_.folded(sources());
  const Paused paused;
  return concat({halves[0], halves[1]}, 0).value();
}

// While training, B x and A^T z are computed through f: see cayley_factor.
Vars Sandwich::factors() const {
  const bool trains = !plain_ && (raw_.is_recorded() || length_.is_recorded());
  return trains ? factors_.get(sources()) : Vars();
}

void Sandwich::derive() const {
  if (factors().empty()) halves();
}

Var Sandwich::forward(const Var& x) const {
  output_shape(x.value().rank() == 2 ? Shape{x.dim(1)} : x.shape());
  const Vars by_factor = factors();
  const Vars made = by_factor.empty() ? halves() : by_factor;
  const Var input = options_.gamma == 1 ? x : scale(x, std::sqrt(options_.gamma));
  Var inner;
  if (by_factor.empty()) {
    inner = matmul(input, made[1]);
  } else {
    const Var y = slice(made[0], 0, out_, in_ + out_);
    inner = scale(matmul(matmul(input, y), made[1]), -2);
  }
  const Var bias = bias_ ? bias_.var() : Var();
  if (options_.output) return bias ? add(inner, bias) : inner;
  const Var outer = sandwich_activation(std::move(inner), psi_.var(), bias, options_.activation);
  if (by_factor.empty()) return matmul(outer, made[0], {.trans_b = true});
  return sub(scale(matmul(outer, made[1], {.trans_b = true}), 2), outer);
}

Shape Sandwich::output_shape(const Shape& input) const {
  require<ShapeError>(input == Shape{in_}, "sandwich: expected input [", in_, "], got ", input);
  return {out_};
}

std::string Sandwich::describe() const {
  return message("Sandwich ", in_, " -> ", out_, options_.output ? ", last" : ", ",
                 options_.output ? "" : name(options_.activation), ", gamma ", options_.gamma);
}

// For two inputs the activation acts as a diagonal D with entries in [0, 1], whatever Psi, so that
// the outputs differ by 2 A^T D B dx. For unit v and w, with a = A v and b = B w,
//     2 <a, D b> = (<a + b, D (a + b)> - <a - b, D (a - b)>) / 2 <= |a + b|^2 / 2 <= |[A B]|^2.
Enclosure Sandwich::enclosure() const {
  require_finite_bias("sandwich", bias_);
  const Tensor weight = folded_weight();
  const double root = root_bound(options_.gamma);
  if (options_.output) {
    const Enclosure b = matrix_enclosure("sandwich", weight.rows(out_, out_ + in_));
    return {lower_product(b.lower, lower_root(options_.gamma)), bound_product(b.upper, root),
            "proved limits of B, times sqrt(gamma)"};
  }
  const double norm = matrix_enclosure("sandwich", weight).upper;
  return {0, bound_product(bound_product(norm, norm), root),
          "|A A^T + B B^T| <= 1 + its proved residual, times sqrt(gamma)"};
}

void Sandwich::collect_operations(const std::string& prefix, const Shape& input,
                                  Operations& operations) const {
  const Shape output = output_shape(input);
  append_gain(prefix, input, options_.gamma, operations);
  const Tensor bias = bias_ ? bias_.value() : Tensor();
  if (options_.output) {
    const Tensor last = folded_last();
    operations.push_back(linear_operation(prefix, last, bias, matrix_enclosure("sandwich", last)));
    operations.back().tensors.front().second = prefix + "last";
    return;
  }
  const Tensor weight = folded_weight();
  Operation layer = linear_operation(prefix, weight, {}, matrix_enclosure("sandwich", weight));
  layer.op = "sandwich";
  layer.input = input;
  layer.output = output;
  layer.terms = std::max(in_, out_);
  add_activation(prefix, psi_.value(), bias, options_.activation, layer);
  operations.push_back(std::move(layer));
}

// B, [q, p].
Tensor Sandwich::folded_last() const {
  const Paused paused;
  return transpose(folded_weight().rows(out_, out_ + in_)).value();
}

std::optional<DenseMap> Sandwich::dense_map() const {
  if (!options_.output) return std::nullopt;
  return DenseMap{folded_last(), root_bound(options_.gamma)};
}

Spectrum Sandwich::spectrum(const Shape& input) const {
  output_shape(input);
  if (!options_.output) return {{}, "not measured: not linear"};
  const Tensor b = folded_weight().rows(out_, out_ + in_).to(DType::f64);
  return {singular_values(scale(b, std::sqrt(options_.gamma)).value()), "SVD of sqrt(gamma) B"};
}

Residual Sandwich::residual() const {
  if (plain_) return {0, "no constraint"};
  return {isometry_defect_bound(folded_weight()), "bound of |A A^T + B B^T - I|"};
}

std::unique_ptr<Module> Sandwich::materialize(DType dtype) const {
  return std::unique_ptr<Module>(new Sandwich(*this, folded_weight().to(dtype), dtype));
}

void Sandwich::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + (plain_ ? "weight" : "raw"), &raw_});
  if (length_) parameters.push_back({prefix + "length", &length_});
  if (psi_) parameters.push_back({prefix + "psi", &psi_});
  if (bias_) parameters.push_back({prefix + "bias", &bias_});
}

void Sandwich::collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const {
  if (!plain_) folded.push_back({prefix + "weight", folded_weight()});
  if (options_.output) folded.push_back({prefix + "last", folded_last()});
}

}  // namespace isotape
