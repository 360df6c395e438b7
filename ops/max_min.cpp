#include <isotape/ops/max_min.hpp>

#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/ops/max_min_kernel.hpp>
#include <isotape/ops/row_blocks.hpp>

namespace isotape {
namespace {

const Op max_min_op("max_min");

void check(const Tensor& x, const Tensor& bias) {
  require<ShapeError>(x.rank() >= 1 && x.dim(-1) % 2 == 0,
                      "max_min: expected x of shape [..., C] with C even, got ", x.shape());
  require_bias("max_min", x, bias);
}

PairRows pairs_of(const Tensor& x, Pairing pairing) {
  return {row_count(x), x.dim(-1) / 2, pairing == Pairing::adjacent};
}

// y = sorted pairs of x + bias; mask, if there is one, gets a bit per pair.
void sort_all(const PairRows& p, const Tensor& x, const Tensor& bias, Tensor& y, Tensor& mask) {
  dispatch_float(x.dtype(), "max_min", [&]<class T>() {
    const T* source = x.data<T>();
    const T* shift = bias ? bias.data<T>() : nullptr;
    T* target = y.write<T>();
    auto* bits = mask ? mask.write<std::uint8_t>() : nullptr;
    for_row_blocks(p.rows, p.channels(), 1, [&](std::int64_t first, std::int64_t rows) {
      const std::int64_t at = first * p.channels();
      sort_pairs({rows, p.half, p.adjacent}, source + at, shift, target + at,
                 bits == nullptr ? nullptr : bits + first * p.mask_bytes());
    });
  });
}

// y = x, its pairs swapped as the sort swapped them; returns the sum of y's rows where asked to.
Tensor swap_all(const PairRows& p, const Tensor& x, const Tensor& mask, Tensor& y, bool with_sum) {
  Tensor sum;
  dispatch_float(x.dtype(), "max_min", [&]<class T>() {
    const T* source = x.data<T>();
    T* target = y.write<T>();
    const auto* bits = mask.data<std::uint8_t>();
    const auto swap = [=](std::int64_t first, std::int64_t rows, T* sums) {
      const std::int64_t at = first * p.channels();
      swap_pairs({rows, p.half, p.adjacent}, source + at, bits + first * p.mask_bytes(),
                 target + at, sums);
    };
    sum = summed_row_blocks<T>(p.rows, p.channels(), with_sum, swap);
  });
  return sum;
}

}  // namespace

// x is taken by value: only so can it be the last handle.
// NOLINTNEXTLINE(performance-unnecessary-value-param)
Var bias_max_min(Var x_var, const Var& bias_var, Pairing pairing) {
  const Tensor& x = x_var.value();
  const Tensor& bias = bias_var.value();
  check(x, bias);
  const PairRows p = pairs_of(x, pairing);
  Tensor mask =
      is_recording({x_var, bias_var}) ? Tensor({p.rows, p.mask_bytes()}, DType::u8) : Tensor();
  Tensor y = result_for(x);
  sort_all(p, x, bias, y, mask);

  // With S the permutation that sorted x + bias, its own inverse: y = S (x + bias),
  // grad_x = S dy, grad_bias = sum of the rows of grad_x.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): as above
  auto vjp = [p, mask](Tensor dy, Needs needs) -> Grads<2> {
    Tensor dx = result_for(dy);
    Tensor sum = swap_all(p, dy, mask, dx, needs(1));
    return {needs(0) ? std::move(dx) : Tensor(), std::move(sum)};
  };
  auto jvp = [p, mask, shape = x.shape()](const Tangents<2>& d) {
    Tensor dy = shifted(shape, d[0], d[1]);
    swap_all(p, dy, mask, dy, false);
    return dy;
  };
  return record(max_min_op, std::move(y), {x_var, bias_var}, {}, std::move(vjp), std::move(jvp));
}

Var max_min(Var x, Pairing pairing) { return bias_max_min(std::move(x), {}, pairing); }

}  // namespace isotape
