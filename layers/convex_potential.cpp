#include <isotape/layers/convex_potential.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/spectrum.hpp>
#include <isotape/ops/adjoint_kernel.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/expanded_kernel.hpp>
#include <isotape/ops/gram_norm.hpp>
#include <isotape/ops/gram_row_sums.hpp>
#include <isotape/ops/normalize.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

std::string_view type_of(PotentialScale scale) {
  return scale == PotentialScale::norm ? "cpl" : "sll";
}

Padding mirrored(const Padding& p) { return {p.bottom, p.top, p.right, p.left}; }

std::unique_ptr<Module> build(Site& site, PotentialScale scale) {
  const Square square = square_options(site);
  ConvexPotentialOptions options;
  options.scale = scale;
  options.kernel = square_kernel(site, square);
  options.inner = site.options.integer("inner", square.channels());
  require<ValueError>(1 <= options.inner && options.inner <= 65536, site.place(),
                      ": expected inner in 1..65536, got ", options.inner);
  if (!square.is_flat) options.padding = padding_option(site);
  options.bias = site.options.boolean("bias", true);
  return std::make_unique<ConvexPotential>(square, options, site.rng);
}

// sqrt(2 / t) w, and the same of b: t has one entry for all rows of a group, or one for each.
Var rescaled(const Var& w, const Var& t) {
  const Var rows = reshape(w, {t.dim(0), w.value().size() / t.dim(0)});
  return reshape(scale(rescale_rows(rows, t), std::sqrt(2.0)), w.shape());
}

// v, the kernel of its transpose, and the scaled bias, of w, for SLL log q, and b, if there is one.
Vars derive_from(const ConvexPotentialOptions& options, int groups, bool is_plain,
                 const Vars& parameters) {
  const Var& w = parameters.front();
  Vars made{w, {}};
  if (options.bias) made.push_back(parameters.back());
  if (!is_plain) {
    const Var t = options.scale == PotentialScale::norm
                      ? conv_norm_squared(w, groups)
                      : gram_row_sums(w, exp(parameters[1]), groups);
    made[0] = rescaled(w, t);
    if (options.bias) made[2] = rescaled(made[2], t);
  }
  made[1] = adjoint_kernel(made[0], groups);
  return made;
}

}  // namespace

constinit const LayerType cpl_type = {
    .type = "cpl",
    .kind = LayerKind::convolution,
    .property = LayerProperty::one_lipschitz,
    .options = "out, kernel, stride, groups, dilation, inner, padding, bias",
    .description =
        "convex potential layer x - (2/s^2) W relu(W^T x + b), s a bound of |W|; on images or "
        "vectors, with zero channels or without the last ones where the extents differ",
    .cost = "about 22 c^3 + 4 c^2 k^2 inner; a second convolution per sample",
    .source = "Meunier 2022",
    .build = [](Site& site) { return build(site, PotentialScale::norm); },
};

constinit const LayerType sll_type = {
    .type = "sll",
    .kind = LayerKind::convolution,
    .property = LayerProperty::one_lipschitz,
    .options = "out, kernel, stride, groups, dilation, inner, padding, bias",
    .description =
        "SDP-based layer x - 2 W T^-1 relu(W^T x + b), T the row sums of |W^T W| under learned "
        "weights; on images or vectors, with zero channels or without the last ones where the "
        "extents differ",
    .cost = "about 1.5 inner^2 c k^4; a second convolution per sample",
    .source = "Araujo 2023",
    .build = [](Site& site) { return build(site, PotentialScale::row_sums); },
};

ConvexPotential::ConvexPotential(const Square& square, const ConvexPotentialOptions& options,
                                 bool is_plain)
    : square_(square),
      options_(options),
      border_(square.border(options.kernel)),
      derived_([options, groups = square.groups, is_plain](const Vars& parameters) {
        return derive_from(options, groups, is_plain, parameters);
      }) {}

ConvexPotential::ConvexPotential(const Square& square, const ConvexPotentialOptions& options,
                                 Rng& rng)
    : ConvexPotential(square, options, false) {
  square.check(type_of(options_.scale));
  if (options_.inner == 0) options_.inner = square.channels();
  require<ValueError>(options_.kernel >= 1 && options_.inner >= 1, type_of(options_.scale),
                      ": expected extents >= 1, got", square.describe(), ", kernel ",
                      options_.kernel, ", inner ", options_.inner);
  require<ValueError>(options_.inner % square.groups == 0, type_of(options_.scale),
                      ": expected inner to be a multiple of the groups ", square.groups, ", got ",
                      options_.inner);
  const std::int64_t inputs = square.channels() / square.groups;
  const std::int64_t fan_in = inputs * options_.kernel * options_.kernel;
  const double limit = 1 / std::sqrt(static_cast<double>(fan_in));
  // Normal as in the papers' code; the scale of w does not matter, but for its learning rate.
  raw_ = Parameter(
      random_normal(rng, {options_.inner, options_.kernel, options_.kernel, inputs}, limit));
  raw_.decays = false;
  if (options_.bias) bias_ = Parameter(random_uniform(rng, {options_.inner}, -limit, limit));
  if (options_.scale == PotentialScale::row_sums) {
    log_q_ = Parameter(random_normal(rng, {options_.inner}, 1));
    log_q_.decays = false;
  }
}

std::vector<Parameter*> ConvexPotential::sources() const {
  std::vector<Parameter*> list{is_plain() ? &v_ : &raw_};
  if (log_q_) list.push_back(&log_q_);
  if (bias_) list.push_back(&bias_);
  return list;
}

