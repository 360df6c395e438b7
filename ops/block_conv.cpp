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

// H [c, c] and, one behind the other, the R of the half steps, each the first c/2 columns of rows
// of `row` entries: c where it lies in a square matrix, c/2 where it is alone.
struct Layout {
  std::int64_t c;
  std::int64_t row;
  std::int64_t count;  // of half steps

  std::int64_t at(std::int64_t step) const { return step * c * row; }
};

// One half step: which axis it widens, and what its derivatives need.
struct HalfStep {
  Shape x_shape;  // [o, h, w, i]
  int axis;       // 2: columns, by a P; 1: rows, by a Q
  Tensor d;       // differences of x along the axis, the shape of y
  Tensor t;       // their coordinates d R, the shape of y with rank for c
};

// The three products with R [c, rank], stored with row stride row. Matrices hold c either as their
// rows (left: [c, n], n = all other extents) or as their columns ([n, c]).
class Projector {
 public:
  Projector(bool left, const Layout& layout)
      : left_(left), c_(layout.c), rank_(layout.c / 2), row_(layout.row) {}

  Shape coordinates_shape(const Shape& y) const { return y.with(left_ ? 0 : 3, rank_); }

  // t = d R + beta t
  template <class T>
  void coordinates(const Tensor& d, const T* r, T beta, Tensor& t) const {
    const std::int64_t n = d.size() / c_;
    if (left_) {
      blas::gemm<T>(true, false, rank_, n, c_, 1, r, row_, d.data<T>(), n, beta, t.write<T>(), n);
    } else {
      blas::gemm<T>(false, false, n, rank_, c_, 1, d.data<T>(), c_, r, row_, beta, t.write<T>(),
                    rank_);
    }
  }

  // y = t R^T + beta y
  template <class T>
  void expand(const Tensor& t, const T* r, T beta, Tensor& y) const {
    const std::int64_t n = y.size() / c_;
    if (left_) {
      blas::gemm<T>(false, false, c_, n, rank_, 1, r, row_, t.data<T>(), n, beta, y.write<T>(), n);
    } else {
      blas::gemm<T>(false, true, n, c_, rank_, 1, t.data<T>(), rank_, r, row_, beta, y.write<T>(),
                    c_);
    }
  }

  // grad_r = d^T t + beta grad_r
  template <class T>
  void correlate(const Tensor& d, const Tensor& t, T beta, T* grad_r) const {
    const std::int64_t n = d.size() / c_;
    if (left_) {
      blas::gemm<T>(false, true, c_, rank_, n, 1, d.data<T>(), n, t.data<T>(), n, beta, grad_r,
                    row_);
    } else {
      blas::gemm<T>(true, false, c_, rank_, n, 1, d.data<T>(), c_, t.data<T>(), rank_, beta, grad_r,
                    row_);
    }
  }

