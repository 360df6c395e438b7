// What went wrong in the training and the certificates of other libraries, each by what goes wrong.

#include <doctest/doctest.h>
#include <cmath>
#include <numbers>

#include <isotape/apps/evaluation.hpp>
#include <isotape/apps/resolve.hpp>
#include <isotape/apps/training.hpp>
#include <isotape/datasets/registry.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/peer_defects");

namespace {

// Two logits, factor times the first pixel and its negative.
Model model_of(float factor) {
  const ModelSpec spec{
      "test",
      {{"flatten", "flatten", {}},
       {"fc",
        "linear",
        {{"out", std::string("classes")}, {"constraint", std::string("unconstrained")}}}}};
  Model model = build_model(spec, {1, 2, 1}, 2, Rng(1));
  const ParameterList parameters = model.net.parameters();
  parameters[0].parameter->write() = Tensor::of({factor, 0, -factor, 0}, {2, 2});
  parameters[1].parameter->write() = Tensor::zeros({2});
  return model;
}

Split one_image() { return {Tensor::of({0.25, 0.5}, {1, 1, 2, 1}), {0}}; }

}  // namespace

// orthogonal-convolutions (543b0aa), issue 1: images are divided by their deviation, the radius is
// not. Whatever is done to the image is part of the net, and divides the radius by its norm.
TEST_CASE("dividing images by their deviation leaves the certified radius as it was") {
  Model plain = model_of(1);
  Model scaled = model_of(4);  // as of images divided by 0.25
  const Evaluation one = evaluate(plain, one_image(), {});
  const Evaluation four = evaluate(scaled, one_image(), {});
  CHECK(four.lipschitz_bound == doctest::Approx(4 * one.lipschitz_bound).epsilon(1e-6));
  CHECK(four.radii[0] == doctest::Approx(one.radii[0]).epsilon(1e-6));
  // (0.25, -0.25) changes sign at the distance 0.25, and both logits share L = sqrt 2.
  CHECK(one.radii[0] <= 0.25);
  CHECK(one.radii[0] == doctest::Approx(0.25).epsilon(1e-6));
}

// LConvNet (abc14e1) keeps the epoch that is best on the test images.
TEST_CASE("the epoch is chosen on the test images") {
  TrainOptions options;
  options.dataset = "moons";
  options.epochs = 2;
  options.threads = 1;
  const RunConfig config = resolve(options);
  CHECK(config.select_on == "none");
  Training training(
      config,
      {"points", {{"flatten", "flatten", {}}, {"fc", "linear", {{"out", std::string("classes")}}}}},
      load_dataset("moons"));
  CHECK_FALSE(training.holdout());
  while (!training.is_finished()) training.step();
  const Tensor last = training.model().net.parameters()[0].parameter->value().clone();
  training.restore_best();  // there is none: figures are of the last epoch
  CHECK(max_abs_diff(training.model().net.parameters()[0].parameter->value(), last) == 0);
}

// Margins over 2 L, or over L, are in use; (f_y - f_j) has the constant sqrt(2) L.
TEST_CASE("the certified radius forgets the sqrt 2 of a difference of logits") {
  const double logits[] = {3, 1, 0};
  CHECK(certified_radius(logits, 3, 0, 2) == doctest::Approx(2 / (std::numbers::sqrt2 * 2)));
  CHECK(certified_radius(logits, 3, 0, 2) < 2 / (std::numbers::sqrt2 * 2));
  CHECK(certified_radius(logits, 3, 1, 2) == 0);
  const double equal[] = {1, 1};
  CHECK(certified_radius(equal, 2, 0, 1) == 0);
}

TEST_SUITE_END();
