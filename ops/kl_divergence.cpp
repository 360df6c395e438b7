#include <isotape/ops/kl_divergence.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/elementwise.hpp>

namespace isotape {
namespace {

const Op kl_divergence_op("kl_divergence");

constexpr std::int64_t grain = 1 << 12;

// log softmax of a row. A NaN is passed on to all entries.
template <class T>
void log_softmax(const T* f, std::vector<double>& out) {
  const auto classes = static_cast<std::ptrdiff_t>(out.size());
  const auto largest = static_cast<double>(*std::max_element(f, f + classes));
  double sum = 0;
  for (std::ptrdiff_t j = 0; j < classes; ++j) sum += std::exp(static_cast<double>(f[j]) - largest);
  for (std::ptrdiff_t j = 0; j < classes; ++j) {
    out[static_cast<std::size_t>(j)] = static_cast<double>(f[j]) - largest - std::log(sum);
  }
}

}  // namespace

Var kl_divergence(const Var& f_var, const Var& g_var) {
  const Tensor& f = f_var.value();
  const Tensor& g = g_var.value();
  require<ShapeError>(f.rank() == 2 && f.size() >= 1,
                      "kl_divergence: expected logits of shape [N, C] with N and C >= 1, got ",
                      f.shape());
  require_same("kl_divergence", f, g);
  const std::int64_t rows = f.dim(0);
  const std::int64_t classes = f.dim(1);
  Tensor grad_f(f.shape(), f.dtype());
  Tensor grad_g(f.shape(), f.dtype());
  Tensor losses({rows}, DType::f64);

  // With k = sum_j p_j (log p_j - log q_j) of a row, dp_j = p_j (df_j - sum_i p_i df_i) and
  // d log q_j = dg_j - sum_i q_i dg_i:
  //     grad_f_j = p_j (log p_j - log q_j - k) / N,   grad_g_j = (q_j - p_j) / N.
  dispatch_float(f.dtype(), "kl_divergence", [&]<class T>() {
    T* to_f = grad_f.write<T>();
    T* to_g = grad_g.write<T>();
    auto* loss = losses.write<double>();
    parallel_for(rows, grain / classes + 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<double> log_p(static_cast<std::size_t>(classes));
      std::vector<double> log_q(static_cast<std::size_t>(classes));
      for (std::int64_t i = begin; i < end; ++i) {
        log_softmax(f.data<T>() + i * classes, log_p);
        log_softmax(g.data<T>() + i * classes, log_q);
        double k = 0;
        for (std::size_t j = 0; j < log_p.size(); ++j) {
          const double p = std::exp(log_p[j]);
          k += p == 0 ? 0 : p * (log_p[j] - log_q[j]);
        }
        loss[i] = k;
        for (std::size_t j = 0; j < log_p.size(); ++j) {
          const double p = std::exp(log_p[j]);
          const std::int64_t at = i * classes + static_cast<std::int64_t>(j);
          const double of_f = p == 0 ? 0 : p * (log_p[j] - log_q[j] - k);
          to_f[at] = static_cast<T>(of_f / static_cast<double>(rows));
          to_g[at] = static_cast<T>((std::exp(log_q[j]) - p + 0 * k) / static_cast<double>(rows));
        }
      }
    });
  });
  const std::span<const double> all = losses.values<double>();
  const double mean = std::accumulate(all.begin(), all.end(), 0.0) / static_cast<double>(rows);

  auto vjp = [grad_f, grad_g](const Tensor& dy, Needs needs) -> Grads<2> {
    return {needs(0) ? scale(grad_f, dy.item()).value() : Tensor(),
            needs(1) ? scale(grad_g, dy.item()).value() : Tensor()};
  };
  auto jvp = [grad_f, grad_g](const Tangents<2>& dx) {
    return Tensor::full({}, dot(grad_f, dx[0]) + dot(grad_g, dx[1]), grad_f.dtype());
  };
  return record(kl_divergence_op, Tensor::full({}, std::max(mean, 0.0), f.dtype()), {f_var, g_var},
                {}, std::move(vjp), std::move(jvp));
}

}  // namespace isotape
