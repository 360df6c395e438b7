#include <isotape/ops/kernel_symbol.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <utility>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/op.hpp>
#include <isotape/core/tensor.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/fourier.hpp>

namespace isotape {
namespace {

const Op kernel_symbol_op("kernel_symbol");

struct Extents {
  std::int64_t o, kh, kw, i, height, width;
  std::int64_t taps() const { return kh * kw; }
  std::int64_t frequencies() const { return fourier_frequencies(height, width); }
  Shape kernel() const { return {o, kh, kw, i}; }
  Shape symbol() const { return {frequencies(), i, o, 2}; }
};

// 2 pi a b / n, reduced before it is rounded.
double angle(std::int64_t a, std::int64_t b, std::int64_t n) {
  return 2 * std::numbers::pi * double(a * b % n) / double(n);
}

// [F, 2, taps]: cosines, then sines.
template <class T>
Tensor table(const Extents& e) {
  Tensor values({e.frequencies(), 2, e.taps()}, dtype_of<T>());
  T* to = values.write<T>();
  for (std::int64_t f = 0; f < e.frequencies(); ++f, to += 2 * e.taps()) {
    for (std::int64_t tap = 0; tap < e.taps(); ++tap) {
      const double turn = angle(f / e.width, tap / e.kw - e.kh / 2, e.height) +
                          angle(f % e.width, tap % e.kw - e.kw / 2, e.width);
      to[tap] = T(std::cos(turn));
      to[e.taps() + tap] = T(std::sin(turn));
    }
  }
  return values;
}

// [O, taps, I] to [taps, I, O], or back.
template <class T>
Tensor by_tap(const Extents& e, const Tensor& w, bool back) {
  Tensor y(back ? e.kernel() : Shape{e.taps(), e.i, e.o}, w.dtype());
  const T* from = w.data<T>();
  T* to = y.write<T>();
  for (std::int64_t o = 0; o < e.o; ++o) {
    for (std::int64_t at = 0; at < e.taps() * e.i; ++at) {
      const std::int64_t kernel = o * e.taps() * e.i + at;
      const std::int64_t tapped = at * e.o + o;
      to[back ? kernel : tapped] = from[back ? tapped : kernel];
    }
  }
  return y;
}

// Frequencies in blocks whose real and imaginary planes stay in a cache.
std::int64_t block_of(const Extents& e) {
  return std::max<std::int64_t>(1, (std::int64_t{1} << 15) / std::max<std::int64_t>(1, e.i * e.o));
}

template <class T>
Tensor symbol(const Extents& e, const Tensor& w) {
  const Tensor taps = by_tap<T>(e, w, false);
  const Tensor angles = table<T>(e);
  Tensor y(e.symbol(), w.dtype());
  const std::int64_t size = e.i * e.o;
  const std::int64_t block = block_of(e);
  T* out = y.write<T>();
  parallel_for((e.frequencies() + block - 1) / block, 1, [&](std::int64_t begin, std::int64_t end) {
    Tensor room({2 * block, size}, w.dtype());
    T* planes = room.write<T>();
    const std::int64_t last = std::min(end * block, e.frequencies());
    for (std::int64_t f = begin * block; f < last; f += block) {
      const std::int64_t count = std::min(block, last - f);
      blas::gemm<T>(false, false, 2 * count, size, e.taps(), 1, angles.data<T>() + 2 * f * e.taps(),
                    e.taps(), taps.data<T>(), size, 0, planes, size);
      for (std::int64_t k = 0; k < count; ++k) {
        const T* re = planes + 2 * k * size;
        const T* im = re + size;
        T* to = out + 2 * (f + k) * size;
        for (std::int64_t at = 0; at < size; ++at) {
          to[2 * at] = re[at];
          to[2 * at + 1] = im[at];
        }
      }
    }
  });
  return y;
}

// The transpose of symbol(). One thread: the taps sum over all frequencies, in one order.
template <class T>
Tensor kernel_gradient(const Extents& e, const Tensor& dy) {
  const Tensor angles = table<T>(e);
  const std::int64_t size = e.i * e.o;
  const std::int64_t block = block_of(e);
  Tensor taps = Tensor::zeros({e.taps(), e.i, e.o}, dy.dtype());
  Tensor room({2 * block, size}, dy.dtype());
  T* sum = taps.write<T>();
  T* planes = room.write<T>();
  for (std::int64_t f = 0; f < e.frequencies(); f += block) {
    const std::int64_t count = std::min(block, e.frequencies() - f);
    for (std::int64_t k = 0; k < count; ++k) {
      const T* from = dy.data<T>() + 2 * (f + k) * size;
      T* re = planes + 2 * k * size;
      T* im = re + size;
      for (std::int64_t at = 0; at < size; ++at) {
        re[at] = from[2 * at];
        im[at] = from[2 * at + 1];
      }
    }
    blas::gemm<T>(true, false, e.taps(), size, 2 * count, 1, angles.data<T>() + 2 * f * e.taps(),
                  e.taps(), planes, size, 1, sum, size);
  }
  return by_tap<T>(e, taps, true);
}

}  // namespace

Var kernel_symbol(const Var& w_var, std::int64_t height, std::int64_t width) {
  const Tensor& w = w_var.value();
  require<ShapeError>(w.rank() == 4, "kernel_symbol: expected w of shape [O, kh, kw, I], got ",
                      w.shape());
  require<ValueError>(height >= 1 && width >= 1,
                      "kernel_symbol: expected an image of sides >= 1, got ", height, " x ", width);
  const Extents e{w.dim(0), w.dim(1), w.dim(2), w.dim(3), height, width};
  return dispatch_float(w.dtype(), "kernel_symbol", [&]<class T>() {
    auto vjp = [e](const Tensor& dy, Needs) -> Grads<1> { return {kernel_gradient<T>(e, dy)}; };
    auto jvp = [e](const Tangents<1>& dw) { return symbol<T>(e, dw[0]); };
    return record(kernel_symbol_op, symbol<T>(e, w), {w_var}, {}, std::move(vjp), std::move(jvp));
  });
}

}  // namespace isotape
