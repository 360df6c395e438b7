#include <isotape/ops/fourier.hpp>

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
#include <isotape/ops/fourier_kernel.hpp>

// One image at a time. Along an axis of n entries x is folded, for k = 1..odd, into
//
//     e_k = x_k + x_(n-k),   o_k = x_k - x_(n-k),   odd = (n-1)/2,
//
// and e_0 = x_0, e_(n/2) = x_(n/2) for even n; then sum_j x_j exp(-i t u j) is sum_k e_k cos(t u k)
// - i sum_k o_k sin(t u k). The first axis, real to complex, for u = 0..H/2:
//
//     r = cosines e   [U, W C],   s = sines o   [odd, W C],   x^ = r - i s,
//
// s at u = 1..odd: elsewhere it is zero. The second axis, with p and q the transforms of the even
// and odd parts of r and s, one row per v, their columns those of r and then of s:
//
//     y(u, v) = (p_r - q_s) - i (p_s + q_r),   y(u, W-v) = (p_r + q_s) - i (p_s - q_r).
//
// The adjoint takes these steps back, each transposed.

namespace isotape {
namespace {

const Op fourier_op("fourier");
const Op inverse_fourier_op("inverse_fourier");

// Numbers of even and odd parts of an axis.
std::int64_t even_of(std::int64_t n) { return n / 2 + 1; }
std::int64_t odd_of(std::int64_t n) { return (n - 1) / 2; }

template <class T>
struct Tables {
  std::int64_t n, height, width, c;
  std::int64_t u, h_odd, v, w_odd;  // rows of r, s, p, q
  Tensor h_cosines, h_sines;        // [u, u], [h_odd, h_odd], with sqrt(g_u / H)
  Tensor w_cosines, w_sines;        // [v, v], [w_odd, w_odd], with 1 / sqrt(W)

  Tables(std::int64_t images, std::int64_t h, std::int64_t w, std::int64_t channels)
      : n(images),
        height(h),
        width(w),
        c(channels),
        u(even_of(h)),
        h_odd(odd_of(h)),
        v(even_of(w)),
        w_odd(odd_of(w)),
        h_cosines(table(h, u, 0, true)),
        h_sines(table(h, h_odd, 1, true)),
        w_cosines(table(w, v, 0, false)),
        w_sines(table(w, w_odd, 1, false)) {}

  std::int64_t blocks() const { return u + h_odd; }  // of c columns of p and q
  std::int64_t row() const { return width * c; }     // of the image

