#include "battery.hpp"

namespace isotape::battery {

std::vector<Row> pointwise_rows() {
  using enum LayerProperty;
  return {
      {.type = "maxmin", .inputs = {{3, 3, 4}, {2}}, .is_affine = false},
      {.type = "maxmin",
       .options = {{"pairing", std::string("adjacent")}},
       .inputs = {{8}, {1, 1, 2}},
       .is_affine = false},
      {.type = "groupsort",
       .options = {{"size", std::int64_t{3}}},
       .inputs = {{2, 2, 6}, {9}},
       .is_affine = false},
      {.type = "abs", .inputs = {{7}, {2, 3, 1}}, .is_affine = false},
      {.type = "relu", .property = one_lipschitz, .inputs = {{7}, {2, 3, 1}}, .is_affine = false},
      {.type = "pixel-unshuffle", .inputs = {{4, 6, 3}, {2, 2, 1}}},
      {.type = "flatten", .inputs = {{2, 3, 4}, {5}, {1, 1, 1}}},
      {.type = "first-channels",
       .options = {{"out", std::int64_t{2}}},
       .inputs = {{2, 3, 4}, {5}, {1, 1, 3}}},
  };
}

}  // namespace isotape::battery
