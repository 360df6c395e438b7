#include <isotape/layers/linf.hpp>

#include <isotape/layers/linear.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/normalize.hpp>

namespace isotape {

Var Linf::apply(const Var& raw) const { return project_rows_l1(raw); }

constinit const LayerType linf_type = {
    .type = "linf",
    .kind = LayerKind::dense,
    .property = LayerProperty::bounded,
    .options = "out, bias",
    .description =
        "dense layer with rows projected onto the l1 ball: 1-Lipschitz in the maximum norm, "
        "bounded in l2",
    .cost = "m n log n",
    .source = "Anil 2019",
    .build = build_constrained_dense,
    .constraint = [](Site&) -> Parametrization { return Linf{}; },
};

}  // namespace isotape
