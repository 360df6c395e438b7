#include <isotape/layers/first_channels.hpp>

#include <isotape/core/error.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {

constinit const LayerType first_channels_type = {
    .type = "first-channels",
    .kind = LayerKind::shape,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "out",
    .description = "the first channels; the others are dropped",
    .cost = "",
    .source = "Prach 2024",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      return std::make_unique<FirstChannels>(output_extent(site));
    },
};

FirstChannels::FirstChannels(std::int64_t out) : out_(out) {
  require<ValueError>(out >= 1, "first_channels: expected channels >= 1, got ", out);
}

Var FirstChannels::forward(const Var& x) const { return slice(x, x.value().rank() - 1, 0, out_); }

Shape FirstChannels::output_shape(const Shape& input) const {
  require<ShapeError>(input.rank() >= 1 && input[-1] >= out_, "first_channels: expected at least ",
                      out_, " channels, got input ", input);
  std::vector<std::int64_t> extents(input.begin(), input.end());
  extents.back() = out_;
  return Shape(extents);
}

std::string FirstChannels::describe() const { return message("FirstChannels ", out_); }

std::unique_ptr<Module> FirstChannels::materialize(DType) const {
  return std::make_unique<FirstChannels>(out_);
}

void FirstChannels::collect_operations(const std::string& prefix, const Shape& input,
                                       Operations& operations) const {
  operations.push_back(
      plain_operation(prefix, "first_channels", input, output_shape(input), {{"channels", out_}}));
}

}  // namespace isotape
