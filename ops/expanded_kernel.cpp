#include <isotape/ops/expanded_kernel.hpp>

#include <algorithm>

#include <isotape/core/error.hpp>

namespace isotape {

Tensor expanded_kernel(const Tensor& w, std::int64_t groups, std::int64_t dilation) {
  require<ValueError>(groups >= 1 && dilation >= 1,
                      "expanded_kernel: expected groups and dilation >= 1, got ", groups, " and ",
                      dilation);
  require<ShapeError>(w.rank() == 4 && w.dim(0) % groups == 0,
                      "expanded_kernel: expected w of shape [O, h, w, I/groups] and groups = ",
                      groups, " that divide O, got ", w.shape());
  if (groups == 1 && dilation == 1) return w;
  const std::int64_t inputs = w.dim(3);
  const std::int64_t height = (w.dim(1) - 1) * dilation + 1;
  const std::int64_t width = (w.dim(2) - 1) * dilation + 1;
  Tensor y = Tensor::zeros({w.dim(0), height, width, inputs * groups}, w.dtype());
  dispatch_float(w.dtype(), "expanded_kernel", [&]<class T>() {
    const T* from = w.data<T>();
    T* const to = y.write<T>();
    for (std::int64_t o = 0; o < w.dim(0); ++o) {
      const std::int64_t first = o / (w.dim(0) / groups) * inputs;  // channel of its group
      for (std::int64_t tap = 0; tap < w.dim(1) * w.dim(2); ++tap, from += inputs) {
        const std::int64_t row = tap / w.dim(2) * dilation;
        const std::int64_t column = tap % w.dim(2) * dilation;
        std::copy_n(from, inputs,
                    to + ((o * height + row) * width + column) * inputs * groups + first);
      }
    }
  });
  return y;
}

}  // namespace isotape
