#include "battery.hpp"

namespace isotape::battery {
namespace {

const LayerSpec conv{"conv", "bcop", {{"out", std::int64_t{4}}, {"kernel", std::int64_t{3}}}};
const LayerSpec half_conv{"conv", "bcop", {{"out", std::int64_t{2}}, {"kernel", std::int64_t{3}}}};
const LayerSpec dense{"fc", "linear", {{"out", std::int64_t{6}}}};
const LayerSpec free_dense{
    "free", "linear", {{"out", std::int64_t{6}}, {"constraint", std::string("unconstrained")}}};
const LayerSpec act{"act", "maxmin", {}};
const LayerSpec twice{"twice", "gain", {{"value", 2.0}}};
const LayerSpec pass{"pass", "sequential", {}};
const LayerSpec deep{"deep", "sequential", {}, {dense, act}};

std::vector<Row> normalization_rows() {
  using enum LayerProperty;
  return {
      {.type = "batch-center", .inputs = {{5}, {2, 3, 4}, {1, 1, 1}}, .batch_statistics = true},
      {.type = "layer-center", .property = one_lipschitz, .inputs = {{5}, {2, 3, 4}}},
      {.type = "layer-center",
       .options = {{"over", std::string("pixels")}},
       .property = one_lipschitz,
       .inputs = {{3, 2, 2}, {2, 3, 4}}},
      {.type = "layer-center",
       .options = {{"over", std::string("channels")}},
       .property = one_lipschitz,
       .inputs = {{5}, {2, 3, 4}}},
      {.type = "batch-norm",
       .property = bounded,
       .inputs = {{3, 2, 5}, {2, 3, 4}},
       .batch_statistics = true},
      {.type = "gain",
       .options = {{"value", 0.5}},
       .property = one_lipschitz,
       .inputs = {{5}, {2, 3, 4}}},
      {.type = "gain",
       .options = {{"value", 3.0}},
       .property = bounded,
       .inputs = {{5}, {1, 2, 1}}},
  };
}

std::vector<Row> joined_rows() {
  using enum LayerProperty;
  return {
      {.type = "sequential", .inputs = {{6}, {4, 4, 4}}, .variant = "of nothing"},
      {.type = "sequential",
       .inputs = {{4, 4, 4}, {3, 5, 4}},
       .is_affine = false,
       .layers = {conv, act},
       .variant = "of bcop and maxmin"},
      {.type = "sum",
       .property = bounded,
       .inputs = {{6}},
       .is_affine = false,
       .layers = {pass, deep, free_dense},
       .variant = "of three"},
      {.type = "concat",
       .property = bounded,
       .inputs = {{6}, {4}},
       .is_affine = false,
       .layers = {deep, free_dense},
       .variant = "of two"},
      {.type = "concat", .inputs = {{6}}, .layers = {dense}, .variant = "of one"},
      {.type = "split",
       .property = bounded,
       .inputs = {{12}},
       .is_affine = false,
       .layers = {deep, twice},
       .variant = "of two"},
      {.type = "split",
       .inputs = {{4, 4, 4}, {5, 3, 4}},
       .layers = {half_conv, pass},
       .variant = "of bcop and the identity"},
  };
}

std::vector<Row> residual_rows() {
  using enum LayerProperty;
  return {
      {.type = "concat-residual",
       .inputs = {{4, 4, 4}, {3, 3, 4}},
       .is_affine = false,
       .layers = {half_conv, act},
       .variant = "of bcop and maxmin"},
      {.type = "convex-residual",
       .options = {{"share", 0.25}},
       .property = one_lipschitz,
       .inputs = {{4, 4, 4}, {3, 5, 4}},
       .is_affine = false,
       .layers = {conv, act}},
      {.type = "convex-residual",
       .property = bounded,
       .inputs = {{6}},
       .is_affine = false,
       .layers = {free_dense, act},
       .variant = "of a free layer"},
  };
}

}  // namespace

std::vector<Row> composition_rows() {
  return joined({normalization_rows(), joined_rows(), residual_rows()});
}

}  // namespace isotape::battery
