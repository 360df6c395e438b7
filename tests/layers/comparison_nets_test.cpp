#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/layers/comparison_nets.hpp>
#include <isotape/layers/model.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/comparison_nets");

namespace {

std::int64_t count_of(std::string_view name, const Shape& input = {32, 32, 3},
                      std::int64_t classes = 10) {
  Model model = build_model(named_model(name), input, classes, Rng(1));
  CHECK(model.net.output_shape(input) == Shape{classes});
  return parameter_count(model.net.parameters());
}

}  // namespace

TEST_CASE("lipconvnet: parameters of the authors' layers, max(in s^2, out)^2 k^2 and out each") {
  // [github.com/singlasahil14/SOC, lip_convnets.py]: strided 12 -> 64, 256 -> 128, 512 -> 256,
  // 1024 -> 512 with 3 x 3, 2048 -> 1024 with 1 x 1; 1024 -> 10 at the end.
  const auto square = [](std::int64_t n) { return n * n; };
  const std::int64_t five = 9 * (square(64) + square(256) + square(512) + square(1024)) +
                            square(2048) + (64 + 128 + 256 + 512 + 1024) + square(1024) + 10;
  CHECK(count_of("lipconvnet-5:soc") == five);
  // One more per block: 3 -> 32, 64 -> 64, ..., 512 -> 512 in the last block, all 3 x 3. The first
  // block's strided one is then 128 -> 64.
  const std::int64_t ten = five +
                           9 * (square(32) + square(64) + square(128) + square(256) + square(512)) +
                           (32 + 64 + 128 + 256 + 512) + 9 * (square(128) - square(64));
  CHECK(count_of("lipconvnet-10:soc") == ten);
  CHECK_THROWS_WITH_AS(lipconvnet("lipconvnet-6", "soc", 6),
                       "lipconvnet: expected a depth of 5, 10, ..., 40, got 6", ValueError);
}

TEST_CASE("compared nets: 6130 w^2 weights, 1.57 million for XS, and a bias per channel") {
  // [Prach 2024, table 9: XS 1.57 M, S 6.28 M]: 1 + 45 (1 + 4 + 16 + 64) + 5 * 256 + 1024 = 6130.
  const auto expected = [](std::int64_t w) { return 6130 * w * w + w * (1 + 155 + 32); };
  CHECK(expected(16) == 1572288);
  CHECK(count_of("lip-xs:soc") == expected(16));
  CHECK(count_of("lip-s:soc") == expected(32));
  // Rectangular constructions have the 3 channels of the image in their first convolution, too.
  CHECK(count_of("lip-xs:aol") == expected(16) - 13 * std::int64_t{16});
}

TEST_CASE("aol-mlp: 16 layers of 3072 x 3072") {
  // [github.com/berndprach/scaling_up_Lipschitz_networks, lipschitz_mlp.py]
  CHECK(16 * (3072 * 3072 + 3072) == 151044096);
  const ModelSpec spec = named_model("aol-mlp");
  int dense = 0;
  for (const LayerSpec& layer : spec.layers) dense += layer.type == "linear" ? 1 : 0;
  CHECK(dense == 16);
}

TEST_CASE("sll-small: 41.4 million parameters") {
  // [github.com/araujoalexandre/Lipschitz-SLL-Networks, core/models]: kernel, bias and q of each.
  const std::int64_t expected =
      20 * (5 * 9 * 45 + 5 + 5) + 7 * (2048 * 45 * 8 * 8 + 2048 + 2048) + 45 * 8 * 8 * 10 + 10;
  CHECK(expected == 41385862);
  CHECK(count_of("sll-small") == expected);
}

TEST_SUITE_END();
