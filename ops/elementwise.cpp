#include <isotape/ops/elementwise.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/threads.hpp>
#include <isotape/ops/broadcast.hpp>

namespace isotape {
namespace {

const Op add_op("add");
const Op sub_op("sub");
const Op mul_op("mul");
const Op scale_op("scale");
const Op add_scalar_op("add_scalar");
const Op abs_op("abs");
const Op relu_op("relu");
const Op leaky_relu_op("leaky_relu");
const Op square_op("square");
const Op sigmoid_op("sigmoid");
const Op sqrt_op("sqrt");
const Op exp_op("exp");
const Op log_op("log");

constexpr std::int64_t grain = 1 << 15;

Tensor like(const Tensor& x) { return Tensor(x.shape(), x.dtype()); }

// Where a gradient may be written: dy itself, where nobody else sees it.
Tensor reuse(const Tensor& dy) { return dy.unique() ? dy : like(dy); }

// y_i = f(x_i); y may be x.
template <class F>
Tensor map(const Op& op, const Tensor& x, Tensor y, F f) {
  dispatch_float(x.dtype(), op.name(), [&]<class T>() {
    const T* source = x.data<T>();
    T* target = y.write<T>();
    parallel_for(x.size(), grain, [&](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) target[i] = f(source[i]);
    });
  });
  return y;
}

// y_i = f(a_i, b_(i mod size of b)); y may be a.
template <class F>
Tensor zip(const Op& op, const Tensor& a, const Tensor& b, Tensor y, F f) {
  dispatch_float(a.dtype(), op.name(), [&]<class T>() {
    const T* left = a.data<T>();
    const T* right = b.data<T>();
    T* target = y.write<T>();
    const std::int64_t period = b.size();
    parallel_for(a.size(), grain, [&](std::int64_t begin, std::int64_t end) {
      if (period == 1) {
        const T value = right[0];
#pragma omp simd
        for (std::int64_t i = begin; i < end; ++i) target[i] = f(left[i], value);
        return;
      }
      for (std::int64_t i = begin; i < end;) {
        const std::int64_t offset = i % period;
        const std::int64_t run = std::min(period - offset, end - i);
#pragma omp simd
        for (std::int64_t j = 0; j < run; ++j) target[i + j] = f(left[i + j], right[offset + j]);
        i += run;
      }
    });
  });
  return y;
}

constexpr auto plus = [](auto a, auto b) { return a + b; };
constexpr auto minus = [](auto a, auto b) { return a - b; };
constexpr auto times = [](auto a, auto b) { return a * b; };

Tensor scaled(const Op& op, const Tensor& x, Tensor y, double factor) {
  return map(op, x, std::move(y),
             [factor](auto v) { return static_cast<decltype(v)>(factor) * v; });
}

enum class Keep { x, y };

// y = f(x) with dy/dx = slope(x) or slope(y), of whichever is kept for it.
template <class F, class Slope>
Var unary(const Op& op, const Var& x_var, Keep keep, F f, Slope slope, bool is_given = false) {
  // In x's own memory where it was given away, nobody else holds it and backward does not ask for
  // it.
  const Tensor& x = x_var.value();
  const bool in_place = is_given && x.unique() && (keep == Keep::y || !is_recording({x_var}));
  Tensor y = map(op, x, in_place ? x : like(x), f);
  const Tensor kept = keep == Keep::x ? x : y;
  const auto chain = [slope](auto d, auto v) { return d * slope(v); };
  auto vjp = [&op, kept, chain](const Tensor& dy, Needs) -> Grads<1> {
    return {zip(op, dy, kept, reuse(dy), chain)};
  };
  auto jvp = [&op, kept, chain](const Tangents<1>& dx) {
    return zip(op, dx[0], kept, like(dx[0]), chain);
  };
  return record(op, std::move(y), {x_var}, {kept}, std::move(vjp), std::move(jvp));
}

Var abs_of(const Var& x, bool is_given) {
  return unary(
      abs_op, x, Keep::x, [](auto v) { return std::abs(v); },
      [](auto v) { return static_cast<decltype(v)>(v < 0 ? -1 : 1); }, is_given);
}

Var relu_of(const Var& x, bool is_given) {
  return unary(
      relu_op, x, Keep::y, [](auto v) { return v < 0 ? decltype(v){0} : v; },
      [](auto y) { return static_cast<decltype(y)>(y <= 0 ? 0 : 1); }, is_given);
}

}  // namespace

Var add(const Var& a_var, const Var& b_var) {
  const Tensor& a = a_var.value();
  const Tensor& b = b_var.value();
  require_broadcastable("add", a, b);

  auto vjp = [shape = b.shape()](const Tensor& dy, Needs needs) -> Grads<2> {
    return {dy, needs(1) ? sum_to(dy, shape) : Tensor()};
  };
  auto jvp = [shape = a.shape()](const Tangents<2>& dx) {
    if (!dx[1]) return dx[0];
    const Tensor da = dx[0] ? dx[0] : Tensor::zeros(shape, dx[1].dtype());
    return zip(add_op, da, dx[1], like(da), plus);
  };
  return record(add_op, zip(add_op, a, b, like(a), plus), {a_var, b_var}, {}, std::move(vjp),
                std::move(jvp));
}

