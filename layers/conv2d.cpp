#include <isotape/layers/conv2d.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/layers/spectrum.hpp>
#include <isotape/layers/svcm.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/expanded_kernel.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

Padding same_padding(int k, int dilation) {
  const int total = dilation * (k - 1);
  const int before = dilation * (k / 2);
  return {before, total - before, before, total - before};
}

constexpr std::int64_t dense_limit = 1 << 20;  // entries of a dense operator

void check_extents(std::int64_t c_in, std::int64_t c_out, int k, const Conv2dLayerOptions& o) {
  require<ValueError>(c_in >= 1 && c_out >= 1 && k >= 1,
                      "conv2d: expected channels and kernel >= 1, got ", c_in, " -> ", c_out,
                      ", kernel ", k);
  require<ValueError>(o.stride >= 1 && o.dilation >= 1 && o.groups >= 1,
                      "conv2d: expected stride, dilation and groups >= 1, got ", o.stride, ", ",
                      o.dilation, " and ", o.groups);
  require<ValueError>(c_in % o.groups == 0 && c_out % o.groups == 0,
                      "conv2d: expected groups that divide the channels ", c_in, " -> ", c_out,
                      ", got ", o.groups);
}

Parametrization any_constraint(Site& site) { return constraint_option(site, "unconstrained"); }
Parametrization reshaped_kernel(Site& site) { return bjorck_options(site); }

}  // namespace

std::unique_ptr<Module> build_conv(Site& site, Parametrization (*constraint)(Site&)) {
  const std::int64_t c_in = input_channels(site);
  const std::int64_t out = output_extent(site);
  const int kernel = small_integer(site, "kernel", 3);
  const Conv2dLayerOptions options = conv_options(site, kernel);
  const Parametrization parametrization = constraint(site);
  return std::make_unique<Conv2d>(c_in, out, kernel, parametrization, site.rng, options);
}

Conv2dLayerOptions conv_options(Site& site, int kernel) {
  Conv2dLayerOptions options;
  options.stride = small_integer(site, "stride", 1);
  options.groups = small_integer(site, "groups", 1);
  options.dilation = small_integer(site, "dilation", 1);
  options.padding_mode = padding_option(site);
  options.bias = site.options.boolean("bias", true);
  if (options.stride > 1 && kernel % options.stride == 0 && options.dilation == 1) {
    // As many pixels as make the output exactly 1/stride of the input.
    const int s = options.stride;
    const int before = s * (kernel / s / 2);
    const int after = s * ((kernel / s - 1) / 2);
    options.padding = Padding{before, after, before, after};
  }
  return options;
}

constinit const LayerType conv_type = {
    .type = "conv",
    .kind = LayerKind::convolution,
    .property = LayerProperty::bounded,
    .options = "out, kernel, stride, groups, dilation, padding, bias, constraint",
    .description =
        "convolution, unconstrained (default) or with its reshaped kernel under any "
        "constraint and divided by ceil(kernel / stride)",
    .cost = "that of the constraint on a matrix of out x in k^2",
    .source = "",
    .build = [](Site& site) { return build_conv(site, any_constraint); },
};

constinit const LayerType rko_type = {
    .type = "rko",
    .kind = LayerKind::convolution,
    .property = LayerProperty::one_lipschitz,
    .options = "out, kernel, stride, groups, dilation, padding, bias, order, iterations, raw_gain",
    .description =
        "reshaped-kernel orthogonalization: the polar factor of the kernel as a matrix, "
        "divided by ceil(kernel / stride); keeps norms where out >= in k^2",
    .cost = "a polar factor of out x in k^2",
    .source = "Li 2019",
    .build = [](Site& site) { return build_conv(site, reshaped_kernel); },
};

Conv2d::Conv2d(std::int64_t c_in, std::int64_t c_out, int kernel,
               const Parametrization& parametrization, Rng& rng, Conv2dLayerOptions options)
    : c_in_(c_in),
      c_out_(c_out),
      k_(kernel),
      options_((check_extents(c_in, c_out, kernel, options), options)),
      padding_(options.padding.value_or(same_padding(kernel, options.dilation))),
      weight_({c_out, kernel, kernel, c_in / options.groups}, parametrization, rng) {
  if (options.bias) {
    const double limit = 1 / std::sqrt(static_cast<double>(weight_.raw.value().shape().inner(0)));
    bias_ = Parameter(random_uniform(rng, {c_out}, -limit, limit));
  }
  if (options.one_sided) {
    const auto& [iterations, image] = *options.one_sided;
    Rng start = rng.stream("power-iteration");
    one_sided_.emplace(weight_.raw.value(), image, iterations, convolution(), start);
  }
}

Conv2d::Conv2d(Tensor kernel, Tensor bias, Conv2dLayerOptions options)
    : c_in_(kernel.dim(3) * options.groups),
      c_out_(kernel.dim(0)),
      k_(static_cast<int>(kernel.dim(1))),
      options_((check_extents(c_in_, c_out_, k_, options), options)),
      padding_(options.padding.value_or(same_padding(k_, options.dilation))),
      weight_(std::move(kernel)),
      bias_(std::move(bias)) {
  options_.bias = static_cast<bool>(bias_);
}

