#include <isotape/layers/aoc.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/layers/spectrum.hpp>
#include <isotape/ops/adjoint_kernel.hpp>
#include <isotape/ops/block_conv.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

void check(std::int64_t c_in, std::int64_t c_out, int k, const Conv2dLayerOptions& o) {
  require<ValueError>(c_in >= 1 && c_out >= 1 && k >= 1,
                      "aoc: expected channels and kernel >= 1, got ", c_in, " -> ", c_out,
                      ", kernel ", k);
  require<ValueError>(o.groups >= 1 && c_in % o.groups == 0 && c_out % o.groups == 0,
                      "aoc: expected groups that divide the channels ", c_in, " -> ", c_out,
                      ", got ", o.groups);
  require<ValueError>(1 <= o.stride && o.stride <= k, "aoc: expected a stride in 1..", k,
                      ", the kernel, got ", o.stride);
  require<ValueError>(o.dilation >= 1 && (o.dilation == 1 || o.stride == 1),
                      "aoc: expected a dilation >= 1, and of 1 at a stride, got ", o.dilation,
                      " at stride ", o.stride);
}

// Any split of the k - s pixels keeps the operator orthogonal; at stride 1 that of BCOP.
Padding border_of(int k, const Conv2dLayerOptions& o) {
  const int total = o.dilation * (k - 1) - (o.stride - 1);
  const int before = o.stride == 1 ? o.dilation * (k / 2) : (total + 1) / 2;
  return {before, total - before, before, total - before};
}

// M # B: the taps of B as an image with a border of zeros, correlated with the flipped M.
Var composed(const Var& m, const Var& b) {
  const auto s = static_cast<int>(m.dim(1));
  const Var flipped = permute(adjoint_kernel(m), {3, 1, 2, 0});
  const Var image = permute(b, {3, 1, 2, 0});  // [I, taps, taps, c]
  return permute(conv2d(image, flipped, {}, {.padding = s - 1}), {3, 1, 2, 0});
}

std::unique_ptr<Module> build(Site& site) {
  const std::int64_t c_in = input_channels(site);
  const std::int64_t out = output_extent(site);
  const int kernel = small_integer(site, "kernel", 3);
  const Conv2dLayerOptions options = conv_options(site, kernel);
  return std::make_unique<Aoc>(c_in, out, kernel, bjorck_options(site), site.rng, options);
}

}  // namespace

constinit const LayerType aoc_type = {
    .type = "aoc",
    .kind = LayerKind::convolution,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "out, kernel, stride, groups, dilation, padding, bias, order, iterations, raw_gain",
    .description =
        "orthogonal convolution with its own stride, groups and dilation: BCOP followed "
        "by an orthogonal matrix of patches",
    .cost = "2 (k - s) + 1 polar factors of c x c, one of out x s^2 c, and their block convolution",
    .source = "Boissin 2025",
    .build = build,
};

Aoc::Aoc(std::int64_t c_in, std::int64_t c_out, int kernel, const Bjorck& orthogonalization,
         Rng& rng, Conv2dLayerOptions options)
    : c_in_((check(c_in, c_out, kernel, options), c_in)),
      c_out_(c_out),
      k_(kernel),
      options_(options) {
  const std::int64_t s = options.stride;
  const std::int64_t groups = options.groups;
  const std::int64_t in = c_in / groups;
  const std::int64_t out = c_out / groups;
  options_.padding = border_of(kernel, options);
  between_ = s == 1 ? out : k_ == s ? in : std::max(in, out / (s * s));
  if (s == 1 || k_ > s) {
    const std::int64_t c = std::max(in, between_);
    matrices_.emplace(Shape{groups * (2 * (k_ - s) + 1), c, c}, orthogonalization, rng);
  }
  if (s > 1) patches_.emplace(Shape{groups, out, s * s * between_}, orthogonalization, rng);
  if (options.bias) {
    const double limit = 1 / std::sqrt(static_cast<double>(c_out));
    bias_ = Parameter(random_uniform(rng, {c_out}, -limit, limit));
  }
}

Var Aoc::kernel_of(const Var& matrices, const Var& patches) const {
  const std::int64_t s = options_.stride;
  const std::int64_t count = 2 * (k_ - s) + 1;
  Vars kernels;
  for (std::int64_t g = 0; g < options_.groups; ++g) {
    Var b;
    if (matrices) {
      b = bcop_kernel(slice(matrices, 0, g * count, (g + 1) * count), c_in_ / options_.groups,
                      between_);
    }
    if (!patches) {
      kernels.push_back(b);
      continue;
    }
    const Var m = reshape(slice(patches, 0, g, g + 1), {c_out_ / options_.groups, s, s, between_});
    kernels.push_back(b ? composed(m, b) : m);
  }
  return kernels.size() == 1 ? kernels[0] : concat(kernels, 0);
}

bool Aoc::is_recorded() const {
  return (matrices_ && matrices_->raw.is_recorded()) || (patches_ && patches_->raw.is_recorded());
}

// Versions only grow, so their sum changes with either.
std::uint64_t Aoc::version() const {
  return (matrices_ ? matrices_->version() : 0) + (patches_ ? patches_->version() : 0);
}

