#include <isotape/ops/batch_norm.hpp>

#include <cmath>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/broadcast.hpp>

namespace isotape {
namespace {

const Op batch_norm_op("batch_norm");

constexpr std::int64_t elements_worth_a_thread = 1 << 15;

// y_i = f(i, c) for all entries i, channels c.
template <class T, class F>
Tensor filled(const Shape& shape, F&& f) {
  Tensor y(shape, dtype_of<T>());
  T* const out = y.template write<T>();
  const std::int64_t channels = shape[-1];
  parallel_for(shape.outer(-1), elements_worth_a_thread / channels + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
#pragma omp simd
                   for (std::int64_t c = 0; c < channels; ++c) {
                     out[row * channels + c] = f(row * channels + c, c);
                   }
                 }
               });
  return y;
}

// Means over all but the channels, in f64.
Tensor channel_mean(const Tensor& x) {
  const auto samples = static_cast<double>(x.shape().outer(-1));
  return sum_to(x, {x.dim(-1)}, 1 / samples).to(DType::f64);
}

// z = (x - mean) / sqrt(variance + epsilon)
Tensor normalized(const Tensor& x, const ChannelMoments& moments, const Tensor& inverse) {
  return dispatch_float(x.dtype(), "batch_norm", [&]<class T>() {
    const T* const in = x.data<T>();
    const auto* const mean = moments.mean.data<double>();
    const auto* const factor = inverse.data<double>();
    return filled<T>(x.shape(), [=](std::int64_t i, std::int64_t c) {
      return static_cast<T>((static_cast<double>(in[i]) - mean[c]) * factor[c]);
    });
  });
}

Tensor product(const Tensor& a, const Tensor& b) {
  return dispatch_float(a.dtype(), "batch_norm", [&]<class T>() {
    const T* const left = a.data<T>();
    const T* const right = b.data<T>();
    return filled<T>(a.shape(), [=](std::int64_t i, std::int64_t) { return left[i] * right[i]; });
  });
}

// y = gamma z + beta
Tensor affine(const Tensor& z, const Tensor& gamma, const Tensor& beta) {
  return dispatch_float(z.dtype(), "batch_norm", [&]<class T>() {
    const T* const in = z.data<T>();
    const T* const slope = gamma.data<T>();
    const T* const shift = beta.data<T>();
    return filled<T>(z.shape(),
                     [=](std::int64_t i, std::int64_t c) { return slope[c] * in[i] + shift[c]; });
  });
}

// factor_c (v - mean v - z mean(v z)): the derivative of z in direction v, and its transpose.
Tensor projected(const Tensor& z, const Tensor& v, const Tensor& factor) {
  const Tensor mean = channel_mean(v);
  const Tensor along = channel_mean(product(v, z));
  return dispatch_float(z.dtype(), "batch_norm", [&]<class T>() {
    const T* const unit = z.data<T>();
    const T* const in = v.data<T>();
    const auto* const f = factor.data<double>();
    const auto* const m = mean.data<double>();
    const auto* const a = along.data<double>();
    return filled<T>(z.shape(), [=](std::int64_t i, std::int64_t c) {
      const auto component = static_cast<double>(unit[i]);
      return static_cast<T>(f[c] * (static_cast<double>(in[i]) - m[c] - component * a[c]));
    });
  });
}

void check_vector(const char* name, const Tensor& x, const Tensor& v) {
  const Shape shape{x.dim(-1)};
  require<ShapeError>(v.shape() == shape && v.dtype() == x.dtype(), "batch_norm: expected ", name,
                      " of shape ", shape, " and type ", x.dtype(), ", got ", v.shape(), " and ",
                      v.dtype());
}

Tensor tangent(const Tensor& z, const Tensor& gamma, const Tensor& inverse, const Tangents<3>& dx) {
  const Shape channels{z.dim(-1)};
  const Tensor dgamma = dx[1] ? dx[1] : Tensor::zeros(channels, z.dtype());
  const Tensor dbeta = dx[2] ? dx[2] : Tensor::zeros(channels, z.dtype());
  Tensor dy = affine(z, dgamma, dbeta);
  if (dx[0]) {
    const Tensor dz = projected(z, dx[0], inverse);
    add_in_place(dy, affine(dz, gamma, Tensor::zeros(channels, z.dtype())));
  }
  return dy;
}

}  // namespace

ChannelMoments channel_moments(const Tensor& x) {
  require<ShapeError>(x.rank() >= 1 && x.size() > 0,
                      "batch_norm: expected x of shape [..., C] with at least one entry, got ",
                      x.shape());
  ChannelMoments moments;
  moments.samples = x.shape().outer(-1);
  moments.mean = channel_mean(x.to(DType::f64));
  const auto* const mean = moments.mean.data<double>();
  dispatch_float(x.dtype(), "batch_norm", [&]<class T>() {
    const T* const in = x.data<T>();
    moments.variance = channel_mean(filled<double>(x.shape(), [=](std::int64_t i, std::int64_t c) {
      const double distance = static_cast<double>(in[i]) - mean[c];
      return distance * distance;
    }));
  });
  return moments;
}

Var batch_norm(const Var& x_var, const Var& gamma_var, const Var& beta_var, double epsilon,
               ChannelMoments* moments) {
  const Tensor& x = x_var.value();
  const Tensor& gamma = gamma_var.value();
  const Tensor& beta = beta_var.value();
  require<ValueError>(epsilon > 0, "batch_norm: expected epsilon > 0, got ", epsilon);
  require<ShapeError>(x.dtype() != DType::u8, "batch_norm: expected f32 or f64, got u8");
  const ChannelMoments of_x = channel_moments(x);
  check_vector("gamma", x, gamma);
  check_vector("beta", x, beta);
  if (moments != nullptr) *moments = of_x;
  Tensor inverse({x.dim(-1)}, DType::f64);
  for (std::int64_t c = 0; c < inverse.size(); ++c) {
    inverse.write<double>()[c] = 1 / std::sqrt(of_x.variance.at(c) + epsilon);
  }
  const Tensor z = normalized(x, of_x, inverse);

  // With z = (x - m) / s, m and s functions of x: dz = (dx - mean dx - z mean(z dx)) / s, which is
  // symmetric in (dz, dx). So grad_x = gamma / s (dy - mean dy - z mean(z dy)), grad_gamma =
  // sum dy z, grad_beta = sum dy.
  auto vjp = [z, gamma, inverse](const Tensor& dy, Needs needs) -> Grads<3> {
    Grads<3> grads;
    if (needs(0)) {
      Tensor factor = inverse.clone();
      auto* const f = factor.write<double>();
      for (std::int64_t c = 0; c < factor.size(); ++c) f[c] *= gamma.at(c);
      grads[0] = projected(z, dy, factor);
    }
    if (needs(1)) grads[1] = sum_to(product(dy, z), gamma.shape());
    if (needs(2)) grads[2] = sum_to(dy, gamma.shape());
    return grads;
  };
  auto jvp = [z, gamma, inverse](const Tangents<3>& dx) { return tangent(z, gamma, inverse, dx); };
  return record(batch_norm_op, affine(z, gamma, beta), {x_var, gamma_var, beta_var}, {gamma},
                std::move(vjp), std::move(jvp));
}

}  // namespace isotape