 private:
  bool left_;
  std::int64_t c_;
  std::int64_t rank_;
  std::int64_t row_;
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

// kernel[o, i] = h[i, o], the used part of H [c, c]; and back.
template <class T>
Tensor kernel_of_first(const T* h, std::int64_t c_in, std::int64_t c_out) {
  Tensor x({c_out, 1, 1, c_in}, dtype_of<T>());
  const std::int64_t c = std::max(c_in, c_out);
  T* to = x.write<T>();
  for (std::int64_t o = 0; o < c_out; ++o) {
    for (std::int64_t i = 0; i < c_in; ++i) to[o * c_in + i] = h[i * c + o];
  }
  return x;
}

template <class T>
void first_of_kernel(const Tensor& grad_x, T* h) {
  const std::int64_t c_out = grad_x.dim(0);
  const std::int64_t c_in = grad_x.dim(3);
  const std::int64_t c = std::max(c_in, c_out);
  const T* from = grad_x.data<T>();
  for (std::int64_t i = 0; i < c_in; ++i) {
    for (std::int64_t o = 0; o < c_out; ++o) h[i * c + o] = from[o * c_in + i];
  }
}

template <class T>
Tensor fold(const Layout& layout, const T* h, const T* r, std::int64_t c_in, std::int64_t c_out,
            bool keep, std::vector<HalfStep>& steps) {
  const Projector projector(c_in <= c_out, layout);
  Tensor x = kernel_of_first(h, c_in, c_out);
  for (std::int64_t step = 0; step < layout.count; ++step) {
    const int axis = step % 2 == 0 ? 2 : 1;
    Tensor y(x.shape().with(axis, x.dim(axis) + 1), x.dtype());
    Tensor d(y.shape(), x.dtype());
    Tensor t(projector.coordinates_shape(y.shape()), x.dtype());
    difference<T>(x, axis, d, y);
    projector.coordinates(d, r + layout.at(step), T(0), t);
    projector.expand(t, r + layout.at(step), T(1), y);
    if (keep) steps.push_back({x.shape(), axis, std::move(d), std::move(t)});
    x = std::move(y);
  }
  return x;
}

// y = shift x + (d R) R^T with d = x - shift x is linear in x and quadratic in R. Pairing its
// differential with dy, t = d R:
//     grad_t = dy R,   grad_d = grad_t R^T,   grad_R = d^T grad_t + dy^T t,
//     grad_x = shift^T dy + (1 - shift)^T grad_d.
// Writes what the kernel depends on of grad_h and grad_r, in their layout.
template <class T>
void fold_vjp(const Layout& layout, const T* r, const std::vector<HalfStep>& steps, Tensor dy,
              T* grad_h, T* grad_r) {
  const Projector projector(dy.dim(3) <= dy.dim(0), layout);
  for (std::int64_t step = layout.count; step-- > 0;) {
    const HalfStep& s = steps[static_cast<std::size_t>(step)];
    Tensor grad_t(s.t.shape(), dy.dtype());
    Tensor grad_d(dy.shape(), dy.dtype());
    projector.coordinates(dy, r + layout.at(step), T(0), grad_t);
    projector.expand(grad_t, r + layout.at(step), T(0), grad_d);
    projector.correlate(s.d, grad_t, T(0), grad_r + layout.at(step));
    projector.correlate(dy, s.t, T(1), grad_r + layout.at(step));
    dy = difference_adjoint<T>(dy, grad_d, s.x_shape, s.axis);
  }
  first_of_kernel(dy, grad_h);
}

// The differential itself: dt = (1 - shift) dx R + d dR,  dy = shift dx + dt R^T + t dR^T.
template <class T>
Tensor fold_jvp(const Layout& layout, const T* r, const std::vector<HalfStep>& steps, const T* dh,
                const T* dr, std::int64_t c_in, std::int64_t c_out) {
  const Projector projector(c_in <= c_out, layout);
  Tensor dx = kernel_of_first(dh, c_in, c_out);
  for (std::int64_t step = 0; step < layout.count; ++step) {
    const HalfStep& s = steps[static_cast<std::size_t>(step)];
    Tensor dy(s.d.shape(), dx.dtype());
    Tensor dd(s.d.shape(), dx.dtype());
    Tensor dt(s.t.shape(), dx.dtype());
    difference<T>(dx, s.axis, dd, dy);
    projector.coordinates(dd, r + layout.at(step), T(0), dt);
    projector.coordinates(s.d, dr + layout.at(step), T(1), dt);
    projector.expand(dt, r + layout.at(step), T(1), dy);
    projector.expand(s.t, dr + layout.at(step), T(1), dy);
    dx = std::move(dy);
  }
  return dx;
}

std::int64_t largest_extent(std::int64_t c_in, std::int64_t c_out) {
  require<ValueError>(c_in >= 1 && c_out >= 1, "bcop_kernel: expected c_in, c_out >= 1, got ", c_in,
                      " and ", c_out);
  return std::max(c_in, c_out);
}

Tensor or_zeros(const Tensor& tangent, const Tensor& like) {
  return tangent ? tangent : Tensor::zeros(like.shape(), like.dtype());
}

}  // namespace