Var ConvexPotential::forward(const Var& x) const {
  const Shape& shape = x.shape();
  output_shape(square_.is_flat && shape.rank() == 2 ? Shape{shape[1]}
               : shape.rank() == 4                  ? Shape{shape[1], shape[2], shape[3]}
                                                    : shape);
  const Vars made = derived_.get(sources());
  const Var bias = made.size() > 2 ? made[2] : Var();
  const Var entered = square_.enter(x);
  Conv2dOptions conv{.groups = square_.groups,
                     .dilation = square_.dilation,
                     .border = border_,
                     .border_mode = options_.padding,
                     .precision = Tape::active_precision()};
  const Var h = relu(conv2d(entered, made[0], bias, conv));
  conv.border = mirrored(border_);
  const Var step = conv2d(h, made[1], {}, conv);
  return square_.leave(sub(entered, step));
}

Shape ConvexPotential::output_shape(const Shape& input) const {
  const std::string_view layer = type_of(options_.scale);
  square_.check_border(layer, input, options_.kernel, options_.padding);
  return square_.output_shape(layer, input);
}

std::string ConvexPotential::describe() const {
  return message("ConvexPotential", square_.describe(), ", kernel ", options_.kernel, ", inner ",
                 options_.inner, ", ", options_.padding == PadMode::zero ? "zero" : "circular",
                 " padding (", is_plain() ? "unconstrained" : type_of(options_.scale), ")");
}

// A bound of |v|. The weights that SLL learns prove its own, as p = q sqrt(t) for the rescaled
// rows; see weighted_gram_bound().
double ConvexPotential::norm() const {
  const Tensor v = derived_.folded(sources()).front();
  double norm = conv_norm_bound(v, 1, square_.groups);
  std::vector<double> weights = weights_;
  if (log_q_) weights = proving_weights();
  if (!weights.empty()) norm = std::min(norm, weighted_gram_bound(v, weights, square_.groups));
  return norm;
}

double ConvexPotential::norm_squared() const {
  const double bound = norm();
  return bound_product(bound, bound);
}

std::vector<double> ConvexPotential::proving_weights() const {
  const Paused paused;
  const Tensor q = exp(log_q_.value().to(DType::f64)).value();
  const Tensor t = gram_row_sums(raw_.value().to(DType::f64), q, square_.groups).value();
  std::vector<double> weights;
  for (std::int64_t i = 0; i < q.size(); ++i) weights.push_back(q.at(i) * std::sqrt(t.at(i)));
  return weights;
}

Enclosure ConvexPotential::enclosure() const {
  require_finite_bias(type_of(options_.scale), bias_);
  const double norm = norm_squared();
  require<NumericError>(!std::isnan(norm), type_of(options_.scale),
                        ": expected a weight of numbers, found NaN");
  const double above = std::nextafter(norm - 1, norm);
  return {lower_difference(1, norm), std::max(1.0, above),
          "1 - v^T D v with 0 <= D <= 1 and |v| proved, v = (2/t)^1/2 w"};
}

Spectrum ConvexPotential::spectrum(const Shape& input) const {
  output_shape(input);
  return {{}, "not measured: not linear"};
}

Residual ConvexPotential::residual() const {
  if (is_plain()) return {0, "no constraint"};
  return {std::max(0.0, norm_squared() / 2 - 1), "proved |w t^-1/2|^2 - 1, 0 if below 0"};
}

std::unique_ptr<Module> ConvexPotential::materialize(DType dtype) const {
  const Tensors folded = derived_.folded(sources());
  std::unique_ptr<ConvexPotential> plain(new ConvexPotential(square_, options_, true));
  plain->v_ = Parameter(folded[0].to(dtype));
  if (bias_) plain->bias_ = Parameter(folded[2].to(dtype));
  plain->weights_ = log_q_ ? proving_weights() : weights_;
  return plain;
}

void ConvexPotential::collect_operations(const std::string& prefix, const Shape& input,
                                         Operations& operations) const {
  output_shape(input);
  const Tensors folded = derived_.folded(sources());
  const Shape inner = square_.append_entry(prefix, input, operations);
  const Shape hidden =
      square_.is_flat ? Shape{options_.inner} : Shape{inner[0], inner[1], options_.inner};
  const Tensor v = expanded_kernel(folded[0], square_.groups, square_.dilation);
  Operation step = conv_operation(prefix, v, bias_ ? folded[2] : Tensor(),
                                  {.border = border_, .border_mode = options_.padding}, inner,
                                  hidden, {0, norm()});
  step.op = "potential";
  step.output = inner;
  step.options = {
      {"padding", std::string(options_.padding == PadMode::circular ? "circular" : "zero")}};
  if (bias_) step.tensors.back().second = prefix + "scaled_bias";
  step.bound = enclosure().upper;
  step.terms = v.dim(1) * v.dim(2) * std::max(square_.channels(), options_.inner);
  operations.push_back(std::move(step));
  square_.append_exit(prefix, inner, operations);
}

void ConvexPotential::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + "raw", is_plain() ? &v_ : &raw_});
  if (log_q_) parameters.push_back({prefix + "log_q", &log_q_});
  if (bias_) parameters.push_back({prefix + "bias", &bias_});
}

void ConvexPotential::collect_folded(const std::string& prefix,
                                     std::vector<NamedTensor>& folded) const {
  const Tensors made = derived_.folded(sources());
  const Tensor v = expanded_kernel(made[0], square_.groups, square_.dilation);
  folded.push_back({prefix + "weight", permute(v, {0, 3, 1, 2}).value()});
  if (bias_) folded.push_back({prefix + "scaled_bias", made[2]});
}

}  // namespace isotape
