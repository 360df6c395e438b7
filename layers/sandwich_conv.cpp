#include <isotape/layers/sandwich_conv.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/layers/fourier_conv.hpp>
#include <isotape/layers/frequency_bound.hpp>
#include <isotape/layers/frequency_operation.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/sandwich_operation.hpp>
#include <isotape/ops/cayley_complex.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/fourier.hpp>
#include <isotape/ops/matmul_complex.hpp>
#include <isotape/ops/rescale.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

constexpr std::string_view op = "sandwich-conv";

Derived maker(const Torus& torus, std::int64_t out, bool plain) {
  return Derived([torus, out, plain](const Vars& p) -> Vars {
    const Var symbol = plain ? p[0] : cayley_complex(torus.symbol(rescale(p[0], p[1])));
    return {slice(symbol, 1, 0, out), slice(symbol, 1, out, symbol.dim(1))};
  });
}

std::unique_ptr<Module> build(Site& site) {
  const Torus torus = torus_of(site);
  const std::int64_t out = output_extent(site);
  const int kernel = small_integer(site, "kernel", 3);
  SandwichOptions options;
  options.gamma = site.options.number("gamma", 1);
  options.activation = slope_restricted(site.options.text("activation", "relu"));
  options.bias = site.options.boolean("bias", true);
  return std::make_unique<SandwichConv2d>(torus, out, kernel, site.rng, options);
}

}  // namespace

constinit const LayerType sandwich_conv_type = {
    .type = "sandwich-conv",
    .kind = LayerKind::convolution,
    .property = LayerProperty::one_lipschitz,
    .options = "out, kernel, stride, gamma, activation, bias",
    .description =
        "convolution, activation (relu, softplus, tanh, sigmoid, identity) and convolution in one, "
        "on images of one size, with the bound sqrt(gamma); circular padding",
    .cost = "O(H W (p q^2 + q^3)) for p to q channels: per frequency, products and one inverse",
    .source = "Wang 2023",
    .build = build,
};

SandwichConv2d::SandwichConv2d(const Torus& torus, std::int64_t c_out, int kernel, Rng& rng,
                               const SandwichOptions& options)
    : torus_(torus),
      c_out_(c_out),
      k_(kernel),
      options_(options),
      derived_(maker(torus, c_out, false)) {
  require<ValueError>(c_out >= 1 && kernel >= 1, op, ": expected channels and kernel >= 1, got ",
                      c_out, " and ", kernel);
  require<ValueError>(options.gamma > 0 && std::isfinite(options.gamma), op,
                      ": expected gamma > 0, got ", options.gamma);
  require<ValueError>(!options.output, op, ": expected a dense layer as the output layer");
  torus.check(op, {torus.height, torus.width, torus.channels});
  const std::int64_t k = unshuffled_kernel(kernel, torus.stride);
  const std::int64_t inputs = c_out + torus.unshuffled();
  const double limit = 1 / std::sqrt(static_cast<double>(inputs * k * k));
  raw_ = Parameter(random_uniform(rng, {c_out, k, k, inputs}, -limit, limit));
  length_ = Parameter(Tensor::full({1}, frobenius_norm(raw_.value())));
  psi_ = Parameter(Tensor::zeros({c_out}));
  if (options.bias) bias_ = Parameter(random_uniform(rng, {c_out}, -limit, limit));
}

SandwichConv2d::SandwichConv2d(const SandwichConv2d& original, Tensor symbol, DType dtype)
    : torus_(original.torus_),
      c_out_(original.c_out_),
      k_(original.k_),
      options_(original.options_),
      plain_(true),
      raw_(std::move(symbol)),
      psi_(original.psi_.value().to(dtype)),
      derived_(maker(original.torus_, original.c_out_, true)) {
  if (original.bias_) bias_ = Parameter(original.bias_.value().to(dtype));
}

std::vector<Parameter*> SandwichConv2d::sources() const {
  std::vector<Parameter*> list{&raw_};
  if (length_) list.push_back(&length_);
  return list;
}

Vars SandwichConv2d::halves() const { return derived_.get(sources()); }

Tensor SandwichConv2d::folded_symbol() const {
  const Tensors halves = derived_.folded(sources());
  const Paused paused;
  return concat({halves[0], halves[1]}, 1).value();
}

Var SandwichConv2d::forward(const Var& x) const {
  const Vars made = halves();
  const Var input = options_.gamma == 1 ? x : scale(x, std::sqrt(options_.gamma));
  Var inner = torus_.image(matmul_complex(torus_.spectrum(op, input), made[1]));
  const Var outer = sandwich_activation(std::move(inner), psi_.var(), bias_ ? bias_.var() : Var(),
                                        options_.activation);
  return torus_.image(matmul_complex(fourier(outer), made[0], /*adjoint=*/true));
}

Shape SandwichConv2d::output_shape(const Shape& input) const {
  torus_.check(op, input);
  return {torus_.rows(), torus_.columns(), c_out_};
}

std::string SandwichConv2d::describe() const {
  return message("SandwichConv2d ", torus_.channels, " -> ", c_out_, " on ", torus_.height, " x ",
                 torus_.width, ", kernel ", k_, ", stride ", torus_.stride, ", ",
                 name(options_.activation), ", gamma ", options_.gamma, ", circular padding");
}

// As of the dense layer: with the isometry U of the transform, A = U^T A^ U and B = U^T B^ U, and
// |[A B]| <= |[A^ B^]|, the largest norm over the frequencies.
Enclosure SandwichConv2d::enclosure() const {
  require_finite_bias(op, bias_);
  const double norm = frequency_norm_bound(folded_symbol());
  return {0, bound_product(bound_product(norm, norm), root_bound(options_.gamma)),
          "square of the largest proved norm of [A B] over the frequencies, times sqrt(gamma)"};
}

Spectrum SandwichConv2d::spectrum(const Shape& input) const {
  output_shape(input);
  return {{}, "not measured: not linear"};
}

Residual SandwichConv2d::residual() const {
  if (plain_) return {0, "no constraint"};
  return {frequency_defect_bound(folded_symbol()),
          "bound of |A A^H + B B^H - I| over all frequencies"};
}

std::unique_ptr<Module> SandwichConv2d::materialize(DType dtype) const {
  return std::unique_ptr<Module>(new SandwichConv2d(*this, folded_symbol().to(dtype), dtype));
}

void SandwichConv2d::collect_operations(const std::string& prefix, const Shape& input,
                                        Operations& operations) const {
  const Shape output = output_shape(input);
  append_gain(prefix, input, options_.gamma, operations);
  const Shape image = append_unshuffle(prefix, input, torus_.stride, operations);
  const Tensor symbol = folded_symbol();
  Operation layer =
      frequency_operation(prefix, symbol, frequency_norm_bound(symbol), {}, image, output);
  layer.op = "frequency_sandwich";
  layer.terms = 2 * std::max(image[2], c_out_);
  add_activation(prefix, psi_.value(), bias_ ? bias_.value() : Tensor(), options_.activation,
                 layer);
  operations.push_back(std::move(layer));
}

void SandwichConv2d::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + (plain_ ? "symbol" : "raw"), &raw_});
  if (length_) parameters.push_back({prefix + "length", &length_});
  parameters.push_back({prefix + "psi", &psi_});
  if (bias_) parameters.push_back({prefix + "bias", &bias_});
}

void SandwichConv2d::collect_folded(const std::string& prefix,
                                    std::vector<NamedTensor>& folded) const {
  if (!plain_) folded.push_back({prefix + "symbol", folded_symbol()});
}

}  // namespace isotape
