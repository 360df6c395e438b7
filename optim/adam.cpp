#include <isotape/optim/adam.hpp>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/optim/settings.hpp>

namespace isotape {

Adam::Adam(const ParameterList& parameters, const AdamOptions& options)
    : Optimizer(options.decoupled ? "adamw" : "adam", parameters,
                {{"m"}, {"v"}, {.name = "t", .is_number = true}}, options.decay),
      options_(options) {
  require<ValueError>(0 <= options.beta1 && options.beta1 < 1, name(),
                      ": expected beta1 in [0, 1), got ", options.beta1);
  require<ValueError>(0 <= options.beta2 && options.beta2 < 1, name(),
                      ": expected beta2 in [0, 1), got ", options.beta2);
  require<ValueError>(std::isfinite(options.eps) && options.eps >= 1e-30, name(),
                      ": expected eps >= 1e-30, got ", options.eps);
}

std::string Adam::describe() const {
  return name() + ":beta1=" + spelled(options_.beta1) + ",beta2=" + spelled(options_.beta2) +
         ",eps=" + spelled(options_.eps) + "," + describe_decay();
}

void Adam::update(const Update& update) const {
  const double t = ++*update.state[2].write<double>();
  const double rate = update.lr / (1 - std::pow(options_.beta1, t));
  const double root = 1 / std::sqrt(1 - std::pow(options_.beta2, t));
  dispatch_float(update.value.dtype(), "adam", [&]<class T>() {
    T* const w = update.value.write<T>();
    T* const m = update.state[0].write<T>();
    T* const v = update.state[1].write<T>();
    const T* const g = update.grad.data<T>();
    const T coupled = static_cast<T>(options_.decoupled ? 0 : update.decay);
    const T keep = static_cast<T>(options_.decoupled ? 1 - update.lr * update.decay : 1);
    const T beta1 = static_cast<T>(options_.beta1);
    const T beta2 = static_cast<T>(options_.beta2);
    const T rest1 = static_cast<T>(1 - options_.beta1);
    const T rest2 = static_cast<T>(1 - options_.beta2);
    const T eps = static_cast<T>(options_.eps);
    parallel_for(update.value.size(), update_grain,
                 [=, rate = static_cast<T>(rate), root = static_cast<T>(root)](std::int64_t begin,
                                                                               std::int64_t end) {
#pragma omp simd
                   for (std::int64_t i = begin; i < end; ++i) {
                     const T gradient = g[i] + coupled * w[i];
                     m[i] = beta1 * m[i] + rest1 * gradient;
                     v[i] = beta2 * v[i] + rest2 * gradient * gradient;
                     w[i] = keep * w[i] - rate * m[i] / (root * std::sqrt(v[i]) + eps);
                   }
                 });
  });
}

}  // namespace isotape
