#include <isotape/ops/matmul.hpp>

#include <algorithm>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/broadcast.hpp>
#include <isotape/ops/product_bf16.hpp>

namespace isotape {
namespace {

const Op matmul_op("matmul");
const Op affine_op("affine");

constexpr std::int64_t small_product = 1 << 21;  // multiplications, not worth several threads
constexpr std::int64_t job_grain = 1 << 15;      // multiplications, worth a thread

struct Extents {
  std::int64_t m, n, k;
};

Extents extents(const Tensor& a, const Tensor& b, MatmulOptions options) {
  return {a.dim(options.trans_a ? -1 : -2), b.dim(options.trans_b ? -2 : -1),
          a.dim(options.trans_a ? -2 : -1)};
}

// y = op(a) op(b), or y += where `accumulate`, for matrices or batches of them.
void multiply_into(Tensor& y, const Tensor& a, const Tensor& b, MatmulOptions options,
                   bool accumulate) {
  const auto [m, n, k] = extents(a, b, options);
  const std::int64_t batch = a.rank() == 3 ? a.dim(0) : 1;
  dispatch_float(a.dtype(), "matmul", [&, m = m, n = n, k = k]<class T>() {
    const T* left = a.data<T>();
    const T* right = b.data<T>();
    T* product = y.write<T>();
    const auto multiply = [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        blas::gemm<T>(options.trans_a, options.trans_b, m, n, k, 1, left + i * m * k, a.dim(-1),
                      right + i * k * n, b.dim(-1), accumulate ? 1 : 0, product + i * m * n, n);
      }
    };
    if (m * n * k <= small_product || batch >= num_threads()) {
      parallel_for(batch, job_grain / std::max<std::int64_t>(m * n * k, 1) + 1, multiply);
    } else {
      multiply(0, batch);
    }
  });
}

Tensor multiply(const Tensor& a, const Tensor& b, MatmulOptions options = {}) {
  const auto [m, n, k] = extents(a, b, options);
  Tensor y(a.rank() == 3 ? Shape{a.dim(0), m, n} : Shape{m, n}, a.dtype());
  multiply_into(y, a, b, options, false);
  return y;
}

void check_matmul(const Tensor& a, const Tensor& b, MatmulOptions options) {
  require<ShapeError>(a.rank() == b.rank() && (a.rank() == 2 || a.rank() == 3),
                      "matmul: expected two matrices or two batches of matrices, got ", a.shape(),
                      " and ", b.shape());
  require<ShapeError>(a.dtype() == b.dtype(), "matmul: expected equal element types, got ",
                      a.dtype(), " and ", b.dtype());
  require<ShapeError>(a.rank() == 2 || a.dim(0) == b.dim(0),
                      "matmul: expected equal batch extents, got ", a.shape(), " and ", b.shape());
  require<ShapeError>(a.dim(options.trans_a ? -2 : -1) == b.dim(options.trans_b ? -1 : -2),
                      "matmul: expected equal inner extents, got ", a.shape(),
                      options.trans_a ? "^T" : "", " and ", b.shape(), options.trans_b ? "^T" : "");
}

void check_affine(const Tensor& x, const Tensor& w, const Tensor& bias) {
  require<ShapeError>(x.rank() == 2 && w.rank() == 2 && x.dim(1) == w.dim(1),
                      "affine: expected x of shape [N, in] and w of shape [out, in], got ",
                      x.shape(), " and ", w.shape());
  require<ShapeError>(x.dtype() == w.dtype(), "affine: expected equal element types, got ",
                      x.dtype(), " and ", w.dtype());
  if (!bias) return;
  require<ShapeError>(bias.shape() == Shape{w.dim(0)} && bias.dtype() == w.dtype(),
                      "affine: expected bias of shape [", w.dim(0), "] and type ", w.dtype(),
                      ", got ", bias.shape(), " and ", bias.dtype());
}

// Every row of the result is the bias.
Tensor repeated(const Tensor& bias, const Shape& shape) {
  Tensor y(shape, bias.dtype());
  dispatch_float(bias.dtype(), "affine", [&]<class T>() {
    const T* source = bias.data<T>();
    T* target = y.write<T>();
    const std::int64_t n = bias.size();
    parallel_for(shape[0], job_grain / std::max<std::int64_t>(n, 1) + 1,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     std::copy_n(source, n, target + i * n);
                   }
                 });
  });
  return y;
}

// x w^T + bias. The product is added to the bias, which spares a pass over y.
Tensor affine_value(const Tensor& x, const Tensor& w, const Tensor& bias) {
  if (!bias) return multiply(x, w, {.trans_b = true});
  Tensor y = repeated(bias, {x.dim(0), w.dim(0)});
  multiply_into(y, x, w, {.trans_b = true}, true);
  return y;
}

