#include <isotape/layers/bcop.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/layers/spectrum.hpp>
#include <isotape/ops/block_conv.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

void check_extents(std::int64_t c_in, std::int64_t c_out, int k, int stride) {
  require<ValueError>(c_in >= 1 && c_out >= 1 && k >= 1,
                      "bcop: expected channels and kernel >= 1, got ", c_in, " -> ", c_out,
                      ", kernel ", k);
  require<ValueError>(stride >= 1 && k % stride == 0,
                      "bcop: expected a stride that divides the kernel ", k, ", got ", stride);
}

// Whether there are bases beside H.
bool has_bases(Projectors projectors, std::int64_t c, int k) {
  return projectors == Projectors::tall && k > 1 && c > 1;
}

std::unique_ptr<Module> build(Site& site) {
  const std::int64_t c_in = input_channels(site);
  const std::int64_t out = output_extent(site);
  const int kernel = small_integer(site, "kernel", 3);
  BcopOptions options;
  options.stride = small_integer(site, "stride", 1);
  options.frozen = site.options.boolean("frozen", false);
  options.doubled = site.options.boolean("doubled", false);
  options.bias = site.options.boolean("bias", true);
  options.projectors = choice(site, "projectors", {"square", "tall"}) == "tall"
                           ? Projectors::tall
                           : Projectors::square;
  options.orthogonalization = bjorck_options(site);
  return std::make_unique<BcopConv2d>(c_in, out, kernel, site.rng, options);
}

}  // namespace

constinit const LayerType bcop_type = {
    .type = "bcop",
    .kind = LayerKind::convolution,
    .property = LayerProperty::gradient_norm_preserving,
    .options =
        "out, kernel, stride, frozen, doubled, bias, projectors, order, iterations, "
        "raw_gain",
    .description =
        "orthogonal convolution by block convolution of projectors, square (default) or "
        "tall; circular padding",
    .cost =
        "2 (k/s - 1) + 1 polar factors of c x c, c = max(in s^2, out), and about (k/s)^3 / 3 "
        "products c^3",
    .source = "Li 2019",
    .build = build,
};

BcopConv2d::BcopConv2d(std::int64_t c_in, std::int64_t c_out, int kernel, Rng& rng,
                       BcopOptions options)
    : c_in_((check_extents(c_in, c_out, kernel, options.stride), c_in)),
      c_out_(options.doubled ? 2 * std::max(c_in * options.stride * options.stride, c_out) : c_out),
      k_(kernel / options.stride),
      options_(options),
      unshuffled_(c_in * options.stride * options.stride),
      weight_({options.projectors == Projectors::tall ? 1 : 2 * (k_ - 1) + 1,
               std::max(unshuffled_, c_out_), std::max(unshuffled_, c_out_)},
              options.orthogonalization, rng) {
  weight_.raw.trainable = !options.frozen;
  const std::int64_t c = std::max(unshuffled_, c_out_);
  if (has_bases(options.projectors, c, k_)) {
    CholeskyQr factor;
    if (options.orthogonalization.raw_gain > 0) {
      factor.raw_gain = options.orthogonalization.raw_gain;
    }
    projectors_.emplace(Shape{2 * (std::int64_t{k_} - 1), c, c / 2}, factor, rng);
    projectors_->raw.trainable = !options.frozen;
  }
  if (options.bias) {
    const double limit = 1 / std::sqrt(static_cast<double>(c_out_));
    bias_ = Parameter(random_uniform(rng, {c_out_}, -limit, limit));
    bias_.trainable = !options.frozen;
  }
}

Var BcopConv2d::kernel_of(const Var& weight, const Var& projectors) const {
  if (projectors) return bcop_kernel(weight, projectors, unshuffled_, c_out_);
  if (options_.projectors == Projectors::square || k_ == 1) {
    return bcop_kernel(weight, unshuffled_, c_out_);
  }
  // One channel: projectors of rank 0, whatever their matrices.
  const Tensor none = Tensor::zeros({2 * (std::int64_t{k_} - 1), 1, 1}, weight.dtype());
  return bcop_kernel(concat({weight, none}, 0), unshuffled_, c_out_);
}

bool BcopConv2d::is_recorded() const {
  return weight_.raw.is_recorded() || (projectors_ && projectors_->raw.is_recorded());
}

// Of all that the kernel is made of: versions only grow, so their sum changes with either.
std::uint64_t BcopConv2d::version() const {
  return weight_.version() + (projectors_ ? projectors_->version() : 0);
}

Var BcopConv2d::kernel() const {
  if (!is_recorded()) return folded_kernel();
  Tape& tape = *Tape::active();
  Var kernel = tape.recall(&folded_, version());
  if (!kernel) {
    kernel = kernel_of(weight_.var(), projectors_ ? projectors_->var() : Var());
    tape.remember(&folded_, version(), kernel);
  }
  return kernel;
}

Tensor BcopConv2d::folded_kernel() const {
  return folded_.get(version(), [this] {
    const Paused paused;
    return kernel_of(weight_.folded_f64(), projectors_ ? projectors_->folded_f64() : Var())
        .value()
        .to(weight_.raw.value().dtype());
  });
}

// The kernel that acts on the image itself: the unshuffled channel c s^2 + dy s + dx of tap (a, b)
// is channel c of tap (a s + dy, b s + dx).
Var BcopConv2d::strided(const Var& kernel) const {
  const int s = options_.stride;
  if (s == 1) return kernel;
  const std::int64_t side = std::int64_t{k_} * s;
  const Var taps = reshape(kernel, {c_out_ * k_, k_, c_in_, s, s});
  return reshape(permute(taps, {0, 3, 1, 4, 2}), {c_out_, side, side, c_in_});
}

