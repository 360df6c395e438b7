#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/layers/registry.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/model");

namespace {

std::int64_t count(const char* name, const Shape& input) {
  Model model = build_model(named_model(name), input, 10, Rng(0));
  return parameter_count(model.net.parameters());
}

const Shape mnist{28, 28, 1};
const Shape cifar{32, 32, 3};

std::string listed(bool constraints) {
  std::string names;
  for (const LayerType* type : layer_types()) {
    if (constraints && type->constraint == nullptr) continue;
    names += (names.empty() ? "" : ", ") + std::string(type->type);
  }
  return names;
}
std::string all_types() { return listed(false); }
std::string all_constraints() { return listed(true); }

ModelSpec one_layer(const LayerSpec& layer) { return {"test", {layer}}; }

}  // namespace

TEST_CASE("named models: trainable parameters as published [Li 2019]") {
  CHECK(count("bcop-small", mnist) == 171014);
  CHECK(count("bcop-small", cifar) == 219014);
  CHECK(count("bcop-large", mnist) == 2145482);
  CHECK(count("bcop-large", cifar) == 2637002);
  CHECK(count("fc-3", mnist) == 2913290);
  CHECK(count("fc-3", cifar) == 5256202);
  CHECK(count("mlp-3", mnist) == 1863690);
  CHECK(count("plain-small", mnist) == 166406);
  CHECK(count("plain-small", cifar) == 214918);
  CHECK(count("plain-large", mnist) == 1974762);
  CHECK(count("plain-large", cifar) == 2466858);
  CHECK(count("plain-fc-3", mnist) == 2913290);
  CHECK(count("plain-mlp-3", mnist) == 1863690);
}

TEST_CASE("named models: the DCGAN critic, and the enlarging that its bound counts [Li 2019]") {
  const auto critic = [](const std::string& name, const Shape& input) {
    return build_model(named_model(name), input, 1, Rng(1));
  };
  Model bcop = critic("dcgan:bcop", {64, 64, 3});
  CHECK(parameter_count(bcop.net.parameters()) == 4150209);
  CHECK(parameter_count(critic("dcgan:rko", {32, 32, 3}).net.parameters()) == 2764737);
  // LConvNet's critic enlarges CIFAR images by 2 and takes the Lipschitz constant of what follows.
  CHECK(bcop.net.lipschitz_bound().value == doctest::Approx(1).epsilon(1e-4));
  CHECK(critic("dcgan:bcop", {32, 32, 3}).net.lipschitz_bound().value ==
        doctest::Approx(2).epsilon(1e-4));
}

TEST_CASE("named models: ResNet-18 and VGG-19 in CIFAR form, counted by hand") {
  const auto conv = [](int in, int out, int k) { return in * out * k * k; };
  const auto norm = [](int channels) { return 2 * channels; };
  std::int64_t resnet = conv(3, 64, 3) + norm(64) + 512 * 10 + 10;
  int in = 64;
  for (const int width : {64, 128, 256, 512}) {
    for (int block = 0; block < 2; ++block) {
      resnet += conv(in, width, 3) + conv(width, width, 3) + 2 * norm(width);
      if (in != width) resnet += conv(in, width, 1) + norm(width);
      in = width;
    }
  }
  CHECK(resnet == 11173962);
  CHECK(count("resnet-18", cifar) == resnet);
  std::int64_t vgg = 512 * 10 + 10;
  in = 3;
  for (const int width :
       {64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512}) {
    vgg += conv(in, width, 3) + width + norm(width);
    in = width;
  }
  CHECK(vgg == 20040522);
  CHECK(count("vgg-19", cifar) == vgg);
}

TEST_CASE("named models: all names build, and describe themselves") {
  for (const std::string& name : model_names()) {
    CAPTURE(name);
    // Large nets; layers/comparison_nets, layers/lbdn_nets and the test above build some of each.
    if (name.starts_with("lip") || name.starts_with("dcgan") || name == "aol-mlp" ||
        name == "sll-small" || name.ends_with(":sll") || name == "kwlarge-medium:aol" ||
        name == "kwlarge-large:aol")
      continue;
    const Model model = build_model(named_model(name), cifar, 10, Rng(1));
    CHECK(model.net.output_shape(cifar) == Shape{10});
    CHECK_FALSE(model.net.describe().empty());
  }
  CHECK_THROWS_WITH_AS(named_model("small:flatten"), doctest::Contains("got 'flatten'"),
                       ValueError);
  CHECK_THROWS_WITH_AS(named_model("small"), doctest::Contains(", small:<layer>, "), ValueError);
  CHECK_THROWS_WITH_AS(named_model("resnet"),
                       doctest::Contains("model: expected one of bcop-small, "), ValueError);
}

