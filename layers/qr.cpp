#include <isotape/layers/qr.hpp>

#include <isotape/layers/linear.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/householder_qr.hpp>

namespace isotape {

Tensor Qr::initial(const Shape& shape, Rng& rng) const { return random_orthogonal(rng, shape); }

Var Qr::apply(const Var& raw) const { return householder_qr(raw); }

constinit const LayerType qr_type = {
    .type = "qr",
    .kind = LayerKind::dense,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "out, bias",
    .description =
        "dense layer with the orthonormal QR factor of its raw matrix, by Householder reflectors",
    .cost = "about 2 m n^2, n <= m, in f64",
    .source = "Householder 1958; LAPACK",
    .build = build_constrained_dense,
    .constraint = [](Site&) -> Parametrization { return Qr{}; },
};

}  // namespace isotape
