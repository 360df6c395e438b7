#include <isotape/ops/max_min.hpp>

#include <algorithm>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/max_min_kernel.hpp>

namespace isotape {
namespace {

const Op max_min_op("max_min");

constexpr std::int64_t elements_worth_a_thread = 1 << 15;
constexpr std::int64_t block = 256;  // rows whose gradients are summed plainly, in f64 beyond

void check(const Tensor& x, const Tensor& bias) {
  require<ShapeError>(x.rank() >= 1 && x.dim(-1) % 2 == 0,
                      "max_min: expected x of shape [..., C] with C even, got ", x.shape());
  require<ShapeError>(!bias || (bias.shape() == Shape{x.dim(-1)} && bias.dtype() == x.dtype()),
                      "max_min: expected bias of shape ", Shape{x.dim(-1)}, " and type ", x.dtype(),
                      ", got ", bias.shape(), " and ", bias.dtype());
}

PairRows pairs_of(const Tensor& x, Pairing pairing) {
  const std::int64_t channels = x.dim(-1);
  return {x.size() / std::max<std::int64_t>(channels, 1), channels / 2,
          pairing == Pairing::adjacent};
}

// The memory of x itself, where nobody else sees it.
Tensor result_for(const Tensor& x) { return x.unique() ? x : Tensor(x.shape(), x.dtype()); }

// Calls f(first row, the rows from there) for ranges of whole blocks, in parallel.
template <class F>
void for_blocks(const PairRows& p, F&& f) {
  const std::int64_t blocks = (p.rows + block - 1) / block;
  const std::int64_t grain = elements_worth_a_thread / (block * p.channels() + 1) + 1;
  parallel_for(blocks, grain, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t first = begin * block;
    f(first, PairRows{std::min(end * block, p.rows) - first, p.half, p.adjacent});
  });
}

// y = sorted pairs of x + bias; mask, if there is one, gets a bit per pair.
void sort_all(const PairRows& p, const Tensor& x, const Tensor& bias, Tensor& y, Tensor& mask) {
  dispatch_float(x.dtype(), "max_min", [&]<class T>() {
    const T* source = x.data<T>();
    const T* shift = bias ? bias.data<T>() : nullptr;
    T* target = y.write<T>();
    auto* bits = mask ? mask.write<std::uint8_t>() : nullptr;
    for_blocks(p, [&](std::int64_t first, const PairRows& part) {
      const std::int64_t at = first * p.channels();
      sort_pairs(part, source + at, shift, target + at,
                 bits == nullptr ? nullptr : bits + first * p.mask_bytes());
    });
  });
}

// y = x, its pairs swapped as the sort swapped them; returns the sum of y's rows where asked to.
Tensor swap_all(const PairRows& p, const Tensor& x, const Tensor& mask, Tensor& y, bool with_sum) {
  const std::int64_t blocks = (p.rows + block - 1) / block;
  Tensor partial = with_sum ? Tensor({blocks, p.channels()}, x.dtype()) : Tensor();
  Tensor sum_tensor = with_sum ? Tensor({p.channels()}, x.dtype()) : Tensor();
  dispatch_float(x.dtype(), "max_min", [&]<class T>() {
    const T* source = x.data<T>();
    T* target = y.write<T>();
    T* sums = with_sum ? partial.write<T>() : nullptr;
    const auto* bits = mask.data<std::uint8_t>();
    for_blocks(p, [&](std::int64_t first, const PairRows& part) {
      for (std::int64_t row = first; row < first + part.rows; row += block) {
        const std::int64_t at = row * p.channels();
        const PairRows one{std::min(block, first + part.rows - row), p.half, p.adjacent};
        swap_pairs(one, source + at, bits + row * p.mask_bytes(), target + at,
                   sums == nullptr ? nullptr : sums + row / block * p.channels());
      }
    });
    if (!with_sum) return;
    T* sum = sum_tensor.write<T>();
    for (std::int64_t c = 0; c < p.channels(); ++c) {
      double total = 0;
      for (std::int64_t k = 0; k < blocks; ++k) total += double(sums[k * p.channels() + c]);
      sum[c] = static_cast<T>(total);
    }
  });
  return sum_tensor;
}

// x + bias, of which either may be absent.
Tensor shifted(const Shape& shape, const Tensor& x, const Tensor& bias_tensor) {
  if (!bias_tensor) return x.clone();
  Tensor y = x ? x.clone() : Tensor::zeros(shape, bias_tensor.dtype());
  dispatch_float(y.dtype(), "max_min", [&]<class T>() {
    T* target = y.write<T>();
    const T* bias = bias_tensor.data<T>();
    const std::int64_t channels = bias_tensor.size();
    for (std::int64_t i = 0; i < y.size(); ++i) target[i] += bias[i % channels];
  });
  return y;
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
