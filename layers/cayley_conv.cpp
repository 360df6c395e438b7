#include <isotape/layers/cayley_conv.hpp>

#include <isotape/layers/fourier_conv.hpp>
#include <isotape/ops/cayley_complex.hpp>

namespace isotape {
namespace {

constexpr FrequencyMap cayley_map = {"cayley", cayley_complex, true, 0};

}  // namespace

constinit const LayerType cayley_conv_type = {
    .type = "cayley-conv",
    .kind = LayerKind::convolution,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "out, kernel, stride, bias",
    .description =
        "convolution on images of one size with the Cayley transform of its kernel's matrix at "
        "each frequency; circular padding",
    .cost = "O(H W (m n^2 + n^3)), n <= m the channels: per frequency, products and one inverse",
    .source = "Trockman 2021",
    .build = [](Site& site) { return build_fourier_conv(site, cayley_map); },
};

}  // namespace isotape
