#include <isotape/layers/aol.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/layers/spectrum.hpp>
#include <isotape/ops/adjoint_kernel.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/expanded_kernel.hpp>
#include <isotape/ops/gram_row_sums.hpp>
#include <isotape/ops/normalize.hpp>
#include <isotape/ops/pixel_shuffle.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

constexpr std::int64_t dense_limit = 1 << 20;  // entries of a dense operator

Padding same_padding(int k, int dilation) {
  const int before = dilation * (k / 2);
  const int after = dilation * (k - 1 - k / 2);
  return {before, after, before, after};
}

std::unique_ptr<Module> build(Site& site) {
  if (site.input.rank() == 1) return build_constrained_dense(site);
  const std::int64_t c_in = input_channels(site);
  const std::int64_t out = output_extent(site);
  AolOptions options;
  options.stride = small_integer(site, "stride", 1);
  options.kernel = (small_integer(site, "kernel", 3) + options.stride - 1) / options.stride;
  options.groups = small_integer(site, "groups", 1);
  options.dilation = small_integer(site, "dilation", 1);
  options.padding = padding_option(site);
  options.bias = site.options.boolean("bias", true);
  return std::make_unique<AolConv2d>(c_in, out, options, site.rng);
}

// Channel i of a group's inputs to channel i of its outputs, at the tap in the middle. An input
// channel without an output of its own goes a little to all, at random: at zero it would have no
// gradient, ever.
Tensor dirac(const Shape& shape, std::int64_t groups, Rng& rng) {
  Tensor kernel = Tensor::zeros(shape);
  const std::int64_t outputs = shape[0] / groups;
  const std::int64_t middle = shape[1] / 2 * shape[2] + shape[2] / 2;
  const double deviation = 0.01 / std::sqrt(static_cast<double>(outputs));
  for (std::int64_t c = 0; c < shape[3]; ++c) {
    for (std::int64_t o = 0; o < shape[0]; ++o) {
      const bool own = o % outputs == c;
      const double entry = c < outputs ? (own ? 1.0 : 0.0) : deviation * rng.normal();
      kernel.write<float>()[(o * shape[1] * shape[2] + middle) * shape[3] + c] =
          static_cast<float>(entry);
    }
  }
  return kernel;
}

Var almost_orthogonal(const Var& raw, std::int64_t groups) {
  const Var inputs = adjoint_kernel(raw, groups);
  return adjoint_kernel(rescale_rows(inputs, gram_row_sums(inputs, {}, groups)), groups);
}

}  // namespace

constinit const LayerType aol_type = {
    .type = "aol",
    .kind = LayerKind::convolution,
    .property = LayerProperty::one_lipschitz,
    .options = "out, kernel, stride, groups, dilation, padding, bias",
    .description =
        "convolution, or on vectors dense layer, with input channels rescaled by the row sums of "
        "its absolute Gram kernel: almost orthogonal",
    .cost = "about k^4 in^2 out / (2 groups^2)",
    .source = "Prach 2022",
    .build = build,
    .constraint = [](Site&) -> Parametrization { return Aol{}; },
};

Tensor Aol::initial(const Shape& shape, Rng& rng) const { return random_orthogonal(rng, shape); }

Var Aol::apply(const Var& raw) const {
  const Var columns = transpose(raw);
  return transpose(rescale_rows(columns, gram_row_sums(columns)));
}

AolConv2d::AolConv2d(std::int64_t c_in, std::int64_t c_out, const AolOptions& options, Rng& rng)
    : c_in_(c_in),
      options_(options),
      border_(same_padding(options.kernel, options.dilation)),
      derived_([groups = options.groups](const Vars& raw) -> Vars {
        return {almost_orthogonal(raw[0], groups)};
      }) {
  require<ValueError>(c_in >= 1 && c_out >= 1 && options.kernel >= 1 && options.stride >= 1,
                      "aol: expected channels, kernel and stride >= 1, got ", c_in, " -> ", c_out,
                      ", kernel ", options.kernel, ", stride ", options.stride);
  const std::int64_t groups = options.groups;
  require<ValueError>(groups >= 1 && c_in % groups == 0 && c_out % groups == 0,
                      "aol: expected groups that divide the channels ", c_in, " -> ", c_out,
                      ", got ", groups);
  require<ValueError>(options.dilation >= 1 && (options.dilation == 1 || options.stride == 1),
                      "aol: expected a dilation >= 1, and of 1 at a stride, got ", options.dilation,
                      " at stride ", options.stride);
  const std::int64_t k = options.kernel;
  raw_ =
      Parameter(dirac({c_out, k, k, c_in * options.stride * options.stride / groups}, groups, rng));
  raw_.decays = false;
  if (options.bias) {
    const double limit = 1 / std::sqrt(static_cast<double>(raw_.value().shape().inner(0)));
    bias_ = Parameter(random_uniform(rng, {c_out}, -limit, limit));
  }
}

AolConv2d::AolConv2d(Tensor kernel, Tensor bias, const AolConv2d& other)
    : c_in_(other.c_in_),
      options_(other.options_),
      border_(other.border_),
      is_plain_(true),
      raw_(std::move(kernel)),
      bias_(std::move(bias)),
      weights_(other.proving_weights()),
      derived_([](const Vars& raw) { return raw; }) {}

Var AolConv2d::forward(const Var& x) const {
  const Unbiased y = forward_unbiased(x);
  return y.bias ? add(y.value, y.bias) : y.value;
}

