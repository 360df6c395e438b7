#include <isotape/layers/channel_affine.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/ops/elementwise.hpp>

namespace isotape {

Enclosure channel_affine_enclosure(const Tensor& scale, const Tensor& shift) {
  require<NumericError>(all_finite(scale) && all_finite(shift),
                        "channel_affine: expected finite scales and shifts, got NaN or infinity");
  double least = HUGE_VAL;
  for (std::int64_t c = 0; c < scale.size(); ++c) least = std::min(least, std::abs(scale.at(c)));
  return {least, max_abs(scale), "least and largest scale of a channel"};
}

Shape same_channels(const char* op, std::int64_t channels, const Shape& input) {
  require<ShapeError>(input.rank() >= 1 && input[-1] == channels, op, ": expected ", channels,
                      " channels, got input ", input);
  return input;
}

Var ChannelAffine::forward(const Var& x) const { return add(mul(x, scale_.var()), shift_.var()); }

Shape ChannelAffine::output_shape(const Shape& input) const {
  return same_channels("channel_affine", scale_.value().size(), input);
}

std::string ChannelAffine::describe() const {
  return message("ChannelAffine, ", scale_.value().size(), " channels");
}

Enclosure ChannelAffine::enclosure() const {
  return channel_affine_enclosure(scale_.value(), shift_.value());
}

NormPreservation ChannelAffine::gnp() const {
  for (std::int64_t c = 0; c < scale_.value().size(); ++c) {
    if (std::abs(scale_.value().at(c)) != 1) return NormPreservation::none;
  }
  return NormPreservation::both;
}

std::unique_ptr<Module> ChannelAffine::materialize(DType dtype) const {
  return std::make_unique<ChannelAffine>(scale_.value().to(dtype), shift_.value().to(dtype));
}

void ChannelAffine::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + "scale", &scale_});
  parameters.push_back({prefix + "shift", &shift_});
}

}  // namespace isotape
