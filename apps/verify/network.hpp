#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <isotape/apps/verify/certificate.hpp>
#include <isotape/apps/verify/weights_file.hpp>

namespace isotape::verify {

/// An activation: [rows, columns, channels], or [channels] alone if it is flat (1 x 1 pixels).
struct Extents {
  std::int64_t rows = 1, columns = 1, channels = 1;
  bool flat = true;
  std::int64_t pixels() const { return rows * columns; }
  std::int64_t size() const { return pixels() * channels; }
  bool operator==(const Extents&) const = default;
  std::string text() const;
};

/// An operation with what it works on, its shapes and weights checked.
struct Layer {
  const Operation* op = nullptr;
  std::vector<std::int64_t> filters;  ///< shape of the weight of a linear map
  Extents in, out;
  std::array<std::int64_t, 2> before{};  ///< of a convolution: rows and columns put before
  std::int64_t products = 0;             ///< per output of a linear map
  std::vector<double> weight;  ///< [O, products]; of a convolution a product is (tap, input)
  std::vector<double> bias;  ///< [out.channels], zeros if there is none; of `center` what is added
  std::vector<double> lower, upper;  ///< of `nact`: its kinks in order
  std::vector<double> scale;         ///< of `affine`, and of `sandwich`: sqrt(2) exp(psi)
  std::vector<double> angles;        ///< of `householder`, [C / 2] or [3, C / 2]
  double skewness = 0;               ///< of `skew_exp`, rounded up
  double mix = 0;                    ///< of `convex`
  double absolute = 0;               ///< A of docs/certificate.md, rounded up
  double added = 0;                  ///< beta there, rounded up
  Enclosure share;                   ///< of `convex`: its a
  std::vector<std::vector<Layer>> branches;
  std::vector<Layer> maps;  ///< linear maps that the operation is made of, in order
};
using Network = std::vector<Layer>;

/// Whether an operation records a `sigma`.
bool has_sigma(const Operation& operation);

/// @param layers   kept by the caller: the layers point into it
/// @throws Failure  `NAME: expected ..., found ...`
Network resolve(const Chain& layers, Extents input, const WeightsFile& weights);

/// The checker's own enclosure of an operation that records one.
Enclosure own_sigma(const Layer& layer, const WeightsFile& weights);

/// >= the Lipschitz constant of a layer, of a chain (of its first `count` layers), from the sigma
/// that its operations record.
double lipschitz(const Layer& layer);
double lipschitz(const Network& network, std::size_t count);

/// >= the norm of row i less row j of a linear layer's weight, [out, out].
std::vector<std::vector<double>> pair_norms(const Layer& layer);

/// Calls f(op) with every operation of a chain, those of branches included, in order.
template <class Layers, class F>
void for_each_layer(Layers& layers, F&& f) {
  for (auto& layer : layers) {
    f(layer);
    for (auto& branch : layer.branches) for_each_layer(branch, f);
  }
}

}  // namespace isotape::verify
