#include <isotape/layers/square.hpp>

#include <isotape/core/error.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/ops/channels.hpp>
#include <isotape/ops/pixel_shuffle.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {

Var Square::enter(const Var& x) const {
  Var image = is_flat ? reshape(x, {x.dim(0), 1, 1, c_in}) : x;
  if (stride > 1) image = pixel_unshuffle(image, stride);
  return channels() == unshuffled() ? image : channel_pad(image, channels());
}

Var Square::leave(const Var& y) const {
  const Var kept = channels() == c_out ? y : slice(y, -1, 0, c_out);
  return is_flat ? reshape(kept, {kept.dim(0), c_out}) : kept;
}

Shape Square::inner_shape(std::string_view layer, const Shape& input) const {
  if (is_flat) {
    require<ShapeError>(input == Shape{c_in}, layer, ": expected input [", c_in, "], got ", input);
    return {1, 1, channels()};
  }
  require<ShapeError>(input.rank() == 3 && input[2] == c_in, layer, ": expected input [H, W, ",
                      c_in, "], got ", input);
  require<ShapeError>(input[0] % stride == 0 && input[1] % stride == 0, layer,
                      ": expected an image whose sides are multiples of the stride ", stride,
                      ", got ", input);
  return {input[0] / stride, input[1] / stride, channels()};
}

Shape Square::output_shape(std::string_view layer, const Shape& input) const {
  const Shape inner = inner_shape(layer, input);
  if (is_flat) return {c_out};
  return {inner[0], inner[1], c_out};
}

Shape Square::append_entry(const std::string& prefix, const Shape& input,
                           Operations& operations) const {
  const Shape image = is_flat ? input : append_unshuffle(prefix, input, stride, operations);
  if (channels() == unshuffled()) return image;
  const Shape padded = is_flat ? Shape{channels()} : Shape{image[0], image[1], channels()};
  operations.push_back(
      plain_operation(prefix + "pad.", "channel_pad", image, padded, {{"channels", channels()}}));
  return padded;
}

void Square::append_exit(const std::string& prefix, const Shape& inner,
                         Operations& operations) const {
  if (channels() == c_out) return;
  const Shape kept = is_flat ? Shape{c_out} : Shape{inner[0], inner[1], c_out};
  operations.push_back(
      plain_operation(prefix + "kept.", "first_channels", inner, kept, {{"channels", c_out}}));
}

std::string Square::describe() const {
  return message(' ', c_in, " -> ", c_out, stride > 1 ? message(", stride ", stride) : "");
}

Square square_options(Site& site) {
  Square square;
  square.is_flat = site.input.rank() == 1;
  square.c_in = square.is_flat ? input_extent(site) : input_channels(site);
  square.c_out = site.options.find("out") == nullptr ? square.c_in : output_extent(site);
  square.stride = square.is_flat ? 1 : small_integer(site, "stride", 1);
  return square;
}

int square_kernel(Site& site, const Square& square) {
  if (square.is_flat) return 1;
  return (small_integer(site, "kernel", 3) + square.stride - 1) / square.stride;
}

}  // namespace isotape
