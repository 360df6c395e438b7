#include <isotape/optim/sgd.hpp>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/optim/settings.hpp>

namespace isotape {

Sgd::Sgd(const ParameterList& parameters, const SgdOptions& options)
    : Optimizer("sgd", parameters,
                options.momentum != 0 ? std::vector<StateName>{{"v"}} : std::vector<StateName>{},
                options.decay),
      options_(options) {
  require<ValueError>(0 <= options.momentum && options.momentum < 1,
                      "sgd: expected momentum in [0, 1), got ", options.momentum);
  require<ValueError>(!options.nesterov || options.momentum > 0,
                      "sgd: expected a momentum > 0 with nesterov, got 0");
}

std::string Sgd::describe() const {
  return "sgd:momentum=" + spelled(options_.momentum) +
         ",nesterov=" + (options_.nesterov ? "1" : "0") + "," + describe_decay();
}

void Sgd::update(const Update& update) const {
  dispatch_float(update.value.dtype(), "sgd", [&]<class T>() {
    T* const w = update.value.write<T>();
    const T* const g = update.grad.data<T>();
    const T lr = static_cast<T>(update.lr);
    const T decay = static_cast<T>(update.decay);
    if (options_.momentum == 0) {
      parallel_for(update.value.size(), update_grain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
        for (std::int64_t i = begin; i < end; ++i) w[i] -= lr * (g[i] + decay * w[i]);
      });
      return;
    }
    T* const v = update.state[0].write<T>();
    const T momentum = static_cast<T>(options_.momentum);
    // The step is lr (a g + b v).
    const T a = options_.nesterov ? T(1) : T(0);
    const T b = options_.nesterov ? momentum : T(1);
    parallel_for(update.value.size(), update_grain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) {
        const T gradient = g[i] + decay * w[i];
        v[i] = momentum * v[i] + gradient;
        w[i] -= lr * (a * gradient + b * v[i]);
      }
    });
  });
}

}  // namespace isotape
