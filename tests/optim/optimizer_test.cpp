#include <doctest/doctest.h>

#include <limits>
#include <string>

#include <isotape/core/error.hpp>
#include <isotape/core/memory.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/optim/make_optimizer.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("optim/optimizer");

namespace {

// One of each rule, with all the state it can have.
const std::string rules[] = {"sgd",
                             "sgd:momentum=0.9,nesterov=1,weight_decay=0.1",
                             "adam:weight_decay=0.1",
                             "adamw",
                             "rmsprop:momentum=0.9",
                             "aggmo"};

struct Net {
  Parameter weight, bias;
  ParameterList list{{"fc.raw", &weight}, {"fc.bias", &bias}};

  explicit Net(std::int64_t n = 100) {
    Rng rng(1);
    weight = Parameter(random_normal(rng, {n, 3}));
    bias = Parameter(random_normal(rng, {n}, 1, DType::f64));
  }
  void set_gradients(std::uint64_t seed) {
    Rng rng(seed);
    weight.grad = random_normal(rng, weight.value().shape());
    bias.grad = random_normal(rng, bias.value().shape(), 1, DType::f64);
  }
};

void train(Optimizer& optimizer, Net& net, std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t step = from; step < to; ++step) {
    net.set_gradients(step);
    optimizer.step(0.01);
  }
}

bool equal(const Net& a, const Net& b) {
  return max_abs_diff(a.weight.value(), b.weight.value()) == 0 &&
         max_abs_diff(a.bias.value(), b.bias.value()) == 0;
}

}  // namespace

TEST_CASE("optimizer: restored from value and state it continues bit for bit") {
  for (const std::string& rule : rules) {
    CAPTURE(rule);
    Net straight;
    const auto whole = make_optimizer(rule, straight.list);
    train(*whole, straight, 0, 9);

    Net before;
    const auto first = make_optimizer(rule, before.list);
    train(*first, before, 0, 4);
    Net after;
    const auto second = make_optimizer(rule, after.list);
    BufferList saved;
    BufferList restored;
    first->collect("optimizer.", saved);
    second->collect("optimizer.", restored);
    REQUIRE(saved.size() == restored.size());
    for (std::size_t i = 0; i < saved.size(); ++i) {
      CHECK(saved[i].name == restored[i].name);
      *restored[i].tensor = saved[i].tensor->clone();
    }
    after.weight.write() = before.weight.value().clone();
    after.bias.write() = before.bias.value().clone();
    train(*second, after, 4, 9);
    CHECK(equal(after, straight));
  }
}

TEST_CASE("optimizer: names its state after the parameters") {
  Net net;
  BufferList buffers;
  make_optimizer("adam", net.list)->collect("optimizer.", buffers);
  std::string names;
  for (const NamedBuffer& buffer : buffers) names += buffer.name + " ";
  CHECK(names ==
        "optimizer.fc.raw.m optimizer.fc.raw.v optimizer.fc.raw.t "
        "optimizer.fc.bias.m optimizer.fc.bias.v optimizer.fc.bias.t ");
}

TEST_CASE("optimizer: the result does not depend on the number of threads") {
  const int threads = num_threads();
  for (const std::string& rule : rules) {
    CAPTURE(rule);
    Net one(70001);
    Net several(70001);
    set_num_threads(1);
    train(*make_optimizer(rule, one.list), one, 0, 3);
    set_num_threads(3);
    train(*make_optimizer(rule, several.list), several, 0, 3);
    set_num_threads(threads);
    CHECK(equal(one, several));
  }
}

TEST_CASE("optimizer: a step writes each value once and clears its gradient") {
  for (const std::string& rule : rules) {
    CAPTURE(rule);
    Net net;
    const auto optimizer = make_optimizer(rule, net.list);
    const std::uint64_t version = net.weight.version();
    const std::uint64_t storage_version = net.weight.value().version();
    const Tensor handle = net.weight.value();
    train(*optimizer, net, 0, 1);
    CHECK(net.weight.version() == version + 1);
    CHECK(net.weight.value().version() == storage_version + 1);
    CHECK(net.weight.value().shares_storage_with(handle));
    CHECK_FALSE(net.weight.grad);
    CHECK_FALSE(net.bias.grad);
  }
}

TEST_CASE("optimizer: skips a frozen parameter and one without gradient, state and all") {
  for (const std::string& rule : rules) {
    CAPTURE(rule);
    Net net;
    const Net start;
    const auto optimizer = make_optimizer(rule, net.list);
    const std::uint64_t version = net.weight.version();
    net.weight.trainable = false;
    net.set_gradients(1);
    net.bias.grad = {};
    optimizer->step(0.1);
    CHECK(equal(net, start));
    CHECK(net.weight.version() == version);

    // What was skipped leaves no trace: the next step is a first step.
    net.weight.trainable = true;
    Net fresh;
    const auto other = make_optimizer(rule, fresh.list);
    train(*optimizer, net, 5, 6);
    train(*other, fresh, 5, 6);
    CHECK(equal(net, fresh));
  }
}