Unbiased AolConv2d::forward_unbiased(const Var& x) const {
  const Shape& shape = x.shape();
  output_shape(shape.rank() == 4 ? Shape{shape[1], shape[2], shape[3]} : shape);
  const Var image = options_.stride > 1 ? pixel_unshuffle(x, options_.stride) : x;
  return {conv2d(image, derived_.get({&raw_})[0], {}, convolution()), bias_ ? bias_.var() : Var()};
}

// Of the unshuffled image.
Conv2dOptions AolConv2d::convolution() const {
  return {.groups = options_.groups,
          .dilation = options_.dilation,
          .border = border_,
          .border_mode = options_.padding,
          .precision = Tape::active_precision()};
}

Shape AolConv2d::output_shape(const Shape& input) const {
  const int s = options_.stride;
  require<ShapeError>(input.rank() == 3 && input[2] == c_in_, "aol: expected input [H, W, ", c_in_,
                      "], got ", input);
  require<ShapeError>(input[0] % s == 0 && input[1] % s == 0,
                      "aol: expected an image whose sides are multiples of the stride ", s,
                      ", got ", input);
  const std::int64_t reach = std::max(border_.top, border_.bottom);
  require<ShapeError>(
      options_.padding == PadMode::zero || (input[0] >= reach * s && input[1] >= reach * s),
      "aol: expected sides of at least ", reach * s, " to wrap, got ", input);
  return {input[0] / s, input[1] / s, raw_.value().dim(0)};
}

std::string AolConv2d::describe() const {
  return message("AolConv2d ", c_in_, " -> ", raw_.value().dim(0), ", kernel ",
                 options_.kernel * options_.stride, ", stride ", options_.stride,
                 options_.groups > 1 ? message(", groups ", options_.groups) : "",
                 options_.dilation > 1 ? message(", dilation ", options_.dilation) : "", ", ",
                 options_.padding == PadMode::zero ? "zero" : "circular", " padding (",
                 is_plain_ ? "unconstrained" : "aol", ")");
}

// sqrt(t) proves the bound of what was rescaled by it; see weighted_gram_bound().
std::vector<double> AolConv2d::proving_weights() const {
  if (is_plain_) return weights_;
  const Paused paused;
  const Tensor t = gram_row_sums(adjoint_kernel(raw_.value().to(DType::f64), options_.groups), {},
                                 options_.groups)
                       .value();
  std::vector<double> weights;
  for (std::int64_t i = 0; i < t.size(); ++i) weights.push_back(std::sqrt(t.at(i)));
  return weights;
}

Enclosure AolConv2d::enclosure() const {
  require_finite_bias("aol", bias_);
  const Tensor kernel = derived_.folded({&raw_})[0].to(DType::f64);
  const std::int64_t groups = options_.groups;
  const double by_theorem =
      weighted_gram_bound(adjoint_kernel(kernel, groups).value(), proving_weights(), groups);
  const Enclosure found = kernel_enclosure(kernel, 1, groups);
  return {options_.padding == PadMode::circular ? found.lower : 0,
          std::min(found.upper, by_theorem),
          "least of weighted row sums of |W^T W| and the proved norms of the Gram kernel"};
}

Enclosure AolConv2d::enclosure_at(const Shape& input) const {
  const Shape output = output_shape(input);
  Enclosure any = enclosure();
  if (options_.padding != PadMode::circular) return any;
  const Tensor kernel = expanded_kernel(derived_.folded({&raw_})[0], 1, options_.dilation);
  const Enclosure here = kernel_enclosure_at(kernel, output[0], output[1], 1, options_.groups);
  return {std::max(any.lower, here.lower), std::min(any.upper, here.upper),
          "limits of the kernel's symbol at the frequencies of the image, and " + any.rule};
}

Spectrum AolConv2d::spectrum(const Shape& input) const {
  const Shape output = output_shape(input);
  if (options_.padding == PadMode::circular) {
    const Tensor kernel = expanded_kernel(derived_.folded({&raw_})[0], 1, options_.dilation);
    return {kernel_singular_values(kernel, output[0], output[1], 1, options_.groups),
            "SVD of the kernel's symbol at every frequency of the image"};
  }
  if (input.size() * output.size() > dense_limit) {
    return {{}, "not measured: no circulant operator, and too large for a dense matrix"};
  }
  const std::unique_ptr<Module> plain = materialize(DType::f64);
  const auto f = [&](const Var& x) { return plain->forward(x); };
  return {singular_values(dense_operator(f, {1, input[0], input[1], input[2]}, DType::f64)),
          "SVD of the dense operator by impulse response"};
}

std::unique_ptr<Module> AolConv2d::materialize(DType dtype) const {
  const Tensor bias = bias_ ? bias_.value().to(dtype) : Tensor();
  return std::unique_ptr<Module>(new AolConv2d(derived_.folded({&raw_})[0].to(dtype), bias, *this));
}

void AolConv2d::collect_operations(const std::string& prefix, const Shape& input,
                                   Operations& operations) const {
  const Shape output = output_shape(input);
  const Shape unshuffled = append_unshuffle(prefix, input, options_.stride, operations);
  operations.push_back(conv_operation(prefix, derived_.folded({&raw_})[0],
                                      bias_ ? bias_.value() : Tensor(), convolution(), unshuffled,
                                      output, enclosure()));
}

void AolConv2d::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + "raw", &raw_});
  if (bias_) parameters.push_back({prefix + "bias", &bias_});
}

void AolConv2d::collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const {
  const Tensor kernel = derived_.folded({&raw_})[0];
  folded.push_back({prefix + "weight", permute(kernel, {0, 3, 1, 2}).value()});
}

}  // namespace isotape
