#include <isotape/layers/shift.hpp>

#include <isotape/core/error.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/cyclic_shift.hpp>

namespace isotape {

constinit const LayerType shift_type = {
    .type = "shift",
    .kind = LayerKind::convolution,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "distance",
    .description =
        "moves a fifth of the channels each up, down, left and right by `distance` "
        "pixels (default 1), around the image",
    .cost = "",
    .source = "LipNeXt 2025",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      return std::make_unique<Shift>(small_integer(site, "distance", 1));
    },
};

Shift::Shift(int distance) : distance_(distance) {
  require<ValueError>(distance >= 1, "shift: expected a distance >= 1, got ", distance);
}

Var Shift::forward(const Var& x) const {
  const std::int64_t fifth = x.dim(-1) / 5;
  const std::int64_t d = distance_;
  return cyclic_shift(x, {{0, fifth, -d, 0},
                          {fifth, 2 * fifth, d, 0},
                          {2 * fifth, 3 * fifth, 0, -d},
                          {3 * fifth, 4 * fifth, 0, d}});
}

Shape Shift::output_shape(const Shape& input) const {
  require<ShapeError>(input.rank() == 3 && input[2] >= 5,
                      "shift: expected input [H, W, C] with at least 5 channels, got ", input);
  return input;
}

std::string Shift::describe() const {
  return message("Shift by ", distance_, ", a fifth each way");
}

std::unique_ptr<Module> Shift::materialize(DType) const {
  return std::make_unique<Shift>(distance_);
}

void Shift::collect_operations(const std::string& prefix, const Shape& input,
                               Operations& operations) const {
  operations.push_back(plain_operation(prefix, "shift", input, output_shape(input),
                                       {{"distance", std::int64_t{distance_}}}));
}

}  // namespace isotape
