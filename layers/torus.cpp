#include <isotape/layers/torus.hpp>

#include <isotape/core/error.hpp>
#include <isotape/ops/fourier.hpp>
#include <isotape/ops/kernel_symbol.hpp>
#include <isotape/ops/pixel_shuffle.hpp>

namespace isotape {

void Torus::check(std::string_view op, const Shape& input) const {
  const Shape expected{height, width, channels};
  require<ShapeError>(input == expected, op, ": expected input ", expected,
                      ", the size it was made for, got ", input);
  require<ShapeError>(height % stride == 0 && width % stride == 0, op,
                      ": expected an image whose sides are multiples of the stride ", stride,
                      ", got ", input);
}

Var Torus::spectrum(std::string_view op, const Var& x) const {
  require<ShapeError>(x.value().rank() == 4, op, ": expected a batch [N, H, W, ", channels,
                      "], got ", x.shape());
  check(op, {x.dim(1), x.dim(2), x.dim(3)});
  return fourier(stride == 1 ? x : pixel_unshuffle(x, stride));
}

Var Torus::image(const Var& spectrum) const { return inverse_fourier(spectrum, rows(), columns()); }

Var Torus::symbol(const Var& kernel) const { return kernel_symbol(kernel, rows(), columns()); }

}  // namespace isotape
