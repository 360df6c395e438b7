#include <isotape/layers/square.hpp>

#include <isotape/core/error.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/ops/channels.hpp>
#include <isotape/ops/pixel_shuffle.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

// Channels added or left out at the end of each group: a shuffle puts the groups' channels of one
// place side by side, so that this is at the end of all, and another puts them back.
void append_change(const std::string& prefix, const std::string& op, const Shape& from,
                   const Shape& to, std::int64_t groups, Operations& operations) {
  const auto shuffle = [&](const char* name, const Shape& shape, std::int64_t g) {
    if (groups == 1) return;
    operations.push_back(
        plain_operation(prefix + name, "channel_shuffle", shape, shape, {{"groups", g}}));
  };
  shuffle("gather.", from, groups);
  operations.push_back(plain_operation(prefix, op, from, to, {{"channels", to[-1]}}));
  shuffle("spread.", to, to[-1] / groups);
}

}  // namespace

Var Square::enter(const Var& x) const {
  Var image = is_flat ? reshape(x, {x.dim(0), 1, 1, c_in}) : x;
  if (stride > 1) image = pixel_unshuffle(image, stride);
  return channels() == unshuffled() ? image : by_group(image, channels());
}

// Zero channels behind those of each group, or the first ones of each kept: [N, H, W, c]. Groups
// count as pixels of a row.
Var Square::by_group(const Var& x, std::int64_t to) const {
  const std::int64_t columns = x.dim(2) * groups;
  const Var grouped = reshape(x, {x.dim(0), x.dim(1), columns, x.dim(3) / groups});
  const Var changed =
      to > x.dim(3) ? channel_pad(grouped, to / groups) : slice(grouped, -1, 0, to / groups);
  return reshape(changed, {x.dim(0), x.dim(1), x.dim(2), to});
}

Var Square::leave(const Var& y) const {
  const Var kept = channels() == c_out ? y : by_group(y, c_out);
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
  append_change(prefix + "pad.", "channel_pad", image, padded, groups, operations);
  return padded;
}

void Square::append_exit(const std::string& prefix, const Shape& inner,
                         Operations& operations) const {
  if (channels() == c_out) return;
  const Shape kept = is_flat ? Shape{c_out} : Shape{inner[0], inner[1], c_out};
  append_change(prefix + "kept.", "first_channels", inner, kept, groups, operations);
}

Padding Square::border(int k) const {
  const int before = dilation * (k / 2);
  const int after = dilation * (k - 1 - k / 2);
  return {before, after, before, after};
}

void Square::check_border(std::string_view layer, const Shape& input, int k,
                          PadMode padding) const {
  const Shape inner = inner_shape(layer, input);
  const std::int64_t reach = border(k).top;
  require<ShapeError>(padding == PadMode::zero || (inner[0] >= reach && inner[1] >= reach), layer,
                      ": expected sides of at least ", reach * stride, " to wrap, got ", input);
}

void Square::check(std::string_view layer) const {
  require<ValueError>(c_in >= 1 && c_out >= 1 && stride >= 1, layer,
                      ": expected channels and stride >= 1, got", describe());
  require<ValueError>(groups >= 1 && c_in % groups == 0 && c_out % groups == 0, layer,
                      ": expected groups that divide the channels ", c_in, " -> ", c_out, ", got ",
                      groups);
  require<ValueError>(dilation >= 1 && (dilation == 1 || stride == 1), layer,
                      ": expected a dilation >= 1, and of 1 at a stride, got ", dilation,
                      " at stride ", stride);
}

std::string Square::describe() const {
  return message(' ', c_in, " -> ", c_out, stride > 1 ? message(", stride ", stride) : "",
                 groups > 1 ? message(", groups ", groups) : "",
                 dilation > 1 ? message(", dilation ", dilation) : "");
}

Square square_options(Site& site) {
  Square square;
  square.is_flat = site.input.rank() == 1;
  square.c_in = square.is_flat ? input_extent(site) : input_channels(site);
  square.c_out = site.options.find("out") == nullptr ? square.c_in : output_extent(site);
  if (square.is_flat) return square;
  square.stride = small_integer(site, "stride", 1);
  square.groups = small_integer(site, "groups", 1);
  square.dilation = small_integer(site, "dilation", 1);
  square.check(site.spec.type);
  return square;
}

int square_kernel(Site& site, const Square& square) {
  if (square.is_flat) return 1;
  return (small_integer(site, "kernel", 3) + square.stride - 1) / square.stride;
}

}  // namespace isotape
