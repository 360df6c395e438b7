#include <isotape/layers/exponential.hpp>

#include <cmath>

#include <isotape/layers/linear.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/matrix_exp.hpp>

namespace isotape {

Tensor Exponential::initial(const Shape& shape, Rng& rng) const {
  return random_normal(rng, shape, std::sqrt(2.0 / static_cast<double>(shape[-2] + shape[-1])));
}

Var Exponential::apply(const Var& raw) const { return skew_exp(raw); }

constinit const LayerType exponential_type = {
    .type = "exp",
    .kind = LayerKind::dense,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "out, bias",
    .description =
        "dense layer with the exponential of a skew matrix made of its raw one: rotations only",
    .cost = "O(m^3), n <= m: about 6 products and a squaring per doubling of the angle",
    .source = "Lezcano-Casado 2019",
    .build = build_constrained_dense,
    .constraint = [](Site&) -> Parametrization { return Exponential{}; },
};

}  // namespace isotape
