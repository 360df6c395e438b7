#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>

#include <isotape/core/random.hpp>
#include <isotape/layers/aol.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reduce.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/aol");

TEST_CASE("aol: every input channel learns, those without an output of their own, too") {
  // The authors' start leaves them zero, where the rescaling has no gradient.
  Rng rng(1);
  AolConv2d layer(6, 2, {.kernel = 3}, rng);
  Parameter& raw = *layer.parameters()[0].parameter;
  const Tensor x = random_normal(rng, {2, 5, 5, 6});
  Tape tape;
  const Var y = layer.forward(x);
  tape.backward(mean(square(sub(y, random_normal(rng, y.shape())))));
  REQUIRE(raw.grad);
  for (std::int64_t channel = 0; channel < 6; ++channel) {
    double largest = 0;
    for (std::int64_t i = channel; i < raw.grad.size(); i += 6) {
      largest = std::max(largest, std::abs(raw.grad.at(i)));
    }
    CAPTURE(channel);
    CHECK(largest > 1e-4);
  }
}

TEST_SUITE_END();
