#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include <isotape/apps/evaluation.hpp>
#include <isotape/core/error.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/evaluation");

TEST_CASE("certified_radius: margin over sqrt(2) L, rounded down, 0 where the label does not win") {
  const double logits[] = {1.0, 3.0, 2.5};
  const double radius = certified_radius(logits, 3, 1, 2.0);
  CHECK(radius < 0.5 / (std::sqrt(2.0) * 2.0));
  CHECK(radius > 0.5 / (std::sqrt(2.0) * 2.0) * (1 - 1e-14));
  CHECK(certified_radius(logits, 3, 0, 2.0) == 0);
  const double tied[] = {1.0, 1.0};
  CHECK(certified_radius(tied, 2, 0, 1.0) == 0);
  const double broken[] = {std::numeric_limits<double>::quiet_NaN(), 1.0};
  CHECK(certified_radius(broken, 2, 0, 1.0) == 0);
}

TEST_CASE("certified_percent: strictly above eps") {
  const std::vector<double> radii = {0, 0.3, 0.5, 2};
  CHECK(certified_percent(radii, 0.3) == 50);
  CHECK(certified_percent(radii, 0.29) == 75);
  CHECK(certified_percent(radii, 3) == 0);
}

namespace {

// Two classes told apart by the sign of one pixel: logits (x, -x), so that margin = 2 |x|.
Model sign_model() {
  Model model = build_model({"sign",
                             {{"flatten", "flatten", {}},
                              {"fc",
                               "linear",
                               {{"out", std::string("classes")},
                                {"constraint", std::string("unconstrained")},
                                {"bias", false}}}}},
                            {1, 1, 1}, 2, Rng(0));
  model.net.parameters()[0].parameter->write() = Tensor::of({1, -1}, {2, 1});
  return model;
}

}  // namespace

TEST_CASE("evaluate: figures of a net whose margins are known, with the bound of its norm") {
  Model model = sign_model();
  Split split;
  split.images = Tensor::of({0.5, 0.1, 0.0, 0.25}, {4, 1, 1, 1});
  split.labels = {0, 0, 0, 1};
  const Evaluation result = evaluate(model, split, {0.2, 0.05}, 3);
  CHECK(result.images == 4);
  CHECK(result.lipschitz_bound >= std::sqrt(2.0));
  CHECK(result.lipschitz_bound < std::sqrt(2.0) * (1 + 1e-6));
  // The third image is a tie: the lowest class is predicted, and nothing is certified.
  CHECK(result.clean_accuracy == 75);
  CHECK(result.certified_accuracy == std::vector<double>{25, 50});
  CHECK(std::abs(result.mean_certified_radius - (0.5 + 0.1) / 4) < 1e-6);
}

TEST_CASE("evaluate: a logit that is not finite names the image") {
  Model model = sign_model();
  Split split;
  split.images = Tensor::full({2, 1, 1, 1}, std::numeric_limits<double>::infinity());
  split.labels = {0, 0};
  CHECK_THROWS_WITH_AS(evaluate(model, split, {}),
                       "evaluate: expected finite logits, got inf for class 0 of image 0",
                       NumericError);
}

TEST_SUITE_END();
