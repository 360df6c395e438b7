#include <isotape/ops/n_activation.hpp>

#include <algorithm>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/broadcast.hpp>

namespace isotape {
namespace {

const Op n_activation_op("n_activation");

constexpr std::int64_t elements_worth_a_thread = 1 << 15;

// y = f(x, lower, upper[, more]) entry by entry, the kinks of channel c in order.
template <class T, class F>
void for_entries(const Tensor& x, const Tensor& a, const Tensor& b, F&& f) {
  const std::int64_t channels = std::max<std::int64_t>(x.dim(-1), 1);
  const T* const first = a.data<T>();
  const T* const second = b.data<T>();
  parallel_for(x.size() / channels, elements_worth_a_thread / channels + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
#pragma omp simd
                   for (std::int64_t c = 0; c < channels; ++c) {
                     f(row * channels + c, std::min(first[c], second[c]),
                       std::max(first[c], second[c]), c);
                   }
                 }
               });
}

Tensor forward(const Tensor& x, const Tensor& a, const Tensor& b) {
  Tensor y(x.shape(), x.dtype());
  dispatch_float(x.dtype(), "n_activation", [&]<class T>() {
    const T* const in = x.data<T>();
    T* const out = y.write<T>();
    for_entries<T>(x, a, b, [&](std::int64_t i, T lower, T upper, std::int64_t) {
      const T v = in[i];
      out[i] = v <= lower ? v - 2 * lower : (v >= upper ? v - 2 * upper : -v);
    });
  });
  return y;
}

// dx times the sign of the slope.
Tensor signed_by_slope(const Tensor& x, const Tensor& a, const Tensor& b, const Tensor& dx) {
  Tensor y(x.shape(), x.dtype());
  dispatch_float(x.dtype(), "n_activation", [&]<class T>() {
    const T* const in = x.data<T>();
    const T* const d = dx.data<T>();
    T* const out = y.write<T>();
    for_entries<T>(x, a, b, [&](std::int64_t i, T lower, T upper, std::int64_t) {
      const bool outside = (in[i] <= lower) | (in[i] >= upper);
      out[i] = outside ? d[i] : -d[i];
    });
  });
  return y;
}

// Whether the kink `of` (a) and not `other` (b) is the one that entry v is shifted by.
template <class T>
bool shifted_by(T v, T of, T other, bool is_first) {
  const bool is_lower = of < other || (of == other && is_first);
  const T lower = is_lower ? of : other;
  return is_lower ? v <= of : (v >= of) & !(v <= lower);
}

// -2 dy where x is shifted by the kink, summed over all but the channels.
Tensor kink_gradient(const Tensor& x, const Tensor& of, const Tensor& other, bool is_first,
                     const Tensor& dy) {
  Tensor terms(x.shape(), x.dtype());
  dispatch_float(x.dtype(), "n_activation", [&]<class T>() {
    const T* const in = x.data<T>();
    const T* const d = dy.data<T>();
    const T* const kink = of.data<T>();
    const T* const rest = other.data<T>();
    T* const out = terms.write<T>();
    for_entries<T>(x, of, other, [&](std::int64_t i, T, T, std::int64_t c) {
      out[i] = shifted_by(in[i], kink[c], rest[c], is_first) ? -2 * d[i] : T{0};
    });
  });
  return sum_to(terms, of.shape());
}

// y -= 2 dkink where x is shifted by the kink.
void add_shift(const Tensor& x, const Tensor& of, const Tensor& other, bool is_first,
               const Tensor& dkink, Tensor& y) {
  dispatch_float(x.dtype(), "n_activation", [&]<class T>() {
    const T* const in = x.data<T>();
    const T* const kink = of.data<T>();
    const T* const rest = other.data<T>();
    const T* const d = dkink.data<T>();
    T* const out = y.write<T>();
    for_entries<T>(x, of, other, [&](std::int64_t i, T, T, std::int64_t c) {
      out[i] -= shifted_by(in[i], kink[c], rest[c], is_first) ? 2 * d[c] : T{0};
    });
  });
}

void check_kink(const char* name, const Tensor& x, const Tensor& kink) {
  const Shape shape{x.dim(-1)};
  require<ShapeError>(kink.shape() == shape && kink.dtype() == x.dtype(), "n_activation: expected ",
                      name, " of shape ", shape, " and type ", x.dtype(), ", got ", kink.shape(),
                      " and ", kink.dtype());
}

}  // namespace

Var n_activation(const Var& x_var, const Var& a_var, const Var& b_var) {
  const Tensor& x = x_var.value();
  const Tensor& a = a_var.value();
  const Tensor& b = b_var.value();
  require<ShapeError>(x.rank() >= 1, "n_activation: expected x of shape [..., C], got ", x.shape());
  check_kink("a", x, a);
  check_kink("b", x, b);

  // dy/dx = +1 outside, -1 between;  dy/da = -2 where x <= a,  dy/db = -2 where x >= b, of the two
  // in order.
  auto vjp = [x, a, b](const Tensor& dy, Needs needs) -> Grads<3> {
    Grads<3> grads;
    if (needs(0)) grads[0] = signed_by_slope(x, a, b, dy);
    if (needs(1)) grads[1] = kink_gradient(x, a, b, true, dy);
    if (needs(2)) grads[2] = kink_gradient(x, b, a, false, dy);
    return grads;
  };
  auto jvp = [x, a, b](const Tangents<3>& dx) {
    Tensor dy = dx[0] ? signed_by_slope(x, a, b, dx[0]) : Tensor::zeros(x.shape(), x.dtype());
    if (dx[1]) add_shift(x, a, b, true, dx[1], dy);
    if (dx[2]) add_shift(x, b, a, false, dx[2], dy);
    return dy;
  };
  return record(n_activation_op, forward(x, a, b), {x_var, a_var, b_var}, {x, a, b}, std::move(vjp),
                std::move(jvp));
}

}  // namespace isotape
