#include <isotape/layers/spectral.hpp>

#include <isotape/layers/linear.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/gram_norm.hpp>
#include <isotape/ops/normalize.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {

Var Spectral::apply(const Var& raw) const {
  const Var square = gram_norm_squared(raw);
  if (!two_sided_ && square.value().item() <= 1) return raw;
  const Var row = reshape(raw, {1, raw.value().size()});
  return reshape(rescale_rows(row, square), raw.shape());
}

constinit const LayerType spectral_type = {
    .type = "spectral",
    .kind = LayerKind::dense,
    .property = LayerProperty::one_lipschitz,
    .options = "out, bias",
    .description = "dense layer divided by a bound of its spectral norm where that exceeds 1",
    .cost = "about 11 n^3 + m n^2, n <= m",
    .source = "Gouk 2021; Delattre 2023",
    .build = build_constrained_dense,
    .constraint = [](Site&) -> Parametrization { return Spectral(false); },
};

constinit const LayerType two_sided_type = {
    .type = "two-sided",
    .kind = LayerKind::dense,
    .property = LayerProperty::one_lipschitz,
    .options = "out, bias",
    .description = "dense layer divided by a bound of its spectral norm on both sides of 1",
    .cost = "about 11 n^3 + m n^2, n <= m",
    .source = "Miyato 2018; Delattre 2023",
    .build = build_constrained_dense,
    .constraint = [](Site&) -> Parametrization { return Spectral(true); },
};

}  // namespace isotape
