#include <isotape/ops/row_blocks.hpp>

#include <isotape/core/error.hpp>

namespace isotape {

void require_bias(const char* op, const Tensor& x, const Tensor& bias) {
  require<ShapeError>(!bias || (bias.shape() == Shape{x.dim(-1)} && bias.dtype() == x.dtype()), op,
                      ": expected bias of shape ", Shape{x.dim(-1)}, " and type ", x.dtype(),
                      ", got ", bias.shape(), " and ", bias.dtype());
}

Tensor shifted(const Shape& shape, const Tensor& x, const Tensor& bias_tensor) {
  if (!bias_tensor) return x.clone();
  Tensor y = x ? x.clone() : Tensor::zeros(shape, bias_tensor.dtype());
  dispatch_float(y.dtype(), "shifted", [&]<class T>() {
    T* const to = y.write<T>();
    const T* const bias = bias_tensor.data<T>();
    const std::int64_t channels = bias_tensor.size();
    for (std::int64_t i = 0; i < y.size(); ++i) to[i] += bias[i % channels];
  });
  return y;
}

}  // namespace isotape
