#include <isotape/ops/one_sided.hpp>

#include <isotape/core/error.hpp>
#include <isotape/ops/elementwise.hpp>

namespace isotape {
namespace {

const Op one_sided_normalize_op("one_sided_normalize");

// (d - <d, a> b) / sigma: of a tangent with a = g and b = y, of a gradient the other way round.
Tensor pulled(const Tensor& d, const Tensor& a, const Tensor& b, double sigma) {
  const Paused paused;
  return scale(sub(d, scale(b, dot(d, a))), 1 / sigma).value();
}

}  // namespace

Var one_sided_normalize(const Var& w, const Tensor& g) {
  require<ShapeError>(w.shape() == g.shape() && w.dtype() == g.dtype(),
                      "one_sided_normalize: expected g of shape ", w.shape(), " and type ",
                      w.dtype(), ", got ", g.shape(), " and ", g.dtype());
  const double sigma = dot(g, w.value());
  const bool inside = !(sigma > 1);
  Tensor y = inside ? w.value().clone() : scale(w.value(), 1 / sigma).value();

  auto vjp = [y, g, sigma, inside](const Tensor& dy, Needs) -> Grads<1> {
    return {inside ? dy : pulled(dy, y, g, sigma)};
  };
  auto jvp = [y, g, sigma, inside](const Tangents<1>& dw) {
    return inside ? dw[0] : pulled(dw[0], g, y, sigma);
  };
  return record(one_sided_normalize_op, y, {w}, {y, g}, vjp, jvp);
}

}  // namespace isotape
