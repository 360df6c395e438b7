#include <isotape/optim/adam.hpp>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/optim/settings.hpp>
#include <isotape/optim/update_kernel.hpp>

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

Optimizer::Loop Adam::update(const Update& update) const {
  const double t = ++*update.state[2].write<double>();
  return dispatch_float(update.value.dtype(), "adam", [&]<class T>() -> Loop {
    const AdamCoefficients<T> coefficients{
        .coupled = static_cast<T>(options_.decoupled ? 0 : update.decay),
        .keep = static_cast<T>(options_.decoupled ? 1 - update.lr * update.decay : 1),
        .beta1 = static_cast<T>(options_.beta1),
        .rest1 = static_cast<T>(1 - options_.beta1),
        .beta2 = static_cast<T>(options_.beta2),
        .rest2 = static_cast<T>(1 - options_.beta2),
        .rate = static_cast<T>(update.lr / (1 - std::pow(options_.beta1, t))),
        .root = static_cast<T>(1 / std::sqrt(1 - std::pow(options_.beta2, t))),
        .eps = static_cast<T>(options_.eps)};
    return [coefficients, g = update.grad.data<T>(), w = update.value.write<T>(),
            m = update.state[0].write<T>(),
            v = update.state[1].write<T>()](std::int64_t begin, std::int64_t end) {
      adam_update(coefficients, end - begin, g + begin, w + begin, m + begin, v + begin);
    };
  });
}

}  // namespace isotape
