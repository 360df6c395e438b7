#include <isotape/layers/soc.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/spectrum.hpp>
#include <isotape/ops/adjoint_kernel.hpp>
#include <isotape/ops/conv_exp.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/expanded_kernel.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

constexpr double generator_norm = 1.9;
constexpr std::int64_t dense_limit = 1 << 20;  // entries of a dense operator

std::unique_ptr<Module> build(Site& site) {
  const Square square = square_options(site);
  SocOptions options;
  options.kernel = square_kernel(site, square);
  if (options.kernel % 2 == 0) {
    // Skew kernels have a centre. What the stride left even of a kernel grows by one.
    require<ValueError>(square.stride > 1, site.place(), ": expected an odd kernel, got ",
                        options.kernel);
    ++options.kernel;
  }
  options.terms = small_integer(site, "terms", options.terms);
  options.train_terms = small_integer(site, "train_terms", options.terms);
  options.iterations = small_integer(site, "iterations", 1);
  if (!square.is_flat) options.padding = padding_option(site);
  options.bias = site.options.boolean("bias", true);
  return std::make_unique<Soc>(square, options, site.rng);
}

SpectralNorm checked(const Square& square, const SocOptions& o) {
  square.check("soc");
  require<ValueError>(o.terms >= 1 && o.train_terms >= 0 && o.kernel >= 1 && o.kernel % 2 == 1,
                      "soc: expected terms >= 1 and an odd kernel, got", square.describe(),
                      ", kernel ", o.kernel, ", terms ", o.terms);
  return SpectralNorm{o.iterations};
}

// L of K, of any type; a product by one factor leaves it skew.
Var skew(const Var& k, int groups) {
  return skew_kernel(scale(k, generator_norm / (2 * static_cast<double>(k.dim(1)))), groups);
}

// Of the raw kernel; its parametrization is made of checked arguments.
Shape kernel_shape(const Square& square, int k) {
  return {square.channels(), k, k, square.channels() / std::max(1, square.groups)};
}

// Half the largest row sum of |L + L^T| over all taps: >= |L + L^T| / 2.
double skewness_bound(const Tensor& l) {
  const std::int64_t row_size = l.shape().inner(0);
  const std::int64_t channels = l.dim(0);
  const std::int64_t taps = row_size / channels;
  double largest = 0;
  for (std::int64_t o = 0; o < channels; ++o) {
    double sum = 0;
    for (std::int64_t e = 0; e < row_size; ++e) {
      const std::int64_t mirrored = taps - 1 - e / channels;
      sum += std::abs(l.at(o * row_size + e) +
                      l.at(e % channels * row_size + mirrored * channels + o));
    }
    largest = std::max(largest, sum);
  }
  return largest / 2 * (1 + 0x1p-50 * static_cast<double>(row_size + 2));
}

}  // namespace

constinit const LayerType soc_type = {
    .type = "soc",
    .kind = LayerKind::convolution,
    .property = LayerProperty::gradient_norm_preserving,
    .options =
        "out, kernel, stride, groups, dilation, padding, bias, terms, train_terms, iterations",
    .description =
        "skew orthogonal convolution: the exponential of a skew convolution by the terms of its "
        "series, at an even kernel after a stride the next odd one; on images or vectors, with "
        "zero channels or without the last ones where the extents differ",
    .cost = "4 c^2 k^2 / groups, c = max(in s^2, out); terms - 1 convolutions c -> c per sample",
    .source = "Singla 2021",
    .build = build,
};

Soc::Soc(const Square& square, const SocOptions& options, Rng& rng)
    : square_(square),
      options_(options),
      weight_(kernel_shape(square, options.kernel), checked(square, options), rng) {
  if (options.bias) {
    const double limit = 1 / std::sqrt(static_cast<double>(square.c_out));
    bias_ = Parameter(random_uniform(rng, {square.c_out}, -limit, limit));
  }
}

Soc::Soc(const Square& square, const SocOptions& options, Tensor generator)
    : square_(square), options_(options), is_plain_(true), weight_(std::move(generator)) {}

Var Soc::generator() const {
  if (!weight_.raw.is_recorded()) return folded_generator();
  if (is_plain_) return weight_.var();
  Tape& tape = *Tape::active();
  Var made = tape.recall(&folded_, weight_.raw.version());
  if (!made) {
    made = skew(weight_.var(), square_.groups);
    tape.remember(&folded_, weight_.raw.version(), made);
  }
  return made;
}

Tensor Soc::folded_generator() const {
  Tensor k = weight_.folded();
  if (is_plain_) return k;
  // The folded weight is another tensor whenever it is made anew.
  return folded_.get(k.mark().storage, [&] {
    const Paused paused;
    return skew(k, square_.groups).value();
  });
}

Var Soc::forward(const Var& x) const {
  const Unbiased y = forward_unbiased(x);
  return y.bias ? add(y.value, y.bias) : y.value;
}