TEST_CASE("named models: the chain of another type of layers") {
  // A layer that knows no stride follows a pixel unshuffle; the rest of the net stays.
  CHECK(named_model("small:bcop").layers == named_model("bcop-small").layers);
  CHECK(named_model("small:maxmin").layers == named_model("bcop-small").layers);
  const ModelSpec relu = named_model("large:relu");
  CHECK(relu.layers[0].type == "bcop");
  CHECK(relu.layers[1].type == "relu");
  const ModelSpec dense = named_model("small:cayley");
  CHECK(dense.layers[0].type == "bcop");
  CHECK(dense.layers.back().type == "cayley");
}

TEST_CASE("build_model: initial values depend on the seed and on the layer's name alone") {
  const auto first_raw = [](const ModelSpec& spec, std::uint64_t seed) {
    Model model = build_model(spec, mnist, 10, Rng(seed));
    return model.net.parameters()[0].parameter->value();
  };
  const ModelSpec small = named_model("bcop-small");
  ModelSpec shorter = small;
  shorter.layers[2].options[0].second = std::int64_t{8};
  CHECK(max_abs_diff(first_raw(small, 1), first_raw(small, 1)) == 0);
  CHECK(max_abs_diff(first_raw(small, 1), first_raw(shorter, 1)) == 0);
  CHECK(max_abs_diff(first_raw(small, 1), first_raw(small, 2)) > 0);
}

TEST_CASE("model spec: JSON and back") {
  for (const std::string& name : model_names()) {
    const ModelSpec spec = named_model(name);
    CHECK(model_spec_from_json(to_json(spec)) == spec);
  }
  CHECK_THROWS_AS(model_spec_from_json("{"), DataError);
  CHECK_THROWS_AS(model_spec_from_json(R"({"name": "x", "layers": [{"name": 1}]})"), DataError);
}

TEST_CASE("build_model: a wrong layer, option or shape is named") {
  const auto build = [](const LayerSpec& layer, const Shape& input) {
    build_model(one_layer(layer), input, 10, Rng(0));
  };
  CHECK_THROWS_WITH_AS(build({"fc1", "dense", {}}, {4}),
                       message("fc1: expected a type of ", all_types(), ", got 'dense'").c_str(),
                       ValueError);
  CHECK_THROWS_WITH_AS(build({"fc1", "linear", {{"out", std::int64_t{10}}, {"otu", true}}}, {4}),
                       "fc1 (linear): expected options out, constraint, order, iterations, "
                       "raw_gain, bias, got 'otu'",
                       ValueError);
  CHECK_THROWS_WITH_AS(build({"fc1", "linear", {}}, {4}),
                       "fc1 (linear): expected out to be a number of channels or \"classes\"",
                       ValueError);
  for (const std::int64_t out : {std::int64_t{0}, std::int64_t{1'000'000'000'000}}) {
    CHECK_THROWS_WITH_AS(build({"fc1", "linear", {{"out", out}}}, {4}),
                         message("fc1 (linear): expected out in 1..1048576, got ", out).c_str(),
                         ValueError);
  }
  CHECK_THROWS_WITH_AS(
      build({"fc1", "linear", {{"out", std::int64_t{10}}, {"constraint", std::string("bcop")}}},
            {4}),
      message("fc1 (linear): expected constraint ", all_constraints(),
              ", or unconstrained, got 'bcop'")
          .c_str(),
      ValueError);
  CHECK_THROWS_WITH_AS(
      build({"c", "bcop", {{"out", std::int64_t{8}}, {"projectors", std::string("thin")}}}, mnist),
      "c (bcop): expected projectors square or tall, got 'thin'", ValueError);
  CHECK_THROWS_WITH_AS(build({"fc1", "linear", {{"out", std::int64_t{10}}}}, mnist),
                       "fc1 (linear): expected input [n], got [28, 28, 1]; put a layer of type "
                       "flatten before it",
                       ShapeError);
  CHECK_THROWS_WITH_AS(
      build({"c",
             "bcop",
             {{"out", std::int64_t{8}}, {"kernel", std::int64_t{3}}, {"stride", std::int64_t{2}}}},
            mnist),
      "bcop: expected a stride that divides the kernel 3, got 2", ValueError);
  CHECK_THROWS_WITH_AS(
      build({"c", "conv", {{"out", std::int64_t{8}}, {"padding", std::string("reflect")}}}, mnist),
      "c (conv): expected padding circular or zero, got 'reflect'; no bound is proved for others",
      ValueError);
  CHECK_THROWS_WITH_AS(build({"fc1", "linear", {{"out", std::int64_t{7}}}}, {4}),
                       "model test: expected logits [10] for 10 classes, got [7]", ShapeError);
  CHECK_THROWS_WITH_AS(build({"a", "maxmin", {}}, {5}),
                       "a: max_min: expected channels in groups of 2, got input [5]", ShapeError);
  CHECK_THROWS_WITH_AS(build_model({"empty", {}}, mnist, 10, Rng(0)),
                       "model empty: expected layers, got none", ValueError);
}

TEST_SUITE_END();
