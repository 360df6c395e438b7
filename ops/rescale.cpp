#include <isotape/ops/rescale.hpp>

#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/op.hpp>
#include <isotape/core/tensor.hpp>

namespace isotape {
namespace {

const Op rescale_op("rescale");

// a x + b y, with absent y for zeros.
Tensor combined(double a, const Tensor& x, double b, const Tensor& y) {
  Tensor z = Tensor::zeros(x.shape(), x.dtype());
  add_in_place(z, x, a);
  if (y && b != 0) add_in_place(z, y, b);
  return z;
}

}  // namespace

Var rescale(const Var& x_var, const Var& alpha_var) {
  const Tensor& x = x_var.value();
  require<ShapeError>(alpha_var.value().size() == 1 && alpha_var.dtype() == x.dtype(),
                      "rescale: expected alpha of one entry of type ", x.dtype(), ", got ",
                      alpha_var.shape(), " of type ", alpha_var.dtype());
  return dispatch_float(x.dtype(), "rescale", [&]<class T>() {
    const double length = frobenius_norm(x);
    const double alpha = alpha_var.value().item();
    const double factor = length == 0 ? 0 : alpha / length;
    const Shape shape = alpha_var.shape();

    auto vjp = [=](const Tensor& dy, Needs) -> Grads<2> {
      if (length == 0) {
        return {Tensor::zeros(x.shape(), x.dtype()), Tensor::zeros(shape, x.dtype())};
      }
      const double s = dot(x, dy);
      return {combined(factor, dy, -factor * s / (length * length), x),
              Tensor::full(shape, s / length, x.dtype())};
    };
    auto jvp = [=](const Tangents<2>& tangents) {
      const auto& [dx, dalpha] = tangents;
      if (length == 0) return Tensor::zeros(x.shape(), x.dtype());
      const double stretch = (dalpha ? dalpha.item() / length : 0) -
                             (dx ? factor * dot(x, dx) / (length * length) : 0);
      return combined(stretch, x, factor, dx);
    };
    return record(rescale_op, combined(factor, x, 0, {}), {x_var, alpha_var}, {x}, std::move(vjp),
                  std::move(jvp));
  });
}

}  // namespace isotape
