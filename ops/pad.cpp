#include <isotape/ops/pad.hpp>

#include <algorithm>
#include <ostream>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

const Op pad_op("pad");

void check(const Shape& x, const Padding& p, PadMode mode) {
  require<ShapeError>(x.rank() == 4, "pad: expected x of shape [N, H, W, C], got ", x);
  const int least = std::min({p.top, p.bottom, p.left, p.right});
  require<ValueError>(least >= 0, "pad: expected padding >= 0, got ", least);
  if (mode == PadMode::zero) return;
  const bool fits = std::max(p.top, p.bottom) <= x[1] && std::max(p.left, p.right) <= x[2];
  require<ValueError>(fits, "pad: expected circular padding within the image ", x, ", got top ",
                      p.top, ", bottom ", p.bottom, ", left ", p.left, ", right ", p.right);
}

}  // namespace

Var pad(const Var& x_var, const Padding& padding, PadMode mode) {
  const Tensor& x = x_var.value();
  check(x.shape(), padding, mode);
  const Frame frame(x.shape(), padding, mode);

  // y = P x with a 0/1 matrix P, one 1 per row (at most): grad_x = P^T dy.
  return record(
      pad_op, framed(frame, x), {x_var}, {},
      [frame](const Tensor& dy, Needs) -> Grads<1> { return {unframed(frame, dy)}; },
      [frame](const Tangents<1>& dx) { return framed(frame, dx[0]); });
}

}  // namespace isotape
