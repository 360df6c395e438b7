#include <isotape/layers/centering.hpp>

#include <isotape/core/error.hpp>
#include <isotape/layers/channel_affine.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/broadcast.hpp>
#include <isotape/ops/center.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {

constinit const LayerType batch_center_type = {
    .type = "batch-center",
    .kind = LayerKind::normalization,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "momentum",
    .description =
        "channels without their mean over the batch (at inference a running one, of "
        "momentum 0.1), plus a bias",
    .cost = "",
    .source = "Serrurier 2021",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      require<ShapeError>(site.input.rank() >= 1, site.place(), ": expected channels, got input ",
                          site.input);
      const double momentum = site.options.number("momentum", 0.1);
      require<ValueError>(momentum > 0 && momentum <= 1, site.place(),
                          ": expected momentum in (0, 1], got ", momentum);
      return std::make_unique<BatchCenter>(site.input[-1], momentum);
    },
};

constinit const LayerType layer_center_type = {
    .type = "layer-center",
    .kind = LayerKind::normalization,
    .property = LayerProperty::one_lipschitz,
    .options = "over",
    .description =
        "samples without their mean over pixels (of each channel), channels (of each "
        "pixel) or all (default)",
    .cost = "",
    .source = "",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      const std::string over = choice(site, "over", {"all", "pixels", "channels"});
      return std::make_unique<LayerCenter>(over == "pixels"     ? LayerCenter::Over::pixels
                                           : over == "channels" ? LayerCenter::Over::channels
                                                                : LayerCenter::Over::all);
    },
};

BatchCenter::BatchCenter(std::int64_t channels, double momentum)
    : momentum_(momentum),
      bias_((require<ValueError>(channels >= 1, "batch_center: expected channels >= 1, got ",
                                 channels),
             Tensor::zeros({channels}))),
      mean_(Tensor::zeros({channels})) {
  require<ValueError>(momentum > 0 && momentum <= 1,
                      "batch_center: expected momentum in (0, 1], got ", momentum);
  bias_.decays = false;
}

// bias - running mean
Tensor BatchCenter::shift() const { return sub(bias_.value(), mean_).value(); }

Var BatchCenter::forward(const Var& x) const {
  if (!bias_.is_recorded()) return add(x, shift());
  const std::int64_t channels = bias_.value().size();
  const std::int64_t rows = x.shape().outer(-1);
  const Tensor batch_mean = sum_to(x.value(), {channels}, 1 / static_cast<double>(rows));
  Tensor mean = scale(mean_, 1 - momentum_).value();
  add_in_place(mean, batch_mean, momentum_);
  mean_ = mean;
  const Var centred = reshape(center(reshape(x, {rows, channels}), 0), x.shape());
  return add(centred, bias_.var());
}

Shape BatchCenter::output_shape(const Shape& input) const {
  return same_channels("batch_center", bias_.value().size(), input);
}

std::string BatchCenter::describe() const {
  return message("BatchCenter, ", bias_.value().size(), " channels, momentum ", momentum_);
}

Enclosure BatchCenter::enclosure() const {
  require<NumericError>(all_finite(shift()),
                        "batch_center: expected a finite mean and bias, got NaN or infinity");
  return {1, 1, "a translation"};
}

std::unique_ptr<Module> BatchCenter::materialize(DType dtype) const {
  return std::make_unique<ChannelAffine>(Tensor::full(mean_.shape(), 1, dtype), shift().to(dtype));
}

void BatchCenter::collect_operations(const std::string& prefix, const Shape& input,
                                     Operations& operations) const {
  Operation moved = plain_operation(prefix, "center", input, output_shape(input));
  moved.tensors = {{"mean", prefix + "running_mean"}, {"bias", prefix + "bias"}};
  const std::int64_t pixels = input.size() / input[-1];
  moved.added = bound_product(norm_bound(shift()), bound_root(static_cast<double>(pixels)));
  operations.push_back(std::move(moved));
}

void BatchCenter::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + "bias", &bias_});
}

void BatchCenter::collect(const std::string& prefix, BufferList& buffers) {
  buffers.push_back({prefix + "running_mean", &mean_});
}

Var LayerCenter::forward(const Var& x) const {
  const std::int64_t n = x.dim(0);
  const std::int64_t channels = x.dim(-1);
  if (over_ == Over::channels) return center(x, -1);
  const std::int64_t each = x.shape().inner(0);
  if (over_ == Over::all) return reshape(center(reshape(x, {n, each}), 1), x.shape());
  return reshape(center(reshape(x, {n, each / channels, channels}), 1), x.shape());
}

Shape LayerCenter::output_shape(const Shape& input) const {
  require<ShapeError>(over_ != Over::pixels || input.rank() == 3,
                      "layer_center: expected input [H, W, C], got ", input);
  require<ShapeError>(input.rank() >= 1, "layer_center: expected channels, got input ", input);
  return input;
}

std::string LayerCenter::describe() const {
  const char* const words[] = {"pixels", "channels", "all"};
  return message("LayerCenter over ", words[static_cast<int>(over_)]);
}

std::unique_ptr<Module> LayerCenter::materialize(DType) const {
  return std::make_unique<LayerCenter>(over_);
}

void LayerCenter::collect_operations(const std::string& prefix, const Shape& input,
                                     Operations& operations) const {
  const std::string words[] = {"pixels", "channels", "all"};
  Operation centred = plain_operation(prefix, "layer_center", input, output_shape(input),
                                      {{"over", words[static_cast<int>(over_)]}});
  centred.terms = over_ == Over::channels ? input[-1]
                  : over_ == Over::all    ? input.size()
                                          : input.size() / input[-1];
  operations.push_back(std::move(centred));
}

}  // namespace isotape
