#include <isotape/layers/batch_norm.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/layers/channel_affine.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/batch_norm.hpp>
#include <isotape/ops/elementwise.hpp>

namespace isotape {
namespace {

struct Affine {
  Tensor scale, shift;
};

// In f64, rounded once to the parameters' type.
Affine folded(const Tensor& gamma, const Tensor& beta, const Tensor& mean, const Tensor& variance,
              double epsilon) {
  const auto channels = static_cast<std::size_t>(gamma.size());
  std::vector<double> scale(channels);
  std::vector<double> shift(channels);
  for (std::size_t i = 0; i < channels; ++i) {
    const auto c = static_cast<std::int64_t>(i);
    scale[i] = gamma.at(c) / std::sqrt(variance.at(c) + epsilon);
    shift[i] = beta.at(c) - scale[i] * mean.at(c);
  }
  return {Tensor::of(scale, gamma.shape(), gamma.dtype()),
          Tensor::of(shift, gamma.shape(), gamma.dtype())};
}

// (1 - share) old + share factor news, as a tensor of its own: what was recorded keeps the old one.
Tensor moved(const Tensor& old, const Tensor& news, double share, double factor) {
  std::vector<double> values(static_cast<std::size_t>(old.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto c = static_cast<std::int64_t>(i);
    values[i] = (1 - share) * old.at(c) + share * factor * news.at(c);
  }
  return Tensor::of(values, old.shape(), old.dtype());
}

}  // namespace

constinit const LayerType batch_norm_type = {
    .type = "batch-norm",
    .kind = LayerKind::normalization,
    .property = LayerProperty::bounded,
    .options = "momentum, epsilon",
    .description =
        "channels brought to mean 0 and variance 1 over the batch (at inference by "
        "running moments), scaled and shifted; for nets without a constraint",
    .cost = "",
    .source = "Ioffe 2015",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      require<ShapeError>(site.input.rank() >= 1, site.place(), ": expected channels, got input ",
                          site.input);
      BatchNormOptions options;
      options.momentum = site.options.number("momentum", options.momentum);
      options.epsilon = site.options.number("epsilon", options.epsilon);
      require<ValueError>(options.momentum > 0 && options.momentum <= 1, site.place(),
                          ": expected momentum in (0, 1], got ", options.momentum);
      require<ValueError>(options.epsilon > 0 && options.epsilon <= 1, site.place(),
                          ": expected epsilon in (0, 1], got ", options.epsilon);
      return std::make_unique<BatchNorm>(site.input[-1], options);
    },
};

BatchNorm::BatchNorm(std::int64_t channels, const BatchNormOptions& options) : options_(options) {
  require<ValueError>(channels >= 1, "batch_norm: expected channels >= 1, got ", channels);
  require<ValueError>(options.momentum > 0 && options.momentum <= 1,
                      "batch_norm: expected momentum in (0, 1], got ", options.momentum);
  require<ValueError>(options.epsilon > 0, "batch_norm: expected epsilon > 0, got ",
                      options.epsilon);
  gamma_ = Parameter(Tensor::full({channels}, 1));
  beta_ = Parameter(Tensor::zeros({channels}));
  gamma_.decays = false;
  beta_.decays = false;
  mean_ = Tensor::zeros({channels});
  variance_ = Tensor::full({channels}, 1);
}

Var BatchNorm::train(const Var& x) const {
  ChannelMoments moments;
  Var y = batch_norm(x, gamma_.var(), beta_.var(), options_.epsilon, &moments);
  const auto n = static_cast<double>(moments.samples);
  mean_ = moved(mean_, moments.mean, options_.momentum, 1);
  variance_ = moved(variance_, moments.variance, options_.momentum, n / std::max(1.0, n - 1));
  return y;
}

Var BatchNorm::forward(const Var& x) const {
  if (gamma_.is_recorded()) return train(x);
  const Affine affine = folded(gamma_.value(), beta_.value(), mean_, variance_, options_.epsilon);
  return add(mul(x, affine.scale), affine.shift);
}

Shape BatchNorm::output_shape(const Shape& input) const {
  return same_channels("batch_norm", gamma_.value().size(), input);
}

std::string BatchNorm::describe() const {
  return message("BatchNorm, ", gamma_.value().size(), " channels, momentum ", options_.momentum);
}

Enclosure BatchNorm::enclosure() const {
  const Affine affine = folded(gamma_.value(), beta_.value(), mean_, variance_, options_.epsilon);
  return channel_affine_enclosure(affine.scale, affine.shift);
}

std::unique_ptr<Module> BatchNorm::materialize(DType dtype) const {
  const Affine affine = folded(gamma_.value(), beta_.value(), mean_, variance_, options_.epsilon);
  return std::make_unique<ChannelAffine>(affine.scale.to(dtype), affine.shift.to(dtype));
}

void BatchNorm::collect_operations(const std::string& prefix, const Shape& input,
                                   Operations& operations) const {
  const Affine affine = folded(gamma_.value(), beta_.value(), mean_, variance_, options_.epsilon);
  Operation scaled = plain_operation(prefix, "affine", input, output_shape(input));
  scaled.tensors = {{"scale", prefix + "scale"}, {"shift", prefix + "shift"}};
  scaled.bound = channel_affine_enclosure(affine.scale, affine.shift).upper;
  const std::int64_t places = input.size() / input[-1];
  scaled.added = bound_product(norm_bound(affine.shift), bound_root(static_cast<double>(places)));
  operations.push_back(std::move(scaled));
}

void BatchNorm::collect_folded(const std::string& prefix, std::vector<NamedTensor>& all) const {
  const Affine affine = folded(gamma_.value(), beta_.value(), mean_, variance_, options_.epsilon);
  all.push_back({prefix + "scale", affine.scale});
  all.push_back({prefix + "shift", affine.shift});
}

void BatchNorm::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + "gamma", &gamma_});
  parameters.push_back({prefix + "beta", &beta_});
}

void BatchNorm::collect(const std::string& prefix, BufferList& buffers) {
  buffers.push_back({prefix + "running_mean", &mean_});
  buffers.push_back({prefix + "running_var", &variance_});
}

}  // namespace isotape
