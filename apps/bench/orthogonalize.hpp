#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/ops/bjorck.hpp>

namespace isotape {

/// A way to make matrices orthogonal, as `bench orthogonalize` names it.
struct Orthogonalization {
  std::string_view name;
  std::optional<BjorckOptions> bjorck;  ///< none: the Cayley transform
};
/// polar, exact, fast, bjorck-20, cayley.
const std::vector<Orthogonalization>& orthogonalizations();
std::vector<std::string_view> orthogonalization_names();

/// Random matrices [m, n] or [b, m, n] whose singular values fall geometrically from 1 to 1/kappa,
/// between Haar distributed bases.
Tensor random_conditioned(Rng& rng, const Shape& shape, double kappa);

}  // namespace isotape
