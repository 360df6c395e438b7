#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/layers/model_spec.hpp>

namespace isotape {

// The nets of [Wang 2023]. `layer` is one of lbdn_layers() or, of dense layers alone, of
// lbdn_dense_layers(): sandwich layers hold their activation, others have a ReLU behind each but
// the last. gamma is 1; a model file may set it, at the first
// and the last sandwich layer.

/// "sandwich", and "cayley": Cayley transforms of dense layers and convolutions.
std::vector<std::string> lbdn_layers();
/// The same, and "aol".
std::vector<std::string> lbdn_dense_layers();

/// Table 5, KWLarge: four convolutions of 32 w and 64 w channels, two dense layers, w = 1, 2, 4.
ModelSpec kw_large(std::string name, std::string_view layer, std::int64_t w);

/// Table 6, the certified nets as their code has them: six convolutions of 64 to 256 channels,
/// three dense layers, and a last one of unit rows.
ModelSpec lbdn_net(std::string name, std::string_view layer);

/// Table 4, for MNIST: hidden layers of 190, 190 and 128 units, or 256, 256 and 128.
ModelSpec lbdn_mlp(std::string name, std::string_view layer);

/// Section 5.1, for a function of one variable: nine hidden layers of 86 units, or 128.
ModelSpec lbdn_curve(std::string name, std::string_view layer);

}  // namespace isotape
