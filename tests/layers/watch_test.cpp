#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/watch.hpp>
#include <isotape/ops/reduce.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/watch");

namespace {

Sequential chain() {
  Rng rng(1);
  auto inner = std::make_unique<Sequential>();
  inner->add("fc", Linear(6, 4, Bjorck{}, rng)).add("act", MaxMin());
  Sequential net;
  net.add("fc1", Linear(5, 6, Bjorck{}, rng)).add("act1", Abs());
  net.add("block", std::unique_ptr<Module>(std::move(inner)));
  net.add("fc2", Linear(4, 3, Bjorck{}, rng));
  return net;
}

Tensor inputs(std::uint64_t seed) {
  Rng rng(seed);
  return random_normal(rng, {7, 5});
}

const Module* part(const Sequential& net, const char* name) {
  return find_part("test", net, name, {5}).module;
}

}  // namespace

TEST_CASE("watch: sees what a part returns, with its bias, and the pass computes the same") {
  const Sequential net = chain();
  const Tensor x = inputs(2);
  const Tensor plain = net.forward(x).value();
  for (const char* name : {"fc1", "act1", "block", "block.fc", "block.act", "fc2"}) {
    CAPTURE(name);
    const Watch watch({part(net, name)});
    const Tensor y = net.forward(x).value();
    CHECK(max_abs_diff(y, plain) <= 1e-6);
    REQUIRE(bool(watch.seen(part(net, name))));
    const Shape output = find_part("test", net, name, {5}).output;
    CHECK(watch.seen(part(net, name)).shape() == Shape{7, output[0]});
  }
  const Watch watch({part(net, "fc1"), part(net, "act1")});
  net.forward(x);
  const Tensor fc1 = net.parts()[0].module->forward(x).value();
  CHECK(max_abs_diff(watch.seen(part(net, "fc1")).value(), fc1) == 0);  // not overwritten by abs
  CHECK_FALSE(watch.seen(part(net, "fc2")));
}

TEST_CASE("watch: what it saw is part of the recording") {
  Sequential net = chain();
  Tape tape;
  net.prepare();
  const Watch watch({part(net, "act1")});
  net.forward(inputs(2));
  tape.backward(norm(watch.seen(part(net, "act1"))));
  CHECK(max_abs(net.parameters()[0].parameter->grad) > 0);
  CHECK_FALSE(net.parameters().back().parameter->grad);
}

TEST_CASE("watch: keeps the first pass, ends with its scope, and nests") {
  const Sequential net = chain();
  const Module* const act = part(net, "act1");
  CHECK_FALSE(Watch::is_watched(act));
  {
    const Watch outer({act});
    net.forward(inputs(2));
    const Tensor first = outer.seen(act).value();
    net.forward(inputs(3));
    CHECK(outer.seen(act).value().shares_storage_with(first));
    {
      const Watch inner({part(net, "fc2")});
      CHECK_FALSE(Watch::is_watched(act));
    }
    CHECK(Watch::is_watched(act));
  }
  CHECK_FALSE(Watch::is_watched(act));
}

TEST_CASE("find_part: names the layers there are") {
  const Sequential net = chain();
  CHECK(find_part("low-rank", net, "block.fc", {5}).output == Shape{4});
  CHECK_THROWS_WITH_AS(find_part("low-rank", net, "fc3", {5}),
                       "low-rank: expected a layer among fc1, act1, block, fc2, got 'fc3'",
                       ValueError);
  CHECK_THROWS_WITH_AS(find_part("low-rank", net, "block.fc2", {5}),
                       "low-rank: expected a layer among fc, act, got 'fc2'", ValueError);
}

TEST_SUITE_END();
