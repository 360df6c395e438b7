#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <isotape/layers/model_spec.hpp>

namespace isotape {

// Nets in which papers compare constructions of convolutions. `layer` is a convolution or an
// activation of `isotape layers`.

/// LipConvNet-n [Singla 2021], n = depth = 5, 10, ..., 40: five blocks of n / 5 convolutions, the
/// last of each of stride 2, from 32 channels to 1024, and one dense layer. A strided convolution
/// has its kernel on unshuffled pixels, 3 x 3, in the last block 1 x 1. For soc as its authors have
/// it: zero padding, 5 convolutions per series in training and 12 in use, soc for the logits too.
ModelSpec lipconvnet(std::string name, std::string_view layer, int depth);

/// The nets of "1-Lipschitz layers compared" [Prach 2024], of a base width w = 16, 32, 64, 128: a
/// 1 x 1 convolution to w channels, five blocks of five convolutions of w, 2 w, ..., 16 w channels
/// (1 x 1 in the last) whose first half is unshuffled, a 1 x 1 convolution, and of its 32 w
/// channels the first as logits.
ModelSpec compared_net(std::string name, std::string_view layer, std::int64_t width);

/// 16 almost orthogonal dense layers of width 3072 [Prach 2024], the first logits of the last.
ModelSpec aol_mlp(std::string name);

/// The extents of an SLL net [Araujo 2023].
struct SllExtents {
  int convolutions = 20;
  std::int64_t channels = 45;
  int denses = 7;
};

/// Layers of so many channels with 5 inner ones, an average pooling by 4, dense layers with 2048
/// inner units; for the logits rows of length 1, or the first channels.
ModelSpec sll_net(std::string name, const SllExtents& extents, bool unit_rows);

}  // namespace isotape
