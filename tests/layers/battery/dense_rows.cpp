#include "battery.hpp"

namespace isotape::battery {

std::vector<Row> dense_rows() {
  using enum LayerProperty;
  return {
      {.type = "linear"},
      {.type = "linear",
       .options = {{"constraint", std::string("unconstrained")}},
       .property = bounded},
      {.type = "bjorck"},
      // Not orthogonal, and at order 1 never above 1; what it divides by first, a bound of the raw
      // matrix, is a constant of the map: layers/weight has its gradient with that held.
      {.type = "bjorck",
       .options = {{"iterations", std::int64_t{3}}},
       .property = bounded,
       .parameter_gradient = false},
      {.type = "cayley"},
      {.type = "cholesky-qr"},
      {.type = "spectral-norm", .property = bounded},
      {.type = "sandwich", .property = one_lipschitz, .is_affine = false},
      {.type = "sandwich",
       .options = {{"activation", std::string("tanh")}},
       .property = one_lipschitz,
       .is_affine = false},
      {.type = "sandwich", .options = {{"output", true}}, .property = one_lipschitz},
      {.type = "sandwich",
       .options = {{"gamma", std::int64_t{4}}, {"output", true}},
       .property = bounded},
      {.type = "exp"},
      {.type = "qr"},
      {.type = "bro"},
      {.type = "bro", .options = {{"rank", std::int64_t{1}}}},
      {.type = "frobenius", .property = one_lipschitz},
      {.type = "unit-rows", .property = bounded},
      {.type = "linf", .property = bounded},
      {.type = "spectral", .property = one_lipschitz},
      {.type = "two-sided", .property = one_lipschitz},
      {.type = "parseval", .property = bounded},
      {.type = "linear",
       .options = {{"constraint", std::string("aol")}},
       .property = one_lipschitz},
  };
}

}  // namespace isotape::battery
