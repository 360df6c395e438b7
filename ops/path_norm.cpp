#include <isotape/ops/path_norm.hpp>

#include <isotape/core/error.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reduce.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {

Var path_norm(const Var& w, const Var& a) {
  require<ShapeError>(w.shape().rank() == 2 && a.shape() == Shape{1, w.shape()[0]},
                      "path_norm: expected [k, d] and [1, k], got ", w.shape(), " and ", a.shape());
  return sum(mul(abs(reshape(a, {w.shape()[0]})), sqrt(add_scalar(sum(square(w), 1), 1e-30))));
}

}  // namespace isotape
