#include <isotape/optim/rmsprop.hpp>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/optim/settings.hpp>
#include <isotape/optim/update_kernel.hpp>

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

Optimizer::Loop Rmsprop::update(const Update& update) const {
  return dispatch_float(update.value.dtype(), "rmsprop", [&]<class T>() -> Loop {
    const RmspropCoefficients<T> coefficients{
        static_cast<T>(update.lr),      static_cast<T>(update.decay),
        static_cast<T>(options_.alpha), static_cast<T>(1 - options_.alpha),
        static_cast<T>(options_.eps),   static_cast<T>(options_.momentum)};
    return [coefficients, g = update.grad.data<T>(), w = update.value.write<T>(),
            s = update.state[0].write<T>(),
            v = options_.momentum != 0 ? update.state[1].write<T>() : nullptr](std::int64_t begin,
                                                                               std::int64_t end) {
      rmsprop_update(coefficients, end - begin, g + begin, w + begin, s + begin,
                     v == nullptr ? nullptr : v + begin);
    };
  });
}

}  // namespace isotape
