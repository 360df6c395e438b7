#include <isotape/layers/unit_rows.hpp>

#include <isotape/layers/linear.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/normalize.hpp>

namespace isotape {

Var UnitRows::apply(const Var& raw) const { return unit_rows(raw); }

constinit const LayerType unit_rows_type = {
    .type = "unit-rows",
    .kind = LayerKind::dense,
    .property = LayerProperty::bounded,
    .options = "out, bias",
    .description =
        "dense layer with rows of length 1, for the last one: each logit is 1-Lipschitz, all "
        "together are not",
    .cost = "m n",
    .source = "Singla 2022 (LLN)",
    .build = build_constrained_dense,
    .constraint = [](Site&) -> Parametrization { return UnitRows{}; },
};

}  // namespace isotape
