#include <isotape/layers/parametrization.hpp>

#include <array>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/layers/module.hpp>
#include <isotape/layers/site.hpp>

namespace isotape {
namespace {

Parametrization cholesky_qr_options(Site& site) {
  const double raw_gain = site.options.number("raw_gain", CholeskyQr{}.raw_gain);
  require<ValueError>(raw_gain > 0 && raw_gain <= 1e6, site.place(),
                      ": expected raw_gain in (0, 1e6], got ", raw_gain);
  return CholeskyQr{raw_gain};
}

}  // namespace

Tensor MatrixMap::initial(const Shape& shape, Rng& rng) const {
  const double limit = 1 / std::sqrt(static_cast<double>(shape[-1]));
  return random_uniform(rng, shape, -limit, limit);
}

const MatrixMap* matrix_map(const Parametrization& parametrization) {
  const auto* map = std::get_if<std::shared_ptr<const MatrixMap>>(&parametrization);
  return map == nullptr ? nullptr : map->get();
}

std::string name(const Parametrization& parametrization) {
  if (const MatrixMap* map = matrix_map(parametrization)) return map->name();
  static constexpr std::array<const char*, 4> names = {"unconstrained", "spectral-norm", "bjorck",
                                                       "cholesky-qr"};
  return names.at(parametrization.index());
}

Bjorck bjorck_options(Site& site) {
  Bjorck bjorck;
  bjorck.options.order = static_cast<int>(site.options.integer("order", bjorck.options.order));
  bjorck.options.iterations =
      static_cast<int>(site.options.integer("iterations", bjorck.options.iterations));
  bjorck.raw_gain = site.options.number("raw_gain", 0);
  require<ValueError>(1 <= bjorck.options.order && bjorck.options.order <= 4, site.place(),
                      ": expected order in 1..4, got ", bjorck.options.order);
  require<ValueError>(0 <= bjorck.options.iterations && bjorck.options.iterations <= 1000,
                      site.place(), ": expected iterations in 0..1000 (0: until converged), got ",
                      bjorck.options.iterations);
  require<ValueError>(bjorck.raw_gain >= 0 && bjorck.raw_gain <= 1e6, site.place(),
                      ": expected raw_gain in [0, 1e6] (0: 1/sqrt(fan-in)), got ", bjorck.raw_gain);
  return bjorck;
}

constinit const LayerType bjorck_type = {
    .type = "bjorck",
    .kind = LayerKind::dense,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "out, bias, order, iterations, raw_gain",
    .description =
        "dense layer with the polar factor of its raw matrix, the nearest orthonormal "
        "one, exact or by a fixed number of Bjorck iterations",
    .cost = "O(m n^2), n <= m: about 10 products, or 2 to 3 per iteration",
    .source = "Anil 2019",
    .build = build_constrained_dense,
    .constraint = [](Site& site) -> Parametrization { return bjorck_options(site); },
};

constinit const LayerType cholesky_qr_type = {
    .type = "cholesky-qr",
    .kind = LayerKind::dense,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "out, bias, raw_gain",
    .description = "dense layer with the orthonormal QR factor of its raw matrix, by Cholesky",
    .cost = "2 m n^2 + n^3 / 3, n <= m",
    .source = "Yamamoto 2015",
    .build = build_constrained_dense,
    .constraint = cholesky_qr_options,
};

constinit const LayerType spectral_norm_type = {
    .type = "spectral-norm",
    .kind = LayerKind::dense,
    .property = LayerProperty::bounded,
    .options = "out, bias, iterations",
    .description =
        "dense layer divided by a power iteration's estimate of its spectral norm, which "
        "is low: the bound is proved from the weight itself",
    .cost = "2 m n per iteration",
    .source = "Miyato 2018",
    .build = build_constrained_dense,
    .constraint = [](Site& site) -> Parametrization {
      return SpectralNorm{small_integer(site, "iterations", 1)};
    },
};

}  // namespace isotape
