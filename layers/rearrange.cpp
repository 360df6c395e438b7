#include <isotape/layers/rearrange.hpp>

#include <isotape/core/error.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/pixel_shuffle.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {

constinit const LayerType pixel_unshuffle_type = {
    .type = "pixel-unshuffle",
    .kind = LayerKind::shape,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "factor",
    .description = "invertible downsampling: squares of pixels become channels",
    .cost = "",
    .source = "Shi 2016; Jacobsen 2018",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      return std::make_unique<PixelUnshuffle>(small_integer(site, "factor", 2));
    },
};

constinit const LayerType pixel_shuffle_type = {
    .type = "pixel-shuffle",
    .kind = LayerKind::shape,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "factor",
    .description = "invertible upsampling: channels become squares of pixels",
    .cost = "",
    .source = "Shi 2016",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      return std::make_unique<PixelShuffle>(small_integer(site, "factor", 2));
    },
};

constinit const LayerType flatten_type = {
    .type = "flatten",
    .kind = LayerKind::shape,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "",
    .description = "image to vector, channels first",
    .cost = "",
    .source = "",
    .build = [](Site&) -> std::unique_ptr<Module> { return std::make_unique<Flatten>(); },
};

PixelUnshuffle::PixelUnshuffle(int s) : s_(s) {
  require<ValueError>(s >= 1, "pixel_unshuffle: expected a factor >= 1, got ", s);
}

Var PixelUnshuffle::forward(const Var& x) const { return pixel_unshuffle(x, s_); }

Shape PixelUnshuffle::output_shape(const Shape& input) const {
  require<ShapeError>(input.rank() == 3 && input[0] % s_ == 0 && input[1] % s_ == 0,
                      "pixel_unshuffle: expected input [H, W, C] with sides that are multiples of ",
                      s_, ", got ", input);
  return {input[0] / s_, input[1] / s_, input[2] * s_ * s_};
}

std::string PixelUnshuffle::describe() const { return message("PixelUnshuffle ", s_); }

std::unique_ptr<Module> PixelUnshuffle::materialize(DType) const {
  return std::make_unique<PixelUnshuffle>(s_);
}

void PixelUnshuffle::collect_operations(const std::string& prefix, const Shape& input,
                                        Operations& operations) const {
  operations.push_back(plain_operation(prefix, "pixel_unshuffle", input, output_shape(input),
                                       {{"factor", std::int64_t{s_}}}));
}

PixelShuffle::PixelShuffle(int s) : s_(s) {
  require<ValueError>(s >= 1, "pixel_shuffle: expected a factor >= 1, got ", s);
}

Var PixelShuffle::forward(const Var& x) const { return pixel_shuffle(x, s_); }

Shape PixelShuffle::output_shape(const Shape& input) const {
  const std::int64_t area = std::int64_t{s_} * s_;
  require<ShapeError>(input.rank() == 3 && input[2] % area == 0,
                      "pixel_shuffle: expected input [H, W, C] with channels that are a multiple "
                      "of ",
                      area, ", got ", input);
  return {input[0] * s_, input[1] * s_, input[2] / area};
}

std::string PixelShuffle::describe() const { return message("PixelShuffle ", s_); }

std::unique_ptr<Module> PixelShuffle::materialize(DType) const {
  return std::make_unique<PixelShuffle>(s_);
}

void PixelShuffle::collect_operations(const std::string& prefix, const Shape& input,
                                      Operations& operations) const {
  operations.push_back(plain_operation(prefix, "pixel_shuffle", input, output_shape(input),
                                       {{"factor", std::int64_t{s_}}}));
}

Var Flatten::forward(const Var& x) const {
  const std::int64_t n = x.dim(0);
  const Var channels_first = x.value().rank() == 4 ? permute(x, {0, 3, 1, 2}) : x;
  return reshape(channels_first, {n, x.shape().inner(0)});
}

std::unique_ptr<Module> Flatten::materialize(DType) const { return std::make_unique<Flatten>(); }

void Flatten::collect_operations(const std::string& prefix, const Shape& input,
                                 Operations& operations) const {
  operations.push_back(plain_operation(prefix, "flatten", input, output_shape(input)));
}

}  // namespace isotape
