#include "battery.hpp"

namespace isotape::battery {

namespace {

std::vector<Row> activation_rows() {
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
      {.type = "fullsort", .inputs = {{5}, {2, 3, 4}}, .is_affine = false},
      {.type = "householder", .inputs = {{8}, {2, 3, 4}, {1, 1, 2}}, .is_affine = false},
      {.type = "householder",
       .options = {{"pairing", std::string("adjacent")}},
       .inputs = {{10}, {2, 2, 6}},
       .is_affine = false},
      {.type = "householder2", .inputs = {{16}, {2, 3, 4}}, .is_affine = false},
      {.type = "householder2",
       .options = {{"pairing", std::string("adjacent")}},
       .inputs = {{12}, {3, 2, 2}},
       .is_affine = false},
      {.type = "nact",
       .options = {{"lower", -0.5}, {"upper", 0.25}},
       .inputs = {{24}, {3, 3, 2}, {4, 3, 1}},
       .is_affine = false},
      {.type = "maxout", .inputs = {{6}, {2, 3, 4}}, .is_affine = false},
      {.type = "maxout",
       .options = {{"size", std::int64_t{3}}, {"pairing", std::string("adjacent")}},
       .inputs = {{9}, {2, 2, 6}},
       .is_affine = false},
      {.type = "leaky-relu",
       .options = {{"slope", 0.3}},
       .property = one_lipschitz,
       .inputs = {{7}, {2, 3, 1}},
       .is_affine = false},
      {.type = "relu", .property = one_lipschitz, .inputs = {{7}, {2, 3, 1}}, .is_affine = false},
  };
}

std::vector<Row> shape_rows() {
  using enum LayerProperty;
  return {
      {.type = "pixel-unshuffle", .inputs = {{4, 6, 3}, {2, 2, 1}}},
      {.type = "pixel-shuffle", .inputs = {{2, 3, 12}, {1, 1, 4}}},
      {.type = "upsample", .property = bounded, .inputs = {{2, 3, 2}, {1, 1, 1}}},
      {.type = "upsample",
       .options = {{"side", std::int64_t{6}}},
       .property = bounded,
       .inputs = {{2, 2, 2}, {3, 3, 1}}},
      {.type = "channel-pad",
       .options = {{"out", std::int64_t{6}}},
       .inputs = {{3}, {2, 3, 4}, {1, 2, 6}}},
      {.type = "channel-shuffle",
       .options = {{"groups", std::int64_t{3}}},
       .inputs = {{6}, {2, 3, 9}}},
      {.type = "l2pool",
       .property = one_lipschitz,
       .inputs = {{4, 6, 3}, {2, 2, 1}},
       .is_affine = false},
      {.type = "l2pool",
       .options = {{"kernel", std::int64_t{3}}, {"stride", std::int64_t{2}}},
       .property = one_lipschitz,
       .inputs = {{5, 7, 2}, {3, 3, 1}},
       .is_affine = false},
      {.type = "avgpool", .inputs = {{4, 6, 3}, {2, 2, 1}}},
      {.type = "avgpool",
       .options = {{"kernel", std::int64_t{3}}, {"stride", std::int64_t{2}}},
       .property = one_lipschitz,
       .inputs = {{5, 7, 2}, {3, 3, 1}}},
      {.type = "global-avgpool", .inputs = {{4, 5, 3}, {3, 1, 1}}},
      {.type = "flatten", .inputs = {{2, 3, 4}, {5}, {1, 1, 1}}},
      {.type = "first-channels",
       .options = {{"out", std::int64_t{2}}},
       .inputs = {{2, 3, 4}, {5}, {1, 1, 3}}},
  };
}

}  // namespace

std::vector<Row> pointwise_rows() { return joined({activation_rows(), shape_rows()}); }

}  // namespace isotape::battery