double Conv2d::divisor() const {
  if (std::holds_alternative<Unconstrained>(weight_.parametrization())) return 1;
  const MatrixMap* map = matrix_map(weight_.parametrization());
  if (map != nullptr && map->is_kernel()) return 1;
  // A pixel meets the taps a with a dilation = its place modulo the stride: every apart-th.
  const int apart = options_.stride / std::gcd(options_.stride, options_.dilation);
  const int patches = (k_ + apart - 1) / apart;  // along one axis
  return patches;
}

// What the constraint leaves to the convolution.
Var Conv2d::scaled(const Var& weight) const {
  return one_sided_ ? one_sided_->apply(weight) : scale(weight, 1 / divisor());
}

// Versions only grow, so their sum changes with either.
std::uint64_t Conv2d::version() const {
  return weight_.version() + (one_sided_ ? one_sided_->version() : 0);
}

Var Conv2d::kernel() const {
  if (!is_scaled()) return weight_.var();
  if (!weight_.raw.is_recorded()) return folded_kernel();
  Tape& tape = *Tape::active();
  Var kernel = tape.recall(&folded_, weight_.raw.version());
  if (!kernel) {
    if (one_sided_) one_sided_->advance(weight_.raw.value());
    kernel = scaled(weight_.var());
    tape.remember(&folded_, weight_.raw.version(), kernel);
  }
  return kernel;
}

Tensor Conv2d::folded_kernel() const {
  if (!is_scaled()) return weight_.folded();
  return folded_.get(version(), [this] {
    const Paused paused;
    return scaled(weight_.folded_f64()).value().to(weight_.raw.value().dtype());
  });
}

void Conv2d::project(std::int64_t step, bool epoch_ended) {
  if (!options_.clip) return;
  const auto& [every, projections, image] = *options_.clip;
  if (step % every != 0 && !epoch_ended) return;
  const Tensor clipped =
      clip_singular_values(weight_.raw.value(), image[0], image[1], options_.groups, projections);
  weight_.raw.write() = clipped;
}

Var Conv2d::forward(const Var& x) const { return convolve(x, bias_ ? bias_.var() : Var()); }

Unbiased Conv2d::forward_unbiased(const Var& x) const {
  return {convolve(x, {}), bias_ ? bias_.var() : Var()};
}

Var Conv2d::convolve(const Var& x, const Var& bias) const {
  require<ShapeError>(x.value().rank() == 4, "conv2d: expected a batch [N, H, W, ", c_in_,
                      "], got ", x.shape());
  output_shape({x.dim(1), x.dim(2), x.dim(3)});
  Conv2dOptions options = convolution();
  options.precision = Tape::active_precision();
  return conv2d(x, kernel(), bias, options);
}

Conv2dOptions Conv2d::convolution() const {
  return {.stride = options_.stride,
          .groups = options_.groups,
          .dilation = options_.dilation,
          .border = padding_,
          .border_mode = options_.padding_mode};
}

Shape Conv2d::output_shape(const Shape& input) const {
  require<ShapeError>(input.rank() == 3 && input[2] == c_in_, "conv2d: expected input [H, W, ",
                      c_in_, "], got ", input);
  const int reach = options_.dilation * (k_ - 1) + 1;
  const std::int64_t height = input[0] + padding_.top + padding_.bottom - reach;
  const std::int64_t width = input[1] + padding_.left + padding_.right - reach;
  require<ShapeError>(height >= 0 && width >= 0, "conv2d: expected a padded image of at least ",
                      reach, " x ", reach, ", got input ", input);
  const bool circular = options_.padding_mode == PadMode::circular;
  const std::int64_t tall = std::max(padding_.top, padding_.bottom);
  const std::int64_t wide = std::max(padding_.left, padding_.right);
  require<ShapeError>(!circular || (input[0] >= tall && input[1] >= wide),
                      "conv2d: expected an image of at least ", tall, " x ", wide,
                      " to wrap, got input ", input);
  const Shape output{height / options_.stride + 1, width / options_.stride + 1, c_out_};
  // Where the output outgrows the image, or strides do not close around it, circular padding meets
  // some pixels more often than the proved bound of the kernel knows.
  require<ShapeError>(
      !circular ||
          (input[0] % options_.stride == 0 && input[1] % options_.stride == 0 &&
           output[0] * options_.stride <= input[0] && output[1] * options_.stride <= input[1]),
      "conv2d: expected an image whose sides the stride ", options_.stride,
      " divides, and an output no larger, got input ", input, " and output ", output);
  return output;
}

