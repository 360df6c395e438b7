#include <isotape/optim/sgd.hpp>

#include <isotape/core/error.hpp>
#include <isotape/optim/settings.hpp>
#include <isotape/optim/update_kernel.hpp>

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

Optimizer::Loop Sgd::update(const Update& update) const {
  return dispatch_float(update.value.dtype(), "sgd", [&]<class T>() -> Loop {
    const SgdCoefficients<T> coefficients{static_cast<T>(update.lr), static_cast<T>(update.decay),
                                          static_cast<T>(options_.momentum), options_.nesterov};
    return [coefficients, g = update.grad.data<T>(), w = update.value.write<T>(),
            v = options_.momentum != 0 ? update.state[0].write<T>() : nullptr](std::int64_t begin,
                                                                               std::int64_t end) {
      sgd_update(coefficients, end - begin, g + begin, w + begin,
                 v == nullptr ? nullptr : v + begin);
    };
  });
}

}  // namespace isotape
