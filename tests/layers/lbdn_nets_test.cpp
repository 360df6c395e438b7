#include <doctest/doctest.h>

#include <utility>
#include <variant>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/lbdn_nets.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reduce.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/lbdn_nets");

namespace {

const Shape cifar{32, 32, 3};

std::int64_t count(const ModelSpec& spec, const Shape& input, std::int64_t classes) {
  Model model = build_model(spec, input, classes, Rng(1));
  return parameter_count(model.net.parameters());
}

// A dense sandwich layer: raw, bias, psi, length.
std::int64_t hidden(std::int64_t p, std::int64_t q) { return q * (p + q) + 2 * q + 1; }

}  // namespace

TEST_CASE("kwlarge: as many parameters as the published code counts, and trained lengths") {
  // Of convolutions the code makes the lengths when they first run, so that it counts, and trains,
  // only those of the three dense layers.
  const std::int64_t conv_lengths = 4;
  CHECK(count(kw_large("n", "sandwich", 1), cifar, 100) == 3038295 + conv_lengths);
  CHECK(count(kw_large("n", "sandwich", 2), cifar, 100) == 12013879 + conv_lengths);
  CHECK(count(kw_large("n", "sandwich", 4), cifar, 100) == 47807223 + conv_lengths);
  // 3.04 M and 12.06 M are printed. Layer by layer: 32 x 3 x 9, 32 x 128, 64 x 32 x 9, 64 x 256,
  // 640 x 4096, 512 x 640, 100 x 512, and biases; dense Cayley layers learn no length here.
  CHECK(count(kw_large("n", "cayley", 1), cifar, 100) ==
        (864 + 32) + (4096 + 32) + (18432 + 64) + (16384 + 64) + (2621440 + 640) + (327680 + 512) +
            (51200 + 100) + conv_lengths);
  CHECK((count(kw_large("n", "cayley", 2), cifar, 100) + 5000) / 10000 == 1206);
}

TEST_CASE("kwlarge:aol, kwlarge:sll: the printed 3.07, 12.16, 48.43 and 41.36, 78.77, 118.27 M") {
  const auto hundredths = [](std::int64_t n) { return (n + 5000) / 10000; };
  // 3 x 3 convolutions, of 8 x 8 pixels of 64 w channels to 640 w, 512 w and 100; biases.
  const auto aol = [](std::int64_t w) {
    return 9 * (3 * 32 * w + 32 * w * 32 * w + 32 * w * 64 * w + 64 * w * 64 * w) + 192 * w +
           4096 * w * 640 * w + 640 * w * 512 * w + 512 * w * 100 + 1152 * w + 100;
  };
  CHECK(count(kw_large("n", "aol", 1), cifar, 100) == aol(1));
  for (const auto& [w, printed] : {std::pair{1, 307}, {2, 1216}, {4, 4843}}) {
    CHECK(hundredths(aol(w)) == printed);
    CHECK(kw_large("n", "aol", w).layers.front().options.front().second ==
          OptionValue(std::int64_t{32} * w));
  }
  // Of a convolution 5 x c x 9, of a dense layer 2048 x 64 c; q and bias. lbdn-net:sll builds one.
  const auto sll = [](const ModelSpec& spec) {
    const std::int64_t c = std::get<std::int64_t>(spec.layers.front().options.front().second);
    std::int64_t sum = 0;
    for (const LayerSpec& layer : spec.layers) {
      if (layer.name.starts_with("conv")) sum += 5 * c * 9 + 10;
      if (layer.name.starts_with("fc")) sum += 2048 * 64 * c + 4096;
    }
    return sum;
  };
  for (const auto& [w, printed] : {std::pair{1, 4136}, {2, 7877}, {4, 11827}}) {
    CHECK(hundredths(sll(kw_large("n", "sll", w))) == printed);
  }
}

TEST_CASE("kwlarge:aol: runs on images and pools them by 4, within its bound") {
  Model model = build_model(kw_large("n", "aol", 1), {8, 8, 3}, 5, Rng(4));
  CHECK(model.net.output_shape({8, 8, 3}) == Shape{5});
  CHECK(model.net.lipschitz_bound().value < 1 + 1e-5);
}