Var BcopConv2d::strided_kernel() const {
  if (is_recorded()) {
    Tape& tape = *Tape::active();
    Var recorded = tape.recall(&strided_, version());
    if (!recorded) {
      recorded = strided(kernel());
      tape.remember(&strided_, version(), recorded);
    }
    return recorded;
  }
  return strided_.get(version(), [this] {
    const Paused paused;
    return strided(folded_kernel()).value();
  });
}

Padding BcopConv2d::border() const {
  const int before = options_.stride * (k_ / 2);
  const int after = options_.stride * ((k_ - 1) / 2);
  return {before, after, before, after};
}

Var BcopConv2d::forward(const Var& x) const { return convolve(x, bias_ ? bias_.var() : Var()); }

Unbiased BcopConv2d::forward_unbiased(const Var& x) const {
  return {convolve(x, {}), bias_ ? bias_.var() : Var()};
}

Var BcopConv2d::convolve(const Var& x, const Var& bias) const {
  require<ShapeError>(x.value().rank() == 4, "bcop: expected a batch [N, H, W, ", c_in_, "], got ",
                      x.shape());
  output_shape({x.dim(1), x.dim(2), x.dim(3)});
  return conv2d(
      x, strided_kernel(), bias,
      {.stride = options_.stride, .border = border(), .precision = Tape::active_precision()});
}

Shape BcopConv2d::output_shape(const Shape& input) const {
  const int s = options_.stride;
  require<ShapeError>(input.rank() == 3 && input[2] == c_in_, "bcop: expected input [H, W, ", c_in_,
                      "], got ", input);
  require<ShapeError>(input[0] % s == 0 && input[1] % s == 0,
                      "bcop: expected an image whose sides are multiples of the stride ", s,
                      ", got ", input);
  require<ShapeError>(input[0] / s >= k_ / 2 && input[1] / s >= k_ / 2 && input[0] > 0,
                      "bcop: expected sides of at least ", s * (k_ / 2), " to wrap, got ", input);
  return {input[0] / s, input[1] / s, c_out_};
}

std::string BcopConv2d::describe() const {
  return message(
      "BcopConv2d ", c_in_, " -> ", c_out_, ", kernel ", k_ * options_.stride, ", stride ",
      options_.stride, options_.frozen ? ", frozen" : "", options_.doubled ? ", doubled" : "",
      options_.projectors == Projectors::tall ? ", tall projectors" : "", ", circular padding");
}

Enclosure BcopConv2d::enclosure() const {
  require_finite_bias("bcop", bias_);
  Enclosure found = kernel_enclosure(folded_kernel());
  found.rule = kernel_rule;
  return found;
}

Enclosure BcopConv2d::enclosure_at(const Shape& input) const {
  const Shape output = output_shape(input);
  Enclosure found = kernel_enclosure_at(folded_kernel(), output[0], output[1]);
  found.rule = "limits of the kernel's symbol at the frequencies of the image";
  return found;
}

NormPreservation BcopConv2d::gnp() const {
  if (!weight_.is_orthogonal()) return NormPreservation::none;
  if (unshuffled_ == c_out_) return NormPreservation::both;
  return c_out_ < unshuffled_ ? NormPreservation::backward : NormPreservation::forward;
}

Spectrum BcopConv2d::spectrum(const Shape& input) const {
  const Shape output = output_shape(input);
  return {kernel_singular_values(folded_kernel(), output[0], output[1]),
          "SVD of the kernel's symbol at every frequency of the image"};
}

Residual BcopConv2d::residual() const {
  if (!weight_.is_orthogonal()) return {0, "no orthogonality claimed"};
  const Enclosure sigma = enclosure();
  return {std::max(sigma.upper - 1, 1 - sigma.lower), "largest |sigma - 1| of the enclosure"};
}

std::unique_ptr<Module> BcopConv2d::materialize(DType dtype) const {
  return std::make_unique<Conv2d>(
      strided(folded_kernel().to(dtype)).value(), bias_.value().to(dtype),
      Conv2dLayerOptions{.stride = options_.stride, .padding = border()});
}

void BcopConv2d::collect_operations(const std::string& prefix, const Shape& input,
                                    Operations& operations) const {
  // The file holds the kernel behind the unshuffle.
  const Shape output = output_shape(input);
  const Shape unshuffled = append_unshuffle(prefix, input, options_.stride, operations);
  const int before = k_ / 2;
  const int after = (k_ - 1) / 2;
  operations.push_back(conv_operation(prefix, folded_kernel(), bias_ ? bias_.value() : Tensor(),
                                      {.border = {before, after, before, after}}, unshuffled,
                                      output, enclosure()));
}

void BcopConv2d::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + "raw", &weight_.raw});
  if (projectors_) parameters.push_back({prefix + "projectors", &projectors_->raw});
  if (bias_) parameters.push_back({prefix + "bias", &bias_});
}

void BcopConv2d::collect(const std::string& prefix, BufferList& buffers) {
  weight_.collect(prefix, buffers);
}

void BcopConv2d::collect(const std::string& prefix, std::vector<NamedWeight>& weights) {
  weights.push_back({prefix.substr(0, prefix.find_last_of('.')), &weight_});
  if (projectors_) weights.push_back({prefix + "projectors", &*projectors_});
}

void BcopConv2d::collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const {
  folded.push_back({prefix + "weight", permute(folded_kernel(), {0, 3, 1, 2}).value()});
}

}  // namespace isotape
