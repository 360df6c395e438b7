#include <isotape/optim/make_optimizer.hpp>

#include <algorithm>

#include <isotape/core/error.hpp>
#include <isotape/optim/adam.hpp>
#include <isotape/optim/aggmo.hpp>
#include <isotape/optim/rmsprop.hpp>
#include <isotape/optim/settings.hpp>
#include <isotape/optim/sgd.hpp>

namespace isotape {
namespace {

Decay read_decay(Settings& settings, double rate) {
  return {.rate = settings.number("weight_decay", rate),
          .of_all = settings.flag("decay_all", false)};
}

SgdOptions read_sgd(Settings& settings) {
  SgdOptions options;
  options.momentum = settings.number("momentum", options.momentum);
  options.nesterov = settings.flag("nesterov", options.nesterov);
  options.decay = read_decay(settings, 0);
  return options;
}

AdamOptions read_adam(Settings& settings) {
  AdamOptions options;
  options.beta1 = settings.number("beta1", options.beta1);
  options.beta2 = settings.number("beta2", options.beta2);
  options.eps = settings.number("eps", options.eps);
  options.decoupled = settings.name() == "adamw";
  options.decay = read_decay(settings, options.decoupled ? 0.01 : 0);
  return options;
}

RmspropOptions read_rmsprop(Settings& settings) {
  RmspropOptions options;
  options.alpha = settings.number("alpha", options.alpha);
  options.eps = settings.number("eps", options.eps);
  options.momentum = settings.number("momentum", options.momentum);
  options.decay = read_decay(settings, 0);
  return options;
}

AggmoOptions read_aggmo(Settings& settings) {
  AggmoOptions options;
  options.betas = settings.numbers("betas", options.betas);
  options.decay = read_decay(settings, 0);
  return options;
}

template <class Rule, class Options>
std::unique_ptr<Optimizer> make(const Settings& settings, const ParameterList& parameters,
                                const Options& options) {
  settings.done();
  return std::make_unique<Rule>(parameters, options);
}

}  // namespace

const std::vector<std::string>& optimizer_names() {
  static const std::vector<std::string> names = {"sgd", "adam", "adamw", "rmsprop", "aggmo"};
  return names;
}

std::unique_ptr<Optimizer> make_optimizer(std::string_view text, const ParameterList& parameters) {
  Settings settings(text);
  const std::string& name = settings.name();
  const std::vector<std::string>& names = optimizer_names();
  require<ValueError>(std::find(names.begin(), names.end(), name) != names.end(),
                      "optimizer: expected a name among ", listed(names), ", got '", name, "'");
  if (name == "sgd") return make<Sgd>(settings, parameters, read_sgd(settings));
  if (name == "rmsprop") return make<Rmsprop>(settings, parameters, read_rmsprop(settings));
  if (name == "aggmo") return make<Aggmo>(settings, parameters, read_aggmo(settings));
  return make<Adam>(settings, parameters, read_adam(settings));
}

}  // namespace isotape
