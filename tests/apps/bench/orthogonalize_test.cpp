#include <doctest/doctest.h>
#include <cmath>

#include <isotape/apps/bench/orthogonalize.hpp>
#include <isotape/core/lipcheck.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/bench/orthogonalize");

TEST_CASE("random_conditioned: singular values fall geometrically from 1 to 1/kappa") {
  for (const Shape& shape : {Shape{5, 5}, Shape{4, 9}, Shape{9, 4}, Shape{1, 3}}) {
    CAPTURE(shape);
    Rng rng(2);
    const std::vector<double> sigma = singular_values(random_conditioned(rng, shape, 100));
    const auto last = static_cast<double>(sigma.size() - 1);
    for (std::size_t i = 0; i < sigma.size(); ++i) {
      const double expected = last == 0 ? 1 : std::pow(100, -static_cast<double>(i) / last);
      CHECK(sigma[i] == doctest::Approx(expected).epsilon(1e-5));
    }
  }
  Rng rng(3);
  const Tensor batch = random_conditioned(rng, {2, 3, 6}, 7);
  CHECK(singular_values(batch.rows(1, 2).reshaped({3, 6})).back() ==
        doctest::Approx(1.0 / 7).epsilon(1e-5));
}

TEST_SUITE_END();
