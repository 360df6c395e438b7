#include <isotape/layers/linear_residual.hpp>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/elementwise.hpp>

namespace isotape {
namespace {

// The identity as a matrix [c, k k c].
Tensor identity_kernel(std::int64_t c, std::int64_t columns, DType dtype) {
  const std::int64_t taps = columns / c;
  const auto k = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(taps))));
  require<ShapeError>(k * k * c == columns,
                      "linear_residual: expected a kernel [c, k, k, c] as [c, k k c], got [", c,
                      ", ", columns, "]");
  Tensor identity = Tensor::zeros({c, columns}, DType::f64);
  auto* const entries = identity.write<double>();
  const std::int64_t tap = (k / 2 * k + k / 2) * c;
  for (std::int64_t i = 0; i < c; ++i) entries[i * columns + tap + i] = 1;
  return identity.to(dtype);
}

}  // namespace

constinit const LayerType linear_residual_type = {
    .type = "linear-residual",
    .kind = LayerKind::convolution,
    .property = LayerProperty::bounded,
    .options = "kernel, padding, bias, gain",
    .description =
        "x + K x as one convolution, bounded by the norm of the summed kernel; K begins "
        "with gain (0.1) times the usual size",
    .cost = "",
    .source = "Hu 2023",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      const std::int64_t channels = input_channels(site);
      const int kernel = small_integer(site, "kernel", 3);
      const double gain = site.options.number("gain", 0.1);
      require<ValueError>(gain > 0 && gain <= 100, site.place(),
                          ": expected gain in (0, 100], got ", gain);
      Conv2dLayerOptions options;
      options.padding_mode = padding_option(site);
      options.bias = site.options.boolean("bias", true);
      return std::make_unique<Conv2d>(channels, channels, kernel, LinearResidual(gain), site.rng,
                                      options);
    },
};

Tensor LinearResidual::initial(const Shape& shape, Rng& rng) const {
  const double limit = gain_ / std::sqrt(static_cast<double>(shape[-1]));
  return random_uniform(rng, shape, -limit, limit);
}

Var LinearResidual::apply(const Var& raw) const {
  return add(raw, identity_kernel(raw.dim(-2), raw.dim(-1), raw.dtype()));
}

}  // namespace isotape
