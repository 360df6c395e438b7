#include <isotape/layers/cayley.hpp>

#include <cmath>

#include <isotape/layers/linear.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/cayley.hpp>

namespace isotape {

Tensor Cayley::initial(const Shape& shape, Rng& rng) const {
  return random_normal(rng, shape, std::sqrt(2.0 / static_cast<double>(shape[-2] + shape[-1])));
}

Var Cayley::apply(const Var& raw) const { return cayley(raw); }

constinit const LayerType cayley_type = {
    .type = "cayley",
    .kind = LayerKind::dense,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "out, bias",
    .description = "dense layer with the Cayley transform of its raw matrix",
    .cost = "O(m n^2 + n^3), n <= m: products, one inverse",
    .source = "Helfrich 2018; Trockman 2021",
    .build = build_constrained_dense,
    .constraint = [](Site&) -> Parametrization { return Cayley{}; },
};

}  // namespace isotape