TEST_CASE("lbdn-curve: the published counts") {
  CHECK(count(lbdn_curve("n", "sandwich"), {1}, 1) == 127464);
  CHECK(count(lbdn_curve("n", "cayley"), {1}, 1) == 132491 - 10);  // ten lengths
  CHECK(count(lbdn_curve("n", "aol"), {1}, 1) == 132481);
  CHECK(count(lbdn_curve("n", "sll"), {1}, 1) == 133120);
}

TEST_CASE("lbdn-net: the 26 M parameters of the certified nets") {
  Model model = build_model(lbdn_net("n", "sandwich"), cifar, 100, Rng(1));
  CHECK((parameter_count(model.net.parameters()) + 5000) / 10000 == 2581);
  CHECK(model.net.output_shape(cifar) == Shape{100});
  // The 41 M of the small SLL net, and unit rows.
  CHECK(count(lbdn_net("n", "sll"), cifar, 100) ==
        20 * (5 * 45 * 9 + 10) + 7 * (2048 * 2880 + 4096) + 100 * 2880 + 100);
}

TEST_CASE("lbdn-mlp: 784-190-190-128-10, and 784-256-256-128-10") {
  // The last sandwich layer: raw [128 + 10, 10], bias, length.
  CHECK(count(lbdn_mlp("n", "sandwich"), {28, 28, 1}, 10) ==
        hidden(784, 190) + hidden(190, 190) + hidden(190, 128) + 1380 + 10 + 1);
  CHECK(count(lbdn_mlp("n", "cayley"), {28, 28, 1}, 10) ==
        784 * 256 + 256 * 256 + 256 * 128 + 128 * 10 + 256 + 256 + 128 + 10);
}

TEST_CASE("lbdn-mlp: trains under its bound") {
  for (const std::string& layer : lbdn_mlp_layers()) {
    CAPTURE(layer);
    Model model = build_model(lbdn_mlp("n", layer), {4, 4, 1}, 3, Rng(2));
    Rng rng(3);
    const Tensor x = random_normal(rng, {16, 4, 4, 1});
    const Tensor target = random_normal(rng, {16, 3}, 0.3);
    double first = 0;
    double last = 0;
    for (int step = 0; step < 30; ++step) {
      Tape tape;
      model.net.prepare();
      const Var loss = mean(square(sub(model.net.forward(x), target)));
      last = loss.value().item();
      if (step == 0) first = last;
      tape.backward(loss);
      for (const auto& [name, parameter] : model.net.parameters()) {
        add_in_place(parameter->write(), parameter->grad, -0.5);
        parameter->grad = {};
      }
    }
    CHECK(last < 0.9 * first);
    CHECK(model.net.lipschitz_bound().value < 1 + 1e-5);
  }
}

TEST_CASE("with_gamma: the bound of every family grows gamma times, half at either end") {
  for (const std::string& layer : lbdn_curve_layers()) {
    CAPTURE(layer);
    const ModelSpec spec = with_gamma(lbdn_curve("n", layer), 5);
    REQUIRE(spec.layers.size() == lbdn_curve("n", layer).layers.size() + 2);
    CHECK(spec.layers[1].name == "gain1");  // behind flatten
    CHECK(spec.layers[spec.layers.size() - 2].name == "gain2");
    const double bound = build_model(spec, {1}, 1, Rng(1)).net.lipschitz_bound().value;
    const double plain =
        build_model(lbdn_curve("n", layer), {1}, 1, Rng(1)).net.lipschitz_bound().value;
    CHECK(bound == doctest::Approx(5 * plain).epsilon(1e-6));
    CHECK(bound < 5 * (1 + 1e-5));
  }
  // The same function as that of a model file that sets gamma in the layers.
  ModelSpec inside = lbdn_mlp("n", "sandwich");
  inside.layers[1].options.emplace_back("gamma", 5.0);
  inside.layers.back().options.emplace_back("gamma", 5.0);
  Rng rng(4);
  const Tensor x = random_normal(rng, {3, 4, 4, 1});
  const Model outer = build_model(with_gamma(lbdn_mlp("n", "sandwich"), 5), {4, 4, 1}, 3, Rng(2));
  const Model inner = build_model(inside, {4, 4, 1}, 3, Rng(2));
  CHECK(max_abs_diff(outer.net.forward(x).value(), inner.net.forward(x).value()) < 1e-5);
  CHECK_THROWS_WITH_AS(with_gamma(lbdn_mlp("n", "aol"), 0), "n: expected gamma > 0, got 0",
                       ValueError);
}

TEST_SUITE_END();
