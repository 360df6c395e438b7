#include <isotape/ops/block_conv.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/op.hpp>
#include <isotape/core/tensor.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

// Note [Folding in place of the kernel]
//
// The fold starts with H, so that every step works on min(c_in, c_out) vectors of length c, and
// blk(P, Q) = [P; I - P] # [Q, I - Q] splits each step in two, along the columns (i) and the rows
// (j) of the kernel. One half step widens an axis of a kernel x by one:
//
//     y[i] = x[i] P + x[i-1] (I - P) = x[i-1] + d[i] P,     d[i] = x[i] - x[i-1],  x[-1] = x[s] = 0
//
// and d P = (d R) R^T is two thin products; P is never formed. For c_in <= c_out the same holds of
// the transposes: P acts from the left on the output channels. So x is held as a kernel [o, h, w,
// i] throughout, P acts on its longer channel axis, and the last y is the result.

const Op bcop_kernel_op("bcop_kernel");

constexpr std::int64_t copy_grain = 1 << 14;

// One half step: which axis it widens, and what its derivatives need.
struct HalfStep {
  Shape x_shape;  // [o, h, w, i]
  int axis;       // 2: columns, by a P; 1: rows, by a Q
  Tensor d;       // differences of x along the axis, the shape of y
  Tensor t;       // their coordinates d R, the shape of y with rank for c
};

// The three products with R [c, rank], stored with row stride c. Matrices hold c either as their
// rows (left: [c, n], n = all other extents) or as their columns ([n, c]).
class Projector {
 public:
  Projector(bool left, std::int64_t c) : left_(left), c_(c), rank_(c / 2) {}

  Shape coordinates_shape(const Shape& y) const { return y.with(left_ ? 0 : 3, rank_); }

  // t = d R + beta t
  template <class T>
  void coordinates(const Tensor& d, const T* r, T beta, Tensor& t) const {
    const std::int64_t n = d.size() / c_;
    if (left_) {
      blas::gemm<T>(true, false, rank_, n, c_, 1, r, c_, d.data<T>(), n, beta, t.write<T>(), n);
    } else {
      blas::gemm<T>(false, false, n, rank_, c_, 1, d.data<T>(), c_, r, c_, beta, t.write<T>(),
                    rank_);
    }
  }

  // y = t R^T + beta y
  template <class T>
  void expand(const Tensor& t, const T* r, T beta, Tensor& y) const {
    const std::int64_t n = y.size() / c_;
    if (left_) {
      blas::gemm<T>(false, false, c_, n, rank_, 1, r, c_, t.data<T>(), n, beta, y.write<T>(), n);
    } else {
      blas::gemm<T>(false, true, n, c_, rank_, 1, t.data<T>(), rank_, r, c_, beta, y.write<T>(),
                    c_);
    }
  }

  // grad_r = d^T t + beta grad_r
  template <class T>
  void correlate(const Tensor& d, const Tensor& t, T beta, T* grad_r) const {
    const std::int64_t n = d.size() / c_;
    if (left_) {
      blas::gemm<T>(false, true, c_, rank_, n, 1, d.data<T>(), n, t.data<T>(), n, beta, grad_r, c_);
    } else {
      blas::gemm<T>(true, false, c_, rank_, n, 1, d.data<T>(), c_, t.data<T>(), rank_, beta, grad_r,
                    c_);
    }
  }

 private:
  bool left_;
  std::int64_t c_;
  std::int64_t rank_;
};

// d[i] = x[i] - x[i-1] and y[i] = x[i-1], i = 0..s, along an axis of extent s.
template <class T>
void difference(const Tensor& x, int axis, Tensor& d, Tensor& y) {
  const std::int64_t s = x.dim(axis);
  const std::int64_t inner = x.shape().inner(axis);
  const T* from = x.data<T>();
  T* to_d = d.write<T>();
  T* to_y = y.write<T>();
  parallel_for(x.shape().outer(axis) * (s + 1), copy_grain / inner,
               [=](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t line = begin; line < end; ++line) {
                   const std::int64_t i = line % (s + 1);
                   const T* here = i < s ? from + (line - line / (s + 1)) * inner : nullptr;
                   const T* before = i > 0 ? from + (line - line / (s + 1) - 1) * inner : nullptr;
                   T* line_d = to_d + line * inner;
                   T* line_y = to_y + line * inner;
                   for (std::int64_t j = 0; j < inner; ++j) {
                     const T shifted = before != nullptr ? before[j] : T(0);
                     line_d[j] = (here != nullptr ? here[j] : T(0)) - shifted;
                     line_y[j] = shifted;
                   }
                 }
               });
}

