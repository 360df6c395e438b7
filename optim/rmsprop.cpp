#include <isotape/optim/rmsprop.hpp>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/optim/settings.hpp>

namespace isotape {

Rmsprop::Rmsprop(const ParameterList& parameters, const RmspropOptions& options)
    : Optimizer("rmsprop", parameters,
                options.momentum != 0 ? std::vector<StateName>{{"s"}, {"v"}}
                                      : std::vector<StateName>{{"s"}},
                options.decay),
      options_(options) {
  require<ValueError>(0 <= options.alpha && options.alpha < 1,
                      "rmsprop: expected alpha in [0, 1), got ", options.alpha);
  require<ValueError>(std::isfinite(options.eps) && options.eps >= 1e-30,
                      "rmsprop: expected eps >= 1e-30, got ", options.eps);
  require<ValueError>(0 <= options.momentum && options.momentum < 1,
                      "rmsprop: expected momentum in [0, 1), got ", options.momentum);
}

std::string Rmsprop::describe() const {
  return "rmsprop:alpha=" + spelled(options_.alpha) + ",eps=" + spelled(options_.eps) +
         ",momentum=" + spelled(options_.momentum) + "," + describe_decay();
}

void Rmsprop::update(const Update& update) const {
  dispatch_float(update.value.dtype(), "rmsprop", [&]<class T>() {
    T* const w = update.value.write<T>();
    T* const s = update.state[0].write<T>();
    const T* const g = update.grad.data<T>();
    const T lr = static_cast<T>(update.lr);
    const T decay = static_cast<T>(update.decay);
    const T alpha = static_cast<T>(options_.alpha);
    const T rest = static_cast<T>(1 - options_.alpha);
    const T eps = static_cast<T>(options_.eps);
    if (options_.momentum == 0) {
      parallel_for(update.value.size(), update_grain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
        for (std::int64_t i = begin; i < end; ++i) {
          const T gradient = g[i] + decay * w[i];
          s[i] = alpha * s[i] + rest * gradient * gradient;
          w[i] -= lr * (gradient / (std::sqrt(s[i]) + eps));
        }
      });
      return;
    }
    T* const v = update.state[1].write<T>();
    const T momentum = static_cast<T>(options_.momentum);
    parallel_for(update.value.size(), update_grain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) {
        const T gradient = g[i] + decay * w[i];
        s[i] = alpha * s[i] + rest * gradient * gradient;
        v[i] = momentum * v[i] + gradient / (std::sqrt(s[i]) + eps);
        w[i] -= lr * v[i];
      }
    });
  });
}

}  // namespace isotape