Var Aoc::kernel() const {
  if (!is_recorded()) return folded_kernel();
  Tape& tape = *Tape::active();
  Var kernel = tape.recall(&folded_, version());
  if (!kernel) {
    kernel = kernel_of(matrices_ ? matrices_->var() : Var(), patches_ ? patches_->var() : Var());
    tape.remember(&folded_, version(), kernel);
  }
  return kernel;
}

Tensor Aoc::folded_kernel() const {
  return folded_.get(version(), [this] {
    const Paused paused;
    const DType dtype = (matrices_ ? *matrices_ : *patches_).raw.value().dtype();
    return kernel_of(matrices_ ? matrices_->folded_f64() : Var(),
                     patches_ ? patches_->folded_f64() : Var())
        .value()
        .to(dtype);
  });
}

Var Aoc::forward(const Var& x) const { return convolve(x, bias_ ? bias_.var() : Var()); }

Unbiased Aoc::forward_unbiased(const Var& x) const {
  return {convolve(x, {}), bias_ ? bias_.var() : Var()};
}

Var Aoc::convolve(const Var& x, const Var& bias) const {
  require<ShapeError>(x.value().rank() == 4, "aoc: expected a batch [N, H, W, ", c_in_, "], got ",
                      x.shape());
  output_shape({x.dim(1), x.dim(2), x.dim(3)});
  return conv2d(x, kernel(), bias,
                {.stride = options_.stride,
                 .groups = options_.groups,
                 .dilation = options_.dilation,
                 .border = *options_.padding,
                 .border_mode = options_.padding_mode,
                 .precision = Tape::active_precision()});
}

Shape Aoc::output_shape(const Shape& input) const {
  const std::int64_t s = options_.stride;
  require<ShapeError>(input.rank() == 3 && input[2] == c_in_, "aoc: expected input [H, W, ", c_in_,
                      "], got ", input);
  require<ShapeError>(input[0] > 0 && input[0] % s == 0 && input[1] % s == 0,
                      "aoc: expected an image whose sides are multiples of the stride ", s,
                      ", got ", input);
  const std::int64_t border = std::max(options_.padding->top, options_.padding->bottom);
  require<ShapeError>(
      options_.padding_mode == PadMode::zero || std::min(input[0], input[1]) >= border,
      "aoc: expected sides of at least ", border, " to wrap, got ", input);
  return {input[0] / s, input[1] / s, c_out_};
}

std::string Aoc::describe() const {
  return message("Aoc ", c_in_, " -> ", c_out_, ", kernel ", k_, ", stride ", options_.stride,
                 options_.groups > 1 ? message(", groups ", options_.groups) : "",
                 options_.dilation > 1 ? message(", dilation ", options_.dilation) : "", ", ",
                 options_.padding_mode == PadMode::circular ? "circular" : "zero", " padding");
}

Enclosure Aoc::enclosure() const {
  require_finite_bias("aoc", bias_);
  Enclosure found = kernel_enclosure(folded_kernel(), options_.stride, options_.groups);
  if (options_.padding_mode == PadMode::zero) found.lower = 0;
  found.rule = kernel_rule;
  return found;
}

Enclosure Aoc::enclosure_at(const Shape& input) const {
  return materialize(DType::f64)->enclosure_at(input);
}

NormPreservation Aoc::gnp() const {
  const bool orthogonal = (matrices_ ? *matrices_ : *patches_).is_orthogonal();
  if (!orthogonal || options_.padding_mode == PadMode::zero) return NormPreservation::none;
  const std::int64_t inputs = c_in_ * options_.stride * options_.stride;
  if (inputs == c_out_) return NormPreservation::both;
  return c_out_ < inputs ? NormPreservation::backward : NormPreservation::forward;
}

Spectrum Aoc::spectrum(const Shape& input) const {
  return materialize(DType::f64)->spectrum(input);
}

Residual Aoc::residual() const {
  if (!(matrices_ ? *matrices_ : *patches_).is_orthogonal()) {
    return {0, "no orthogonality claimed"};
  }
  const Enclosure sigma = kernel_enclosure(folded_kernel(), options_.stride, options_.groups);
  return {std::max(sigma.upper - 1, 1 - sigma.lower), "largest |sigma - 1| of the enclosure"};
}

std::unique_ptr<Module> Aoc::materialize(DType dtype) const {
  return std::make_unique<Conv2d>(folded_kernel().to(dtype), bias_.value().to(dtype), options_);
}

void Aoc::collect_operations(const std::string& prefix, const Shape& input,
                             Operations& operations) const {
  Conv2d(folded_kernel(), bias_ ? bias_.value() : Tensor(), options_)
      .collect_operations(prefix, input, operations);
}

void Aoc::collect(const std::string& prefix, ParameterList& parameters) {
  if (matrices_) parameters.push_back({prefix + "raw", &matrices_->raw});
  if (patches_) parameters.push_back({prefix + "patches", &patches_->raw});
  if (bias_) parameters.push_back({prefix + "bias", &bias_});
}

void Aoc::collect(const std::string& prefix, std::vector<NamedWeight>& weights) {
  const std::string name = prefix.substr(0, prefix.find_last_of('.'));
  if (matrices_) weights.push_back({name, &*matrices_});
  if (patches_) weights.push_back({prefix + "patches", &*patches_});
}

void Aoc::collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const {
  folded.push_back({prefix + "weight", permute(folded_kernel(), {0, 3, 1, 2}).value()});
}

}  // namespace isotape
