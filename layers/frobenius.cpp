#include <isotape/layers/frobenius.hpp>

#include <isotape/layers/linear.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/normalize.hpp>

namespace isotape {

Var Frobenius::apply(const Var& raw) const { return unit_frobenius(raw); }

constinit const LayerType frobenius_type = {
    .type = "frobenius",
    .kind = LayerKind::dense,
    .property = LayerProperty::one_lipschitz,
    .options = "out, bias",
    .description = "dense layer divided by its Frobenius norm",
    .cost = "m n",
    .source = "Serrurier 2021",
    .build = build_constrained_dense,
    .constraint = [](Site&) -> Parametrization { return Frobenius{}; },
};

}  // namespace isotape