std::string Conv2d::describe() const {
  return message("Conv2d ", c_in_, " -> ", c_out_, ", kernel ", k_, ", stride ", options_.stride,
                 options_.groups > 1 ? message(", groups ", options_.groups) : "",
                 options_.dilation > 1 ? message(", dilation ", options_.dilation) : "", ", ",
                 options_.padding_mode == PadMode::circular ? "circular" : "zero", " padding (",
                 one_sided_      ? "ossn"
                 : options_.clip ? "svcm"
                                 : name(weight_.parametrization()),
                 ")");
}

Enclosure Conv2d::enclosure() const {
  require_finite_bias("conv2d", bias_);
  // At stride 1 a dilation changes nothing.
  const Tensor kernel = options_.stride == 1
                            ? folded_kernel()
                            : expanded_kernel(folded_kernel(), 1, options_.dilation);
  Enclosure found = kernel_enclosure(kernel, options_.stride, options_.groups);
  if (!is_circulant()) found.lower = 0;
  found.rule = kernel_rule;
  return found;
}

// Under zero padding the kernel's own lower end says nothing: only the matrix does. Its entries are
// taps times 1, exact in f64.
Enclosure Conv2d::enclosure_at(const Shape& input) const {
  constexpr std::int64_t most_entries = 1 << 18;
  const Shape output = output_shape(input);
  Enclosure any = enclosure();
  if (is_circulant()) {
    const Enclosure here =
        kernel_enclosure_at(expanded_kernel(folded_kernel(), 1, options_.dilation), input[0],
                            input[1], options_.stride, options_.groups);
    return {std::max(any.lower, here.lower), std::min(any.upper, here.upper),
            "limits of the kernel's symbol at the frequencies of the image"};
  }
  if (options_.padding_mode != PadMode::zero || input.size() * output.size() > most_entries) {
    return any;
  }
  const Tensor kernel = folded_kernel().to(DType::f64);
  const auto f = [&](const Var& x) { return conv2d(x, kernel, {}, convolution()); };
  const Enclosure found =
      matrix_enclosure("conv2d", dense_operator(f, {1, input[0], input[1], input[2]}, DType::f64));
  return {std::max(any.lower, found.lower), std::min(any.upper, found.upper),
          "proved limits of the eigenvalues of A^T A, A the dense matrix on this image"};
}

// Whether the output closes around an image whose sides the stride divides: then (H + p - reach) /
// s + 1 = H / s, p pixels of padding and reach those of the kernel, and no output is left out.
bool Conv2d::is_circulant() const {
  const int reach = options_.dilation * (k_ - 1) + 1;
  const auto closes = [&](int padding) {
    return padding < reach && reach <= padding + options_.stride;
  };
  return options_.padding_mode == PadMode::circular && closes(padding_.top + padding_.bottom) &&
         closes(padding_.left + padding_.right);
}

Spectrum Conv2d::spectrum(const Shape& input) const {
  const Shape output = output_shape(input);
  const std::int64_t s = options_.stride;
  if (options_.padding_mode == PadMode::circular && output[0] * s == input[0] &&
      output[1] * s == input[1]) {
    return {kernel_singular_values(expanded_kernel(folded_kernel(), 1, options_.dilation), input[0],
                                   input[1], s, options_.groups),
            "SVD of the kernel's symbol at every frequency of the image"};
  }
  // No circulant operator: only its matrix tells.
  if (input.size() * output.size() > dense_limit) {
    return {{}, "not measured: no circulant operator, and too large for a dense matrix"};
  }
  const std::unique_ptr<Module> plain = materialize(DType::f64);
  const auto f = [&](const Var& x) { return plain->forward(x); };
  return {singular_values(dense_operator(f, {1, input[0], input[1], input[2]}, DType::f64)),
          "SVD of the dense operator by impulse response"};
}

std::unique_ptr<Module> Conv2d::materialize(DType dtype) const {
  Conv2dLayerOptions options = options_;
  options.padding = padding_;
  options.one_sided.reset();
  options.clip.reset();
  return std::make_unique<Conv2d>(folded_kernel().to(dtype), bias_.value().to(dtype), options);
}

void Conv2d::collect_operations(const std::string& prefix, const Shape& input,
                                Operations& operations) const {
  operations.push_back(conv_operation(prefix, folded_kernel(), bias_ ? bias_.value() : Tensor(),
                                      convolution(), input, output_shape(input), enclosure()));
}

void Conv2d::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + "raw", &weight_.raw});
  if (bias_) parameters.push_back({prefix + "bias", &bias_});
}

void Conv2d::collect(const std::string& prefix, BufferList& buffers) {
  weight_.collect(prefix, buffers);
  if (one_sided_) one_sided_->collect(prefix, buffers);
}

void Conv2d::collect(const std::string& prefix, std::vector<NamedWeight>& weights) {
  weights.push_back({prefix.substr(0, prefix.find_last_of('.')), &weight_});
}

void Conv2d::collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const {
  folded.push_back({prefix + "weight", permute(folded_kernel(), {0, 3, 1, 2}).value()});
}

}  // namespace isotape
