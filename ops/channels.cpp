#include <isotape/ops/channels.hpp>

#include <isotape/core/error.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {

Var channel_pad(const Var& x, std::int64_t channels) {
  const Shape& shape = x.shape();
  require<ShapeError>(shape.rank() >= 1 && shape[-1] <= channels,
                      "channel_pad: expected x of shape [..., C] with at most ", channels,
                      " channels, got ", shape);
  if (shape[-1] == channels) return x;
  return concat({x, Tensor::zeros(shape.with(-1, channels - shape[-1]), x.dtype())}, -1);
}

Var channel_shuffle(const Var& x, std::int64_t groups) {
  const Shape& shape = x.shape();
  require<ValueError>(groups >= 1, "channel_shuffle: expected groups >= 1, got ", groups);
  require<ShapeError>(shape.rank() >= 1 && shape[-1] % groups == 0,
                      "channel_shuffle: expected x of shape [..., C] with C a multiple of ", groups,
                      ", got ", shape);
  return reshape(transpose(reshape(x, {shape.outer(-1), groups, shape[-1] / groups})), shape);
}

}  // namespace isotape
