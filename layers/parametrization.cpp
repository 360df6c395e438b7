#include <isotape/layers/parametrization.hpp>

#include <array>

namespace isotape {

std::string name(const Parametrization& parametrization) {
  static const std::array<const char*, 4> names = {"unconstrained", "spectral-norm", "bjorck",
                                                   "cayley"};
  return names.at(parametrization.index());
}

}  // namespace isotape