Unbiased Soc::forward_unbiased(const Var& x) const {
  const Shape& shape = x.shape();
  output_shape(square_.is_flat && shape.rank() == 2 ? Shape{shape[1]}
               : shape.rank() == 4                  ? Shape{shape[1], shape[2], shape[3]}
                                                    : shape);
  const bool trains = weight_.raw.is_recorded() && options_.train_terms > 0;
  const int terms = trains ? options_.train_terms : options_.terms;
  const Var y = conv_exp(square_.enter(x), generator(), terms, options_.padding, square_.groups,
                         square_.dilation);
  return {square_.leave(y), bias_ ? bias_.var() : Var()};
}

Shape Soc::output_shape(const Shape& input) const {
  square_.check_border("soc", input, options_.kernel, options_.padding);
  return square_.output_shape("soc", input);
}

std::string Soc::describe() const {
  return message("Soc", square_.describe(), ", kernel ", options_.kernel, ", ", options_.terms,
                 " terms, ", options_.padding == PadMode::zero ? "zero" : "circular", " padding",
                 is_plain_ ? " (unconstrained)" : "");
}

Enclosure Soc::enclosure() const {
  require_finite_bias("soc", bias_);
  const Tensor l = folded_generator().to(DType::f64);
  const std::int64_t groups = square_.groups;
  const double norm = conv_norm_bound(l, 1, groups);
  const Tensor symmetric = add(l, adjoint_kernel(l, groups)).value();
  const double skewness = max_abs(symmetric) == 0 ? 0 : conv_norm_bound(symmetric, 1, groups) / 2;
  const double upper = exp_series_bound(norm, skewness, options_.terms);
  const double lower = exp_series_lower(norm, skewness, options_.terms);
  return {lower, upper,
          message("exp(+-|L + L^T| / 2) +- |L|^", options_.terms, " / ", options_.terms,
                  "! of the truncated series, both norms proved, any image size")};
}

NormPreservation Soc::gnp() const {
  if (is_plain_) return NormPreservation::none;
  if (square_.unshuffled() == square_.c_out) return NormPreservation::both;
  return square_.c_out < square_.unshuffled() ? NormPreservation::backward
                                              : NormPreservation::forward;
}

Spectrum Soc::spectrum(const Shape& input) const {
  const Shape output = output_shape(input);
  if (input.size() * output.size() > dense_limit) {
    return {{}, "not measured: no convolution by one kernel, and too large for a dense matrix"};
  }
  const std::unique_ptr<Module> plain = materialize(DType::f64);
  const Shape batch = square_.is_flat ? Shape{1, input[0]} : Shape{1, input[0], input[1], input[2]};
  const auto f = [&](const Var& x) { return plain->forward(x); };
  return {singular_values(dense_operator(f, batch, DType::f64)),
          "SVD of the dense operator by impulse response"};
}

Residual Soc::residual() const {
  if (is_plain_) return {0, "no constraint"};
  return {lipschitz_bound().value - 1, "proved truncation |L|^terms / terms!"};
}

std::unique_ptr<Module> Soc::materialize(DType dtype) const {
  std::unique_ptr<Soc> plain(new Soc(square_, options_, folded_generator().to(dtype)));
  if (bias_) plain->bias_ = Parameter(bias_.value().to(dtype));
  return plain;
}

void Soc::collect_operations(const std::string& prefix, const Shape& input,
                             Operations& operations) const {
  const Shape output = output_shape(input);
  const Tensor l = expanded_kernel(folded_generator(), square_.groups, square_.dilation);
  const Shape inner = square_.append_entry(prefix, input, operations);
  Operation series = conv_operation(
      prefix, l, {}, {.border = square_.border(options_.kernel), .border_mode = options_.padding},
      inner, inner, {0, conv_norm_bound(folded_generator().to(DType::f64), 1, square_.groups)});
  series.op = "skew_exp";
  series.options = {
      {"terms", std::int64_t{options_.terms}},
      {"padding", std::string(options_.padding == PadMode::circular ? "circular" : "zero")}};
  series.bound = exp_series_bound(series.sigma.upper, skewness_bound(l), options_.terms);
  operations.push_back(std::move(series));
  square_.append_exit(prefix, inner, operations);
  if (bias_) operations.push_back(bias_operation(prefix, bias_.value(), output));
}

void Soc::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + "raw", &weight_.raw});
  if (bias_) parameters.push_back({prefix + "bias", &bias_});
}

void Soc::collect(const std::string& prefix, BufferList& buffers) {
  weight_.collect(prefix, buffers);
}

void Soc::collect(const std::string& prefix, std::vector<NamedWeight>& weights) {
  weights.push_back({prefix.substr(0, prefix.find_last_of('.')), &weight_});
}

void Soc::collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const {
  const Tensor l = expanded_kernel(folded_generator(), square_.groups, square_.dilation);
  folded.push_back({prefix + "weight", permute(l, {0, 3, 1, 2}).value()});
}

}  // namespace isotape