Var bcop_kernel(const Var& orthogonal_var, std::int64_t c_in, std::int64_t c_out) {
  const Tensor& orthogonal = orthogonal_var.value();
  const std::int64_t c = largest_extent(c_in, c_out);
  require<ShapeError>(orthogonal.rank() == 3 && orthogonal.dim(0) % 2 == 1 &&
                          orthogonal.dim(1) == c && orthogonal.dim(2) == c,
                      "bcop_kernel: expected orthogonal of shape [2k-1, ", c, ", ", c, "], got ",
                      orthogonal.shape());

  return dispatch_float(orthogonal.dtype(), "bcop_kernel", [&]<class T>() {
    const Layout layout{c, c, orthogonal.dim(0) - 1};
    const std::int64_t bases = c * c;  // where they begin, behind H
    std::vector<HalfStep> steps;
    const T* const h = orthogonal.data<T>();
    Tensor kernel = fold(layout, h, h + bases, c_in, c_out, is_recording({orthogonal_var}), steps);
    auto vjp = [=](Tensor dy, Needs) -> Grads<1> {
      Tensor grad = Tensor::zeros(orthogonal.shape(), dy.dtype());
      T* const to = grad.write<T>();
      fold_vjp(layout, orthogonal.data<T>() + bases, steps, std::move(dy), to, to + bases);
      return {grad};
    };
    auto jvp = [=](const Tangents<1>& tangents) {
      const T* const tangent = tangents[0].data<T>();
      return fold_jvp(layout, orthogonal.data<T>() + bases, steps, tangent, tangent + bases, c_in,
                      c_out);
    };
    return record(bcop_kernel_op, std::move(kernel), {orthogonal_var}, {orthogonal}, std::move(vjp),
                  std::move(jvp));
  });
}

Var bcop_kernel(const Var& h_var, const Var& bases_var, std::int64_t c_in, std::int64_t c_out) {
  const Tensor& h = h_var.value();
  const Tensor& bases = bases_var.value();
  const std::int64_t c = largest_extent(c_in, c_out);
  require<ShapeError>(h.shape() == Shape{1, c, c} || h.shape() == Shape{c, c},
                      "bcop_kernel: expected h of shape [1, ", c, ", ", c, "] or [", c, ", ", c,
                      "], got ", h.shape());
  require<ShapeError>(
      bases.rank() == 3 && bases.dim(0) % 2 == 0 && bases.dim(1) == c && bases.dim(2) == c / 2,
      "bcop_kernel: expected bases of shape [2(k-1), ", c, ", ", c / 2, "], got ", bases.shape());
  require<ShapeError>(h.dtype() == bases.dtype(),
                      "bcop_kernel: expected h and bases of one type, got ", h.dtype(), " and ",
                      bases.dtype());

  return dispatch_float(h.dtype(), "bcop_kernel", [&]<class T>() {
    const Layout layout{c, c / 2, bases.dim(0)};
    std::vector<HalfStep> steps;
    Tensor kernel = fold(layout, h.data<T>(), bases.data<T>(), c_in, c_out,
                         is_recording({h_var, bases_var}), steps);
    auto vjp = [=](Tensor dy, Needs) -> Grads<2> {
      Tensor grad_h = Tensor::zeros(h.shape(), dy.dtype());
      Tensor grad_bases(bases.shape(), dy.dtype());
      fold_vjp(layout, bases.data<T>(), steps, std::move(dy), grad_h.write<T>(),
               grad_bases.write<T>());
      return {grad_h, grad_bases};
    };
    auto jvp = [=](const Tangents<2>& tangents) {
      const Tensor dh = or_zeros(tangents[0], h);
      const Tensor dbases = or_zeros(tangents[1], bases);
      return fold_jvp(layout, bases.data<T>(), steps, dh.data<T>(), dbases.data<T>(), c_in, c_out);
    };
    return record(bcop_kernel_op, std::move(kernel), {h_var, bases_var}, {h, bases}, std::move(vjp),
                  std::move(jvp));
  });
}

}  // namespace isotape