TEST_CASE("optimizer: weight decay spares a parameter that does not decay, unless asked") {
  const auto after = [](const std::string& text) {
    Net net;
    net.weight.decays = false;
    net.weight.grad = Tensor::zeros(net.weight.value().shape());
    net.bias.grad = Tensor::zeros(net.bias.value().shape(), DType::f64);
    make_optimizer(text, net.list)->step(0.1);
    return net;
  };
  const Net start;
  for (const std::string rule : {"sgd", "adam", "adamw", "rmsprop", "aggmo"}) {
    CAPTURE(rule);
    const Net spared = after(rule + ":weight_decay=0.5");
    CHECK(max_abs_diff(spared.weight.value(), start.weight.value()) == 0);
    CHECK(max_abs_diff(spared.bias.value(), start.bias.value()) > 1e-3);
    const Net asked = after(rule + ":weight_decay=0.5,decay_all=1");
    CHECK(max_abs_diff(asked.weight.value(), start.weight.value()) > 1e-3);
  }
}

TEST_CASE("optimizer: zero_grad clears without an update") {
  Net net;
  const auto optimizer = make_optimizer("adam", net.list);
  net.set_gradients(1);
  optimizer->zero_grad();
  CHECK_FALSE(net.weight.grad);
  CHECK_FALSE(net.bias.grad);
  CHECK(equal(net, Net()));
}

TEST_CASE("optimizer: in its steady state a step asks the system for no tensor memory") {
  for (const std::string& rule : rules) {
    Net net(5000);
    const auto optimizer = make_optimizer(rule, net.list);
    train(*optimizer, net, 0, 2);
    const std::int64_t before = memory_stats().system_allocations;
    train(*optimizer, net, 2, 5);
    CHECK(memory_stats().system_allocations == before);
  }
}

TEST_CASE("optimizer: a gradient that is not finite is named before anything has changed") {
  Net net;
  const auto optimizer = make_optimizer("adam", net.list);
  net.set_gradients(1);
  net.bias.grad.write<double>()[7] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(optimizer->step(0.1), "adam: expected a finite gradient of fc.bias, got nan",
                       NumericError);
  CHECK(equal(net, Net()));
  net.bias.grad.write<double>()[7] = -std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH_AS(optimizer->step(0.1),
                       "adam: expected a finite gradient of fc.bias, got -inf", NumericError);
  BufferList buffers;
  optimizer->collect("", buffers);
  for (const NamedBuffer& buffer : buffers) CHECK(max_abs(*buffer.tensor) == 0);
}

TEST_CASE("optimizer: rejects bad rates, shapes and lists") {
  Net net;
  const auto optimizer = make_optimizer("adam", net.list);
  net.set_gradients(1);
  CHECK_THROWS_WITH_AS(optimizer->step(-1), "adam: expected a rate in [0, inf), got -1",
                       ValueError);
  CHECK_THROWS_WITH_AS(optimizer->step(std::numeric_limits<double>::quiet_NaN()),
                       "adam: expected a rate in [0, inf), got nan", ValueError);
  net.bias.grad = Tensor::zeros({100});
  CHECK_THROWS_WITH_AS(optimizer->step(1),
                       "adam: expected a gradient of fc.bias of shape [100] and type f64, got "
                       "[100] and f32",
                       ShapeError);
  net.set_gradients(1);
  BufferList buffers;
  optimizer->collect("", buffers);
  *buffers[1].tensor = Tensor::zeros({7});
  CHECK_THROWS_WITH_AS(optimizer->step(1),
                       "adam: expected fc.raw.v of shape [100, 3] and type f32, got [7] and f32",
                       ShapeError);

  CHECK_THROWS_WITH_AS(make_optimizer("sgd", {{"a", &net.weight}, {"b", &net.weight}}),
                       "sgd: expected distinct parameters of distinct names, got b twice",
                       ValueError);
  CHECK_THROWS_WITH_AS(make_optimizer("sgd", {{"a", &net.weight}, {"a", &net.bias}}),
                       "sgd: expected distinct parameters of distinct names, got a twice",
                       ValueError);
  Parameter absent;
  CHECK_THROWS_WITH_AS(make_optimizer("sgd", {{"a", &absent}}),
                       "sgd: expected a value of a, got an absent tensor", ValueError);
  CHECK_THROWS_WITH_AS(make_optimizer("sgd:weight_decay=inf", {}),
                       "sgd: expected weight_decay in [0, inf), got inf", ValueError);
}

TEST_SUITE_END();
