#include <isotape/layers/lot.hpp>

#include <isotape/layers/fourier_conv.hpp>
#include <isotape/ops/bjorck.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

// The polar factor of a + i b is that of the real matrix [a, -b; b, a], which has the same form:
// polar factors are unique, and this one commutes with [0, -I; I, 0] as the matrix does.
Var polar_complex(const Var& symbol) {
  const std::int64_t f = symbol.dim(0);
  const std::int64_t m = symbol.dim(1);
  const std::int64_t n = symbol.dim(2);
  const auto part = [&](std::int64_t i) { return reshape(slice(symbol, 3, i, i + 1), {f, m, n}); };
  const Var re = part(0);
  const Var im = part(1);
  const Var real = concat({concat({re, neg(im)}, 2), concat({im, re}, 2)}, 1);
  const Var left = slice(bjorck(real), 2, 0, n);
  return permute(reshape(left, {f, 2, m, n}), {0, 2, 3, 1});
}

constexpr FrequencyMap lot_map = {"polar", polar_complex, false, 1e-6};

}  // namespace

constinit const LayerType lot_type = {
    .type = "lot",
    .kind = LayerKind::convolution,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "out, kernel, stride, bias",
    .description =
        "convolution on images of one size with the polar factor of its kernel's matrix at each "
        "frequency, to a defect of 1e-6; circular padding",
    .cost = "O(H W (m n^2 + n^3)), n <= m the channels: per frequency, one eigendecomposition",
    .source = "Xu 2022",
    .build = [](Site& site) { return build_fourier_conv(site, lot_map); },
};

}  // namespace isotape