Var sub(const Var& a_var, const Var& b_var) {
  const Tensor& a = a_var.value();
  const Tensor& b = b_var.value();
  require_broadcastable("sub", a, b);

  auto vjp = [shape = b.shape()](const Tensor& dy, Needs needs) -> Grads<2> {
    if (!needs(1)) return {dy};
    const Tensor sum = sum_to(dy, shape);
    return {dy, scaled(sub_op, sum, reuse(sum), -1)};
  };
  auto jvp = [shape = a.shape()](const Tangents<2>& dx) {
    if (!dx[1]) return dx[0];
    const Tensor da = dx[0] ? dx[0] : Tensor::zeros(shape, dx[1].dtype());
    return zip(sub_op, da, dx[1], like(da), minus);
  };
  return record(sub_op, zip(sub_op, a, b, like(a), minus), {a_var, b_var}, {}, std::move(vjp),
                std::move(jvp));
}

Var mul(const Var& a_var, const Var& b_var) {
  const Tensor& a = a_var.value();
  const Tensor& b = b_var.value();
  require_broadcastable("mul", a, b);

  // grad_a = dy b;  grad_b = dy a, summed over the repetitions of b.
  const Tensor kept_a = is_recording({b_var}) ? a : Tensor();
  const Tensor kept_b = is_recording({a_var}) ? b : Tensor();
  auto vjp = [kept_a, kept_b, shape = b.shape()](const Tensor& dy, Needs needs) -> Grads<2> {
    Grads<2> grads;
    if (needs(1)) grads[1] = sum_to(zip(mul_op, dy, kept_a, like(dy), times), shape);
    if (needs(0)) grads[0] = zip(mul_op, dy, kept_b, reuse(dy), times);
    return grads;
  };
  auto jvp = [kept_a, kept_b](const Tangents<2>& dx) {
    if (!dx[1]) return zip(mul_op, dx[0], kept_b, like(dx[0]), times);
    Tensor dy = zip(mul_op, kept_a, dx[1], like(kept_a), times);
    if (dx[0]) add_in_place(dy, zip(mul_op, dx[0], kept_b, like(dy), times));
    return dy;
  };
  return record(mul_op, zip(mul_op, a, b, like(a), times), {a_var, b_var}, {kept_a, kept_b},
                std::move(vjp), std::move(jvp));
}

Var scale(const Var& x_var, double factor) {
  const Tensor& x = x_var.value();
  auto vjp = [factor](const Tensor& dy, Needs) -> Grads<1> {
    return {scaled(scale_op, dy, reuse(dy), factor)};
  };
  auto jvp = [factor](const Tangents<1>& dx) {
    return scaled(scale_op, dx[0], like(dx[0]), factor);
  };
  return record(scale_op, scaled(scale_op, x, like(x), factor), {x_var}, {}, vjp, jvp);
}

Var add_scalar(const Var& x_var, double s) {
  const Tensor& x = x_var.value();
  Tensor y =
      map(add_scalar_op, x, like(x), [s](auto v) { return v + static_cast<decltype(v)>(s); });
  auto vjp = [](const Tensor& dy, Needs) -> Grads<1> { return {dy}; };
  auto jvp = [](const Tangents<1>& dx) { return dx[0]; };
  return record(add_scalar_op, std::move(y), {x_var}, {}, vjp, jvp);
}

Var neg(const Var& x) { return scale(x, -1); }

Var abs(const Var& x) { return abs_of(x, false); }
Var abs(Var&& x) { return abs_of(x, true); }  // NOLINT: its memory is taken, not the handle

Var relu(const Var& x) { return relu_of(x, false); }
Var relu(Var&& x) { return relu_of(x, true); }  // NOLINT: as above

Var leaky_relu(const Var& x, double slope) {
  return unary(
      leaky_relu_op, x, Keep::x,
      [slope](auto v) { return v > 0 ? v : static_cast<decltype(v)>(slope) * v; },
      [slope](auto v) { return static_cast<decltype(v)>(v > 0 ? 1 : slope); });
}

Var square(const Var& x) {
  return unary(
      square_op, x, Keep::x, [](auto v) { return v * v; }, [](auto v) { return 2 * v; });
}

Var sqrt(const Var& x) {
  return unary(
      sqrt_op, x, Keep::y, [](auto v) { return std::sqrt(v); }, [](auto y) { return 1 / (2 * y); });
}

Var exp(const Var& x) {
  return unary(
      exp_op, x, Keep::y, [](auto v) { return std::exp(v); }, [](auto y) { return y; });
}

Var sigmoid(const Var& x) {
  return unary(
      sigmoid_op, x, Keep::y,
      [](auto v) {
        const auto e = std::exp(-std::abs(v));  // at most 1
        return (v < 0 ? e : decltype(e){1}) / (1 + e);
      },
      [](auto y) { return y * (1 - y); });
}

Var log(const Var& x) {
  return unary(
      log_op, x, Keep::x, [](auto v) { return std::log(v); }, [](auto v) { return 1 / v; });
}

}  // namespace isotape
