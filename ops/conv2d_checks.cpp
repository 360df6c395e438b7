#include <isotape/ops/conv2d_checks.hpp>

#include <algorithm>
#include <ostream>

#include <isotape/core/error.hpp>
#include <isotape/ops/product_bf16.hpp>

namespace isotape {

void check_conv2d_options(std::string_view op, const Conv2dOptions& options) {
  const auto at_least = [&](const char* name, int least, int value) {
    require<ValueError>(value >= least, op, ": expected ", name, " >= ", least, ", got ", value);
  };
  at_least("stride", 1, options.stride);
  at_least("padding", 0, options.padding);
  at_least("groups", 1, options.groups);
  at_least("dilation", 1, options.dilation);
  const Padding& border = options.border;
  at_least("border", 0, std::min({border.top, border.bottom, border.left, border.right}));
}

void check_conv2d_border(std::string_view op, const Shape& image, const Conv2dOptions& options) {
  const Padding& b = options.border;
  require<ValueError>(
      options.border_mode == PadMode::zero ||
          (std::max(b.top, b.bottom) <= image[1] && std::max(b.left, b.right) <= image[2]),
      op, ": expected a circular border within the image ", image, ", got top ", b.top, ", bottom ",
      b.bottom, ", left ", b.left, ", right ", b.right);
}

// What else there is, is rare and small, or not safe in oneDNN.
Precision conv2d_precision(std::string_view op, const Conv2dGeometry& g, DType dtype,
                           Precision wanted) {
  if (wanted == Precision::full) return wanted;
  require_bf16(op);
  const bool is_strided_point = g.kernel_height == 1 && g.kernel_width == 1 && g.stride > 1;
  const bool is_dense = g.groups == 1 && g.dilation == 1 && !is_strided_point;
  return dtype == DType::f32 && g.images > 0 && is_dense ? wanted : Precision::full;
}

}  // namespace isotape
