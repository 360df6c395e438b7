#include <isotape/optim/input_ascent.hpp>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/layers/parameter.hpp>
#include <isotape/optim/ball.hpp>

namespace isotape {
namespace {

void check(const Tensor& x, const AscentOptions& options) {
  require<ShapeError>(x.rank() >= 1 && x.size() > 0,
                      "ascend_inputs: expected inputs of shape [N, ...], got ", x.shape());
  const auto check_number = [](const char* name, double value, bool may_be_zero) {
    require<ValueError>(std::isfinite(value) && (value > 0 || (may_be_zero && value == 0)),
                        "ascend_inputs: expected a finite ", name, may_be_zero ? " >= 0" : " > 0",
                        ", got ", value);
  };
  check_number("eps", options.eps, true);
  check_number("step", options.step, false);
  check_number("start", options.start, true);
  require<ValueError>(options.steps >= 0, "ascend_inputs: expected steps >= 0, got ",
                      options.steps);
}

// Rows whose gradient is zero take no step.
std::vector<double> step_lengths(const Tensor& gradient, double step) {
  std::vector<double> lengths(static_cast<std::size_t>(gradient.dim(0)));
  for (std::int64_t i = 0; i < gradient.dim(0); ++i) {
    lengths[i] = max_abs(gradient.rows(i, i + 1)) > 0 ? step : 0;
  }
  return lengths;
}

}  // namespace

Tensor ascend_inputs(const Tensor& x, const std::function<Var(const Var&)>& f,
                     const AscentOptions& options, Rng& rng) {
  check(x, options);
  const ConstantParameters constant;
  const Ball ball{options.norm, options.eps, options.in_unit ? PixelRange{0, 1} : PixelRange{}};
  Tensor y = random_normal(rng, x.shape(), options.start, x.dtype());
  add_in_place(y, x);
  project(ball, x, y);
  RowRngs unused(static_cast<std::size_t>(x.dim(0)));
  for (int k = 0; k < options.steps; ++k) {
    Tensor gradient;
    {
      Tape tape;
      const Var leaf = tape.leaf(y.clone());
      tape.backward(f(leaf));
      gradient = leaf.grad();
    }
    if (!gradient) break;
    ascend(options.norm, gradient, step_lengths(gradient, options.step), y, unused);
    project(ball, x, y);
  }
  return y;
}

}  // namespace isotape