 private:
  // cos or, from 1 on, sin of 2 pi j k / size, j, k = first..first + count - 1.
  static Tensor table(std::int64_t size, std::int64_t count, std::int64_t first, bool halved) {
    Tensor values({count, count}, dtype_of<T>());
    T* to = values.write<T>();
    for (std::int64_t j = first; j < first + count; ++j) {
      const bool twice = halved && 2 * j % size != 0;
      const double scale = std::sqrt((twice ? 2.0 : 1.0) / double(size));
      for (std::int64_t k = first; k < first + count; ++k) {
        const double angle = 2 * std::numbers::pi * double(j * k % size) / double(size);
        *to++ = T(scale * (first == 0 ? std::cos(angle) : std::sin(angle)));
      }
    }
    return values;
  }
};

// Room for one image's intermediate results.
template <class T>
struct Room {
  Tensor even, odd, r, s, w_even, w_odd, p, q;
  explicit Room(const Tables<T>& t)
      : even({t.u, t.row()}, dtype_of<T>()),
        odd({t.h_odd, t.row()}, dtype_of<T>()),
        r(even.shape(), dtype_of<T>()),
        s(odd.shape(), dtype_of<T>()),
        w_even({t.v, t.blocks() * t.c}, dtype_of<T>()),
        w_odd({t.w_odd, t.blocks() * t.c}, dtype_of<T>()),
        p(w_even.shape(), dtype_of<T>()),
        q(w_odd.shape(), dtype_of<T>()) {}
};

// c = op(table) x for a square table.
template <class T>
void multiply(bool transposed, const Tensor& table, const Tensor& x, Tensor& y) {
  const std::int64_t rows = x.dim(0);
  const std::int64_t columns = x.dim(1);
  if (rows == 0) return;
  // Zeroed here, and added to: faster than what OpenBLAS does for beta = 0.
  T* to = y.write<T>();
  std::fill_n(to, rows * columns, T(0));
  blas::gemm<T>(transposed, false, rows, columns, rows, 1, table.data<T>(), rows, x.data<T>(),
                columns, 1, to, columns);
}

// Folds n blocks x_0.. of `size` entries, `stride` apart, into even and odd ones, `to` apart.
template <class T>
void fold(std::int64_t n, std::int64_t size, const T* x, std::int64_t stride, T* even, T* odd,
          std::int64_t to) {
  std::copy_n(x, size, even);
  for (std::int64_t k = 1; k <= odd_of(n); ++k) {
    const T* a = x + k * stride;
    const T* b = x + (n - k) * stride;
    sum_and_difference(size, a, b, even + k * to, odd + (k - 1) * to);
  }
  if (n % 2 == 0) std::copy_n(x + n / 2 * stride, size, even + n / 2 * to);
}

// The transpose of fold: x_k = e_k + o_k, x_(n-k) = e_k - o_k.
template <class T>
void unfold(std::int64_t n, std::int64_t size, const T* even, const T* odd, std::int64_t from, T* x,
            std::int64_t stride) {
  std::copy_n(even, size, x);
  for (std::int64_t k = 1; k <= odd_of(n); ++k) {
    const T* e = even + k * from;
    const T* o = odd + (k - 1) * from;
    sum_and_difference(size, e, o, x + k * stride, x + (n - k) * stride);
  }
  if (n % 2 == 0) std::copy_n(even + n / 2 * from, size, x + n / 2 * stride);
}

// Calls f(p_r, p_s, q_r, q_s, y(u, v), y(u, W-v)) for every frequency of image n: blocks of c
// entries of p and q, null where they are zero, and pointers into the spectrum, the last null where
// W-v is v.
template <class T, class P, class Y, class F>
void for_frequencies(const Tables<T>& t, std::int64_t image, P* p, P* q, Y* y, F&& f) {
  const std::int64_t columns = t.blocks() * t.c;
  const std::int64_t step = 2 * t.n * t.c;
  for (std::int64_t u = 0; u < t.u; ++u) {
    const bool complex = 1 <= u && u <= t.h_odd;
    const std::int64_t at_r = u * t.c;
    const std::int64_t at_s = (t.u + u - 1) * t.c;
    Y* line = y + u * t.width * step + 2 * image * t.c;
    for (std::int64_t v = 0; v < t.v; ++v) {
      const bool paired = 1 <= v && v <= t.w_odd;
      P* even = p + v * columns;
      P* odd = paired ? q + (v - 1) * columns : nullptr;
      f(even + at_r, complex ? even + at_s : nullptr, paired ? odd + at_r : nullptr,
        complex && paired ? odd + at_s : nullptr, line + v * step,
        paired ? line + (t.width - v) * step : nullptr);
    }
  }
}

template <class T>
void forward(const Tables<T>& t, const T* x, std::int64_t image, Room<T>& room, T* y) {
  fold(t.height, t.row(), x, t.row(), room.even.template write<T>(), room.odd.template write<T>(),
       t.row());
  multiply<T>(false, t.h_cosines, room.even, room.r);
  multiply<T>(false, t.h_sines, room.odd, room.s);
  T* even = room.w_even.template write<T>();
  T* odd = room.w_odd.template write<T>();
  for (std::int64_t block = 0; block < t.blocks(); ++block) {
    const T* from = block < t.u ? room.r.template data<T>() + block * t.row()
                                : room.s.template data<T>() + (block - t.u) * t.row();
    fold(t.width, t.c, from, t.c, even + block * t.c, odd + block * t.c, t.blocks() * t.c);
  }
  multiply<T>(false, t.w_cosines, room.w_even, room.p);
  multiply<T>(false, t.w_sines, room.w_odd, room.q);
  const std::int64_t c = t.c;
  for_frequencies(t, image, room.p.template data<T>(), room.q.template data<T>(), y,
                  [c](const T* pr, const T* ps, const T* qr, const T* qs, T* a, T* b) {
                    if (qs != nullptr) {
                      join_frequencies(c, pr, ps, qr, qs, a, b);
                      return;
                    }
                    for (std::int64_t i = 0; i < c; ++i) {
                      a[2 * i] = pr[i];
                      a[2 * i + 1] = ps != nullptr ? -ps[i] : qr != nullptr ? -qr[i] : T(0);
                      if (b != nullptr) {
                        b[2 * i] = pr[i];
                        b[2 * i + 1] = qr[i];
                      }
                    }
                  });
}

template <class T>
void backward(const Tables<T>& t, const T* y, std::int64_t image, Room<T>& room, T* x) {
  const std::int64_t c = t.c;
  for_frequencies(t, image, room.p.template write<T>(), room.q.template write<T>(), y,
                  [c](T* pr, T* ps, T* qr, T* qs, const T* a, const T* b) {
                    if (qs != nullptr) {
                      split_frequencies(c, a, b, pr, ps, qr, qs);
                      return;
                    }
                    for (std::int64_t i = 0; i < c; ++i) {
                      pr[i] = a[2 * i] + (b != nullptr ? b[2 * i] : T(0));
                      if (ps != nullptr) ps[i] = -a[2 * i + 1];
                      if (qr != nullptr) qr[i] = b[2 * i + 1] - a[2 * i + 1];
                    }
                  });
  multiply<T>(true, t.w_cosines, room.p, room.w_even);
  multiply<T>(true, t.w_sines, room.q, room.w_odd);
  T* r = room.r.template write<T>();
  T* s = room.s.template write<T>();
  for (std::int64_t block = 0; block < t.blocks(); ++block) {
    unfold(t.width, c, room.w_even.template data<T>() + block * c,
           room.w_odd.template data<T>() + block * c, t.blocks() * c,
           block < t.u ? r + block * t.row() : s + (block - t.u) * t.row(), c);
  }
  multiply<T>(true, t.h_cosines, room.r, room.even);
  multiply<T>(true, t.h_sines, room.s, room.odd);
  unfold(t.height, t.row(), room.even.template data<T>(), room.odd.template data<T>(), t.row(), x,
         t.row());
}

Tensor transformed(const Tensor& x) {
  Tensor y({fourier_frequencies(x.dim(1), x.dim(2)), x.dim(0), x.dim(3), 2}, x.dtype());
  dispatch_float(x.dtype(), "fourier", [&]<class T>() {
    const Tables<T> tables(x.dim(0), x.dim(1), x.dim(2), x.dim(3));
    const T* from = x.data<T>();
    T* to = y.write<T>();
    parallel_for(tables.n, 1, [&](std::int64_t begin, std::int64_t end) {
      Room<T> room(tables);
      for (std::int64_t image = begin; image < end; ++image) {
        forward(tables, from + image * tables.height * tables.row(), image, room, to);
      }
    });
  });
  return y;
}

Tensor restored(const Tensor& y, std::int64_t height, std::int64_t width) {
  Tensor x({y.dim(1), height, width, y.dim(2)}, y.dtype());
  dispatch_float(y.dtype(), "inverse_fourier", [&]<class T>() {
    const Tables<T> tables(y.dim(1), height, width, y.dim(2));
    const T* from = y.data<T>();
    T* to = x.write<T>();
    parallel_for(tables.n, 1, [&](std::int64_t begin, std::int64_t end) {
      Room<T> room(tables);
      for (std::int64_t image = begin; image < end; ++image) {
        backward(tables, from, image, room, to + image * height * tables.row());
      }
    });
  });
  return x;
}

}  // namespace

std::int64_t fourier_frequencies(std::int64_t height, std::int64_t width) {
  return even_of(height) * width;
}

Var fourier(const Var& x_var) {
  const Tensor& x = x_var.value();
  require<ShapeError>(x.rank() == 4 && x.dim(1) >= 1 && x.dim(2) >= 1,
                      "fourier: expected images [N, H, W, C], H and W >= 1, got ", x.shape());
  auto vjp = [h = x.dim(1), w = x.dim(2)](const Tensor& dy, Needs) -> Grads<1> {
    return {restored(dy, h, w)};
  };
  auto jvp = [](const Tangents<1>& dx) { return transformed(dx[0]); };
  return record(fourier_op, transformed(x), {x_var}, {}, std::move(vjp), std::move(jvp));
}

Var inverse_fourier(const Var& y_var, std::int64_t height, std::int64_t width) {
  const Tensor& y = y_var.value();
  require<ValueError>(height >= 1 && width >= 1,
                      "inverse_fourier: expected an image of sides >= 1, got ", height, " x ",
                      width);
  require<ShapeError>(
      y.rank() == 4 && y.dim(3) == 2 && y.dim(0) == fourier_frequencies(height, width),
      "inverse_fourier: expected spectra [", fourier_frequencies(height, width),
      ", N, C, 2] of images ", height, " x ", width, ", got ", y.shape());
  auto vjp = [](const Tensor& dx, Needs) -> Grads<1> { return {transformed(dx)}; };
  auto jvp = [height, width](const Tangents<1>& dy) { return restored(dy[0], height, width); };
  return record(inverse_fourier_op, restored(y, height, width), {y_var}, {}, std::move(vjp),
                std::move(jvp));
}

}  // namespace isotape
