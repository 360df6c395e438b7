#include <isotape/layers/parseval.hpp>

#include <isotape/core/error.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>

namespace isotape {

Tensor Parseval::initial(const Shape& shape, Rng& rng) const {
  return random_orthogonal(rng, shape);
}

Var Parseval::apply(const Var& raw) const {
  const bool tall = raw.dim(-2) >= raw.dim(-1);
  const Var gram = matmul(raw, raw, {.trans_a = tall, .trans_b = !tall});
  const Var cubic = tall ? matmul(raw, gram) : matmul(gram, raw);
  return scale(raw, 1 + step_) - scale(cubic, step_);
}

constinit const LayerType parseval_type = {
    .type = "parseval",
    .kind = LayerKind::dense,
    .property = LayerProperty::bounded,
    .options = "out, bias, step",
    .description =
        "dense layer with one Parseval update of its raw matrix, which starts orthogonal",
    .cost = "2 m n^2, n <= m",
    .source = "Cisse 2017",
    .build = build_constrained_dense,
    .constraint = [](Site& site) -> Parametrization {
      const double step = site.options.number("step", 0.5);
      require<ValueError>(step > 0 && step <= 0.5, site.place(),
                          ": expected step in (0, 0.5], got ", step);
      return Parseval(step);
    },
};

}  // namespace isotape
