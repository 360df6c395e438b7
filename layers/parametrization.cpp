#include <isotape/layers/parametrization.hpp>

#include <array>

namespace isotape {

std::string name(const Parametrization& parametrization) {
  static const std::array<const char*, 5> names = {"unconstrained", "spectral-norm", "bjorck",
                                                   "cayley", "cholesky-qr"};
  return names.at(parametrization.index());
}

}  // namespace isotape
