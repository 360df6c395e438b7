#include <doctest/doctest.h>

#include <isotape/core/threads.hpp>
#include <isotape/ops/bjorck.hpp>

#include "spectrum.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("ops/bjorck");

TEST_CASE("bjorck: equals U V^T of the singular value decomposition") {
  Rng rng(1);
  for (const Shape& shape : {Shape{8, 8}, Shape{40, 13}, Shape{13, 40}, Shape{1, 7}, Shape{1, 1}}) {
    for (const double kappa : {1.0, 10.0, 300.0, 1e3}) {
      CAPTURE(shape);
      CAPTURE(kappa);
      const Tensor w =
          with_spectrum(rng, shape[0], shape[1], geometric(std::min(shape[0], shape[1]), kappa));
      const Tensor expected = matrix_function(w, [](double) { return 1.0; });
      BjorckReport report;
      CHECK(max_abs_diff(bjorck(w, {}, &report).value(), expected) < 1e-12);
      CHECK(report.converged);
      const Tensor expected32 =
          matrix_function(w.to(DType::f32).to(DType::f64), [](double) { return 1.0; });
      CHECK(max_abs_diff(bjorck(w.to(DType::f32), {}, &report).value().to(DType::f64), expected32) <
            1e-7);
      CHECK(report.converged);
    }
  }
}

TEST_SUITE_END();