// The products of affine(), in full precision or on operands rounded to bf16.
class DenseMap {
 public:
  DenseMap(const Tensor& x, const Tensor& w, Precision precision)
      : rows_(x.dim(0)), in_(x.dim(1)), out_(w.dim(0)), is_bf16_(precision == Precision::bf16) {
    if (is_bf16_) require_bf16("affine");
    is_bf16_ = is_bf16_ && x.dtype() == DType::f32 && rows_ * in_ * out_ >= small_product;
  }

  Tensor operand(const Tensor& x) const { return is_bf16_ ? x.to(DType::bf16) : x; }
  Tensor forward(const Tensor& x, const Tensor& w, const Tensor& bias) const {
    if (!is_bf16_) return affine_value(x, w, bias);
    return multiply_bf16({rows_, out_, in_, false, true}, x, w, bias);
  }
  Tensor grad_x(const Tensor& dy, const Tensor& w) const {
    if (!is_bf16_) return multiply(dy, w);
    return multiply_bf16({rows_, in_, out_, false, false}, dy, w);
  }
  Tensor grad_w(const Tensor& dy, const Tensor& x) const {
    if (!is_bf16_) return multiply(dy, x, {.trans_a = true});
    return multiply_bf16({out_, in_, rows_, true, false}, dy, x);
  }

 private:
  std::int64_t rows_, in_, out_;
  bool is_bf16_;
};

}  // namespace

Var matmul(const Var& a_var, const Var& b_var, MatmulOptions options) {
  check_matmul(a_var.value(), b_var.value(), options);

  // With A = op(a), B = op(b), y = A B:   grad_A = dy B^T,   grad_B = A^T dy,
  // and grad_a = grad_A^T where a is transposed: B dy^T; likewise grad_b = dy^T A.
  const Tensor a = is_recording({b_var}) ? a_var.value() : Tensor();
  const Tensor b = is_recording({a_var}) ? b_var.value() : Tensor();
  auto vjp = [a, b, options](const Tensor& dy, Needs needs) -> Grads<2> {
    const auto [trans_a, trans_b] = options;
    Grads<2> grads;
    if (needs(0)) {
      grads[0] = trans_a ? multiply(b, dy, {.trans_a = trans_b, .trans_b = true})
                         : multiply(dy, b, {.trans_b = !trans_b});
    }
    if (needs(1)) {
      grads[1] = trans_b ? multiply(dy, a, {.trans_a = true, .trans_b = trans_a})
                         : multiply(a, dy, {.trans_a = !trans_a});
    }
    return grads;
  };
  auto jvp = [a, b, options](const Tangents<2>& dx) {
    Tensor dy = dx[0] ? multiply(dx[0], b, options) : multiply(a, dx[1], options);
    if (dx[0] && dx[1]) multiply_into(dy, a, dx[1], options, true);
    return dy;
  };
  return record(matmul_op, multiply(a_var.value(), b_var.value(), options), {a_var, b_var}, {a, b},
                std::move(vjp), std::move(jvp));
}

Var affine(const Var& x_var, const Var& w_var, const Var& bias_var, Precision precision) {
  check_affine(x_var.value(), w_var.value(), bias_var.value());
  const DenseMap map(x_var.value(), w_var.value(), precision);
  const Tensor x_operand = map.operand(x_var.value());
  const Tensor w_operand = map.operand(w_var.value());
  Tensor y = map.forward(x_operand, w_operand, bias_var.value());

  // grad_x = dy w,   grad_w = dy^T x,   grad_bias = sum of the rows of dy
  const Tensor x = is_recording({w_var}) ? x_operand : Tensor();
  const Tensor w = is_recording({x_var}) ? w_operand : Tensor();
  auto vjp = [x, w, map, n = y.dim(1)](const Tensor& dy, Needs needs) -> Grads<3> {
    const Tensor operand = needs(0) || needs(1) ? map.operand(dy) : Tensor();
    return {needs(0) ? map.grad_x(operand, w) : Tensor(),
            needs(1) ? map.grad_w(operand, x) : Tensor(), needs(2) ? sum_to(dy, {n}) : Tensor()};
  };
  auto jvp = [x, w, map, shape = y.shape()](const Tangents<3>& dx) {
    const auto& [x_tangent, w_tangent, bias_tangent] = dx;
    Tensor dy;
    if (x_tangent) dy = map.forward(map.operand(x_tangent), w, bias_tangent);
    if (w_tangent) {
      Tensor term = map.forward(x, map.operand(w_tangent), dy ? Tensor() : bias_tangent);
      if (dy) add_in_place(term, dy);
      dy = std::move(term);
    }
    return dy ? dy : repeated(bias_tangent, shape);
  };
  return record(affine_op, std::move(y), {x_var, w_var, bias_var}, {x, w}, std::move(vjp),
                std::move(jvp));
}

}  // namespace isotape
