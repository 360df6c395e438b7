#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <string>

#include <isotape/core/random.hpp>
#include <isotape/layers/aol.hpp>
#include <isotape/layers/model.hpp>
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

TEST_CASE("aol, cpl, sll, soc: with groups, an output depends on its own group alone") {
  const Shape image{4, 4, 6};
  for (const std::string type : {"aol", "cpl", "sll", "soc"}) {
    for (const std::int64_t out : {4, 6, 12}) {
      CAPTURE(type);
      CAPTURE(out);
      const std::int64_t groups = 2;
      const LayerSpec spec{
          "layer", type, {{"out", out}, {"groups", groups}, {"stride", std::int64_t{2}}}};
      const auto layer = build_layer(spec, image, 10, Rng(1));
      CHECK(layer->describe().find("groups 2") != std::string::npos);
      Rng rng(2);
      const Tensor x = random_normal(rng, {1, 4, 4, 6});
      Tensor other = x.clone();
      for (std::int64_t i = 0; i < other.size(); ++i) {
        if (i % 6 >= 3) other.write<float>()[i] += 1;  // of the second group
      }
      const Tensor y = layer->forward(x).value();
      const Tensor z = layer->forward(other).value();
      double own = 0;
      for (std::int64_t i = 0; i < y.size(); ++i) {
        const double change = std::abs(y.at(i) - z.at(i));
        if (i % out < out / 2) CHECK(change == 0);
        if (i % out >= out / 2) own = std::max(own, change);
      }
      CHECK(own > 0.01);
    }
  }
}

TEST_SUITE_END();