// The adjoint: grad_x[i] = dy[i+1] + grad_d[i] - grad_d[i+1], i = 0..s-1.
template <class T>
Tensor difference_adjoint(const Tensor& dy, const Tensor& grad_d, const Shape& shape, int axis) {
  Tensor grad_x(shape, dy.dtype());
  const std::int64_t s = shape[axis];
  const std::int64_t inner = shape.inner(axis);
  const T* from_y = dy.data<T>();
  const T* from_d = grad_d.data<T>();
  T* to = grad_x.write<T>();
  parallel_for(shape.outer(axis) * s, copy_grain / inner,
               [=](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t line = begin; line < end; ++line) {
                   const std::int64_t here = (line + line / s) * inner;
                   for (std::int64_t j = 0; j < inner; ++j) {
                     to[line * inner + j] =
                         from_y[here + inner + j] + from_d[here + j] - from_d[here + inner + j];
                   }
                 }
               });
  return grad_x;
}

// kernel[o, i] = h[i, o], the used part of the stored matrix h [c, c]; and back.
template <class T>
Tensor kernel_of_first(const Tensor& orthogonal, std::int64_t c_in, std::int64_t c_out) {
  Tensor x({c_out, 1, 1, c_in}, orthogonal.dtype());
  const T* h = orthogonal.data<T>();
  const std::int64_t c = orthogonal.dim(2);
  T* to = x.write<T>();
  for (std::int64_t o = 0; o < c_out; ++o) {
    for (std::int64_t i = 0; i < c_in; ++i) to[o * c_in + i] = h[i * c + o];
  }
  return x;
}

template <class T>
void first_of_kernel(const Tensor& grad_x, Tensor& grad_orthogonal) {
  const std::int64_t c_out = grad_x.dim(0);
  const std::int64_t c_in = grad_x.dim(3);
  const std::int64_t c = grad_orthogonal.dim(2);
  const T* from = grad_x.data<T>();
  T* h = grad_orthogonal.write<T>();
  for (std::int64_t i = 0; i < c_in; ++i) {
    for (std::int64_t o = 0; o < c_out; ++o) h[i * c + o] = from[o * c_in + i];
  }
}

// Where the matrix of a half step begins: H stands in front of them.
std::int64_t offset_of(const Tensor& orthogonal, std::size_t step) {
  return (static_cast<std::int64_t>(step) + 1) * orthogonal.shape().inner(0);
}

template <class T>
Tensor fold(const Tensor& orthogonal, std::int64_t c_in, std::int64_t c_out, bool keep,
            std::vector<HalfStep>& steps) {
  const Projector projector(c_in <= c_out, orthogonal.dim(2));
  const auto count = static_cast<std::size_t>(orthogonal.dim(0) - 1);
  Tensor x = kernel_of_first<T>(orthogonal, c_in, c_out);
  for (std::size_t step = 0; step < count; ++step) {
    const int axis = step % 2 == 0 ? 2 : 1;
    const T* r = orthogonal.data<T>() + offset_of(orthogonal, step);
    Tensor y(x.shape().with(axis, x.dim(axis) + 1), x.dtype());
    Tensor d(y.shape(), x.dtype());
    Tensor t(projector.coordinates_shape(y.shape()), x.dtype());
    difference<T>(x, axis, d, y);
    projector.coordinates(d, r, T(0), t);
    projector.expand(t, r, T(1), y);
    if (keep) steps.push_back({x.shape(), axis, std::move(d), std::move(t)});
    x = std::move(y);
  }
  return x;
}

