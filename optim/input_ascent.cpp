#include <isotape/optim/input_ascent.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/layers/parameter.hpp>

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

template <class T>
double length(const T* x, std::int64_t n) {
  return std::sqrt(std::transform_reduce(x, x + n, 0.0, std::plus<>(), [](T entry) {
    return static_cast<double>(entry) * static_cast<double>(entry);
  }));
}

// One row: y + step g / |g|, projected to the ball around x and, where asked, to the unit cube.
// Both x and the cube are convex and x is in it, so the second projection does not leave the ball.
template <class T>
void move(const T* x, const T* g, T* y, std::int64_t n, double step, const AscentOptions& options) {
  if (g != nullptr) {
    const double norm = length(g, n);
    const double factor = norm > 0 ? step / norm : 0;
    for (std::int64_t k = 0; k < n; ++k) y[k] += static_cast<T>(factor) * g[k];
  }
  double square = 0;
  for (std::int64_t k = 0; k < n; ++k) {
    const auto offset = static_cast<double>(y[k] - x[k]);
    square += offset * offset;
  }
  const double distance = std::sqrt(square);
  const T shrink = distance > options.eps ? static_cast<T>(options.eps / distance) : T{1};
  for (std::int64_t k = 0; k < n; ++k) {
    const T moved = x[k] + shrink * (y[k] - x[k]);
    y[k] = options.in_unit ? std::clamp(moved, T{0}, T{1}) : moved;
  }
}

}  // namespace

Tensor ascend_inputs(const Tensor& x, const std::function<Var(const Var&)>& f,
                     const AscentOptions& options, Rng& rng) {
  check(x, options);
  const ConstantParameters constant;
  const std::int64_t rows = x.dim(0);
  const std::int64_t n = x.size() / rows;
  Tensor y = random_normal(rng, x.shape(), options.start, x.dtype());
  add_in_place(y, x);
  const auto move_rows = [&](const Tensor& gradient) {
    dispatch_float(x.dtype(), "ascend_inputs", [&]<class T>() {
      T* moved = y.write<T>();
      for (std::int64_t i = 0; i < rows; ++i) {
        const T* g = gradient ? gradient.data<T>() + i * n : nullptr;
        move(x.data<T>() + i * n, g, moved + i * n, n, options.step, options);
      }
    });
  };
  move_rows({});
  for (int k = 0; k < options.steps; ++k) {
    Tensor gradient;
    {
      Tape tape;
      const Var leaf = tape.leaf(y.clone());
      tape.backward(f(leaf));
      gradient = leaf.grad();
    }
    move_rows(gradient);
  }
  return y;
}

}  // namespace isotape
