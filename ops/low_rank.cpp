#include <isotape/ops/low_rank.hpp>

#include <cmath>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>

namespace isotape {
namespace {

const Op projection_loss_op("projection_loss");
const Op norm_loss_op("norm_loss");

void check_activations(const Op& op, const Tensor& a) {
  require<ShapeError>(a.rank() == 2 && a.size() >= 1, op.name(),
                      ": expected activations of shape [n, m] with n and m >= 1, got ", a.shape());
}

// z = a + b, or a where b is absent.
Tensor shifted(const Tensor& a, const Tensor& b) {
  Tensor z = a.clone();
  if (!b) return z;
  dispatch_float(a.dtype(), "projection_loss", [&]<class T>() {
    const T* shift = b.data<T>();
    T* to = z.write<T>();
    for (std::int64_t i = 0; i < z.size(); ++i) to[i] += shift[i % b.size()];
  });
  return z;
}

// alpha op(x) op(y) + beta to, of matrices.
Tensor product(bool trans_x, const Tensor& x, bool trans_y, const Tensor& y, double alpha,
               double beta, Tensor to) {
  dispatch_float(x.dtype(), "projection_loss", [&]<class T>() {
    const std::int64_t m = x.dim(trans_x ? 1 : 0);
    const std::int64_t k = x.dim(trans_x ? 0 : 1);
    const std::int64_t n = y.dim(trans_y ? 0 : 1);
    if (!to) to = Tensor({m, n}, x.dtype());
    blas::gemm<T>(trans_x, trans_y, m, n, k, static_cast<T>(alpha), x.data<T>(), x.dim(1),
                  y.data<T>(), y.dim(1), static_cast<T>(beta), to.write<T>(), n);
  });
  return to;
}

Tensor column_sums(const Tensor& x) {
  Tensor sums = Tensor::zeros({x.dim(1)}, x.dtype());
  dispatch_float(x.dtype(), "projection_loss", [&]<class T>() {
    T* to = sums.write<T>();
    for (std::int64_t i = 0; i < x.size(); ++i) to[i % x.dim(1)] += x.data<T>()[i];
  });
  return sums;
}

}  // namespace

Var projection_loss(const Var& a_var, const Var& w_var, const Var& b_var) {
  const Tensor& a = a_var.value();
  const Tensor& w = w_var.value();
  const Tensor& b = b_var.value();
  check_activations(projection_loss_op, a);
  const std::int64_t m = a.dim(1);
  require<ShapeError>(w.shape() == Shape{m, m} && b.shape() == Shape{m},
                      "projection_loss: expected w of shape ", Shape{m, m}, " and b of shape ",
                      Shape{m}, ", got ", w.shape(), " and ", b.shape());
  require<ShapeError>(w.dtype() == a.dtype() && b.dtype() == a.dtype(),
                      "projection_loss: expected one type, got ", a.dtype(), ", ", w.dtype(),
                      " and ", b.dtype());
  const auto rows = static_cast<double>(a.dim(0));
  const Tensor z = shifted(a, b);
  const Tensor e = product(false, z, false, w, 1, -1, z.clone());  // z w - z
  const double loss = dot(e, e) / rows;

  // de = dz w + z dw - dz, d|e_i|^2 = 2 e_i . de_i. Collecting:
  //     grad_a = 2/n (e w^T - e),   grad_b = its sum over the rows,   grad_w = 2/n z^T e.
  auto vjp = [z, e, w, rows](const Tensor& dy, Needs needs) -> Grads<3> {
    const double factor = 2 * dy.item() / rows;
    Grads<3> grads;
    if (needs(0) || needs(2)) {
      const Tensor grad = product(false, e, true, w, factor, -factor, e.clone());
      if (needs(0)) grads[0] = grad;
      if (needs(2)) grads[2] = column_sums(grad);
    }
    if (needs(1)) grads[1] = product(true, z, false, e, factor, 0, {});
    return grads;
  };
  auto jvp = [z, e, w, rows](const Tangents<3>& dx) {
    Tensor de = Tensor::zeros(e.shape(), e.dtype());
    if (dx[0] || dx[2]) {
      const Tensor dz = shifted(dx[0] ? dx[0] : de, dx[2]);
      de = product(false, dz, false, w, 1, -1, dz.clone());
    }
    if (dx[1]) de = product(false, z, false, dx[1], 1, 1, de);
    return Tensor::full({}, 2 * dot(e, de) / rows, e.dtype());
  };
  return record(projection_loss_op, Tensor::full({}, loss, a.dtype()), {a_var, w_var, b_var}, {w},
                std::move(vjp), std::move(jvp));
}

Var norm_loss(const Var& a_var) {
  const Tensor& a = a_var.value();
  check_activations(norm_loss_op, a);
  const std::int64_t rows = a.dim(0);
  const std::int64_t m = a.dim(1);
  Tensor grad(a.shape(), a.dtype());
  double loss = 0;

  // grad_i = -sign(1 - |a_i|) a_i / (n |a_i|)
  dispatch_float(a.dtype(), "norm_loss", [&]<class T>() {
    T* to = grad.write<T>();
    for (std::int64_t i = 0; i < rows; ++i) {
      const double length = frobenius_norm(a.rows(i, i + 1));
      loss += std::abs(1 - length) / static_cast<double>(rows);
      const double sign = length > 1 ? 1 : length < 1 ? -1 : length - 1;  // NaN stays NaN
      const double factor = length == 0 ? 0 : sign / (length * static_cast<double>(rows));
      for (std::int64_t k = i * m; k < (i + 1) * m; ++k) {
        to[k] = static_cast<T>(factor * static_cast<double>(a.data<T>()[k]));
      }
    }
  });
  auto vjp = [grad](const Tensor& dy, Needs) -> Grads<1> {
    Tensor scaled = Tensor::zeros(grad.shape(), grad.dtype());
    add_in_place(scaled, grad, dy.item());
    return {scaled};
  };
  auto jvp = [grad](const Tangents<1>& da) {
    return Tensor::full({}, dot(grad, da[0]), grad.dtype());
  };
  return record(norm_loss_op, Tensor::full({}, loss, a.dtype()), {a_var}, {}, std::move(vjp),
                std::move(jvp));
}

}  // namespace isotape
