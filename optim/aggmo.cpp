#include <isotape/optim/aggmo.hpp>

#include <algorithm>
#include <array>

#include <isotape/core/error.hpp>
#include <isotape/optim/settings.hpp>
#include <isotape/optim/update_kernel.hpp>

namespace isotape {
namespace {

constexpr std::size_t max_betas = 8;

}  // namespace

Aggmo::Aggmo(const ParameterList& parameters, const AggmoOptions& options)
    : Optimizer(
          "aggmo", parameters,
          [&] {
            std::vector<StateName> names;
            for (std::size_t k = 0; k < options.betas.size(); ++k) {
              names.push_back({"v" + std::to_string(k)});
            }
            return names;
          }(),
          options.decay),
      options_(options) {
  require<ValueError>(!options.betas.empty() && options.betas.size() <= max_betas,
                      "aggmo: expected one to ", max_betas, " betas, got ", options.betas.size());
  for (const double beta : options.betas) {
    require<ValueError>(0 <= beta && beta < 1, "aggmo: expected betas in [0, 1), got ", beta);
  }
}

std::string Aggmo::describe() const {
  std::string betas;
  for (const double beta : options_.betas) betas += (betas.empty() ? "" : "/") + spelled(beta);
  return "aggmo:betas=" + betas + "," + describe_decay();
}

Optimizer::Loop Aggmo::update(const Update& update) const {
  return dispatch_float(update.value.dtype(), "aggmo", [&]<class T>() -> Loop {
    const std::size_t count = options_.betas.size();
    std::array<T*, max_betas> velocities{};
    std::array<T, max_betas> betas{};
    for (std::size_t k = 0; k < count; ++k) {
      velocities[k] = update.state[k].write<T>();
      betas[k] = static_cast<T>(options_.betas[k]);
    }
    const T rate = static_cast<T>(update.lr / static_cast<double>(count));
    const T decay = static_cast<T>(update.decay);
    return [=, g = update.grad.data<T>(), w = update.value.write<T>()](std::int64_t begin,
                                                                       std::int64_t end) {
      std::array<T*, max_betas> from = velocities;
      for (std::size_t k = 0; k < count; ++k) from[k] += begin;
      const AggmoCoefficients<T> coefficients{rate, decay, betas.data(),
                                              static_cast<std::int64_t>(count)};
      aggmo_update(coefficients, end - begin, g + begin, w + begin, from.data());
    };
  });
}

}  // namespace isotape