// y = shift x + (d R) R^T with d = x - shift x is linear in x and quadratic in R. Pairing its
// differential with dy, t = d R:
//     grad_t = dy R,   grad_d = grad_t R^T,   grad_R = d^T grad_t + dy^T t,
//     grad_x = shift^T dy + (1 - shift)^T grad_d.
template <class T>
Tensor fold_vjp(const Tensor& orthogonal, const std::vector<HalfStep>& steps, Tensor dy) {
  const Projector projector(dy.dim(3) <= dy.dim(0), orthogonal.dim(2));
  Tensor grad = Tensor::zeros(orthogonal.shape(), dy.dtype());
  for (std::size_t step = steps.size(); step-- > 0;) {
    const HalfStep& s = steps[step];
    const T* r = orthogonal.data<T>() + offset_of(orthogonal, step);
    T* grad_r = grad.write<T>() + offset_of(orthogonal, step);
    Tensor grad_t(s.t.shape(), dy.dtype());
    Tensor grad_d(dy.shape(), dy.dtype());
    projector.coordinates(dy, r, T(0), grad_t);
    projector.expand(grad_t, r, T(0), grad_d);
    projector.correlate(s.d, grad_t, T(0), grad_r);
    projector.correlate(dy, s.t, T(1), grad_r);
    dy = difference_adjoint<T>(dy, grad_d, s.x_shape, s.axis);
  }
  first_of_kernel<T>(dy, grad);
  return grad;
}

// The differential itself: dt = (1 - shift) dx R + d dR,  dy = shift dx + dt R^T + t dR^T.
template <class T>
Tensor fold_jvp(const Tensor& orthogonal, const std::vector<HalfStep>& steps,
                const Tensor& d_orthogonal, std::int64_t c_in, std::int64_t c_out) {
  const Projector projector(c_in <= c_out, orthogonal.dim(2));
  Tensor dx = kernel_of_first<T>(d_orthogonal, c_in, c_out);
  for (std::size_t step = 0; step < steps.size(); ++step) {
    const HalfStep& s = steps[step];
    const T* r = orthogonal.data<T>() + offset_of(orthogonal, step);
    const T* dr = d_orthogonal.data<T>() + offset_of(orthogonal, step);
    Tensor dy(s.d.shape(), dx.dtype());
    Tensor dd(s.d.shape(), dx.dtype());
    Tensor dt(s.t.shape(), dx.dtype());
    difference<T>(dx, s.axis, dd, dy);
    projector.coordinates(dd, r, T(0), dt);
    projector.coordinates(s.d, dr, T(1), dt);
    projector.expand(dt, r, T(1), dy);
    projector.expand(s.t, dr, T(1), dy);
    dx = std::move(dy);
  }
  return dx;
}

}  // namespace

Var bcop_kernel(const Var& orthogonal_var, std::int64_t c_in, std::int64_t c_out) {
  const Tensor& orthogonal = orthogonal_var.value();
  require<ValueError>(c_in >= 1 && c_out >= 1, "bcop_kernel: expected c_in, c_out >= 1, got ", c_in,
                      " and ", c_out);
  const std::int64_t c = std::max(c_in, c_out);
  require<ShapeError>(orthogonal.rank() == 3 && orthogonal.dim(0) % 2 == 1 &&
                          orthogonal.dim(1) == c && orthogonal.dim(2) == c,
                      "bcop_kernel: expected orthogonal of shape [2k-1, ", c, ", ", c, "], got ",
                      orthogonal.shape());

  return dispatch_float(orthogonal.dtype(), "bcop_kernel", [&]<class T>() {
    std::vector<HalfStep> steps;
    Tensor kernel = fold<T>(orthogonal, c_in, c_out, is_recording({orthogonal_var}), steps);
    auto vjp = [orthogonal, steps](Tensor dy, Needs) -> Grads<1> {
      return {fold_vjp<T>(orthogonal, steps, std::move(dy))};
    };
    auto jvp = [orthogonal, steps, c_in, c_out](const Tangents<1>& tangents) {
      return fold_jvp<T>(orthogonal, steps, tangents[0], c_in, c_out);
    };
    return record(bcop_kernel_op, std::move(kernel), {orthogonal_var}, {orthogonal}, std::move(vjp),
                  std::move(jvp));
  });
}

}  // namespace isotape
