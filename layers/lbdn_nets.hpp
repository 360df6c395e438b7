#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/layers/model_spec.hpp>

namespace isotape {

// The nets of [Wang 2023] and those that it sets beside them. `layer` is one of the list behind
// each net: sandwich layers hold their activation, others ("cayley": Cayley transforms of dense
// layers and convolutions, "aol") have a ReLU behind each but the last, "sll" has layers of another
// number. gamma is 1; with_gamma() sets it.

std::vector<std::string> kw_large_layers();
std::vector<std::string> lbdn_net_layers();
std::vector<std::string> lbdn_mlp_layers();
std::vector<std::string> lbdn_curve_layers();

/// Table 5, KWLarge: four convolutions of 32 w and 64 w channels, two dense layers, w = 1, 2, 4. Of
/// "aol" as in its code, zeros around the image and an average pooling by 4 in the place of
/// strides, but rescaled on the side of the inputs. Of "sll" the nets of table 2: 20, 30 or 90
/// convolutions of 45, 60 or 60 channels and 7, 10 or 15 dense layers, see sll_net().
ModelSpec kw_large(std::string name, std::string_view layer, std::int64_t w);

/// Table 6, the certified nets as their code has them: six convolutions of 64 to 256 channels,
/// three dense layers, and a last one of unit rows. Of "sll" the small one of table 3: sll-small.
ModelSpec lbdn_net(std::string name, std::string_view layer);

/// Table 4, for MNIST: hidden layers of 190, 190 and 128 units, or 256, 256 and 128.
ModelSpec lbdn_mlp(std::string name, std::string_view layer);

/// Section 5.1, for a function of one variable: nine hidden layers of 86 units, or 128; of "sll"
/// eight layers of 128, and the first of their channels.
ModelSpec lbdn_curve(std::string name, std::string_view layer);

/// The net with gains for a Lipschitz constant of gamma: its input times sqrt(gamma), and what its
/// last layer takes, as [Wang 2023] shares it out. Layers that only flatten stay in front.
/// @throws ValueError  unless gamma > 0 and there are layers
ModelSpec with_gamma(ModelSpec spec, double gamma);

}  // namespace isotape
