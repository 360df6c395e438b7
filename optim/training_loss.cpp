#include <isotape/optim/training_loss.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <isotape/core/error.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/ops/cross_entropy.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/emma.hpp>
#include <isotape/ops/hkr.hpp>
#include <isotape/ops/kl_divergence.hpp>
#include <isotape/ops/loss.hpp>
#include <isotape/ops/reduce.hpp>
#include <isotape/optim/settings.hpp>

namespace isotape {
namespace {

using Labels = std::span<const std::int32_t>;

constexpr double one_lipschitz = 1.01;  // what a power iteration may leave above 1

// Takes options and writes down what they are.
class Options {
 public:
  explicit Options(Settings& settings) : settings_(settings), text_(settings.name()) {}
  double number(std::string_view key, double fallback) {
    const double value = settings_.number(key, fallback);
    text_ += ", " + std::string(key) + ' ' + spelled(value);
    return value;
  }
  double above_zero(std::string_view key, double fallback) {
    const double value = number(key, fallback);
    require<ValueError>(std::isfinite(value) && value > 0, settings_.name(), ": expected ", key,
                        " > 0, got ", value);
    return value;
  }
  double not_below_zero(std::string_view key, double fallback) {
    const double value = number(key, fallback);
    require<ValueError>(std::isfinite(value) && value >= 0, settings_.name(), ": expected ", key,
                        " >= 0, got ", value);
    return value;
  }
  int count(std::string_view key, int fallback) {
    const double value = number(key, fallback);
    require<ValueError>(value >= 1 && value <= 1000 && value == std::floor(value), settings_.name(),
                        ": expected an integer in 1..1000 for ", key, ", got ", value);
    return static_cast<int>(value);
  }
  bool flag(std::string_view key) {
    const bool value = settings_.flag(key, false);
    if (value) text_ += ", " + std::string(key);
    return value;
  }
  BallNorm norm() {
    const bool linf = settings_.word("norm", {"l2", "linf"}, "l2") == "linf";
    if (linf) text_ += ", norm linf";
    return linf ? BallNorm::linf : BallNorm::l2;
  }
  const std::string& text() const { return text_; }

 private:
  Settings& settings_;
  std::string text_;
};

// Temperatures in units of the mean |f| of the batch, a constant of the step; of zeros any is
// right.
double in_units_of(const Tensor& f, double temperature) {
  const double size = mean(abs(f)).value().item();
  return size > 0 ? temperature * size : temperature;
}

// The losses that are functions of the logits; absent for another name.
std::function<Var(const Var&, Labels)> of_logits(const std::string& name, Options& options,
                                                 double margin) {
  const double radius = margin / std::numbers::sqrt2;
  if (name == "multi-margin") {
    return [margin](const Var& f, Labels y) { return multi_margin(f, y, margin); };
  }
  if (name == "cross-entropy") {
    const TemperedOptions tempered{.temperature = options.above_zero("temperature", 1),
                                   .offset = options.not_below_zero("offset", 0)};
    if (tempered.temperature == 1 && tempered.offset == 0) return softmax_cross_entropy;
    return [=](const Var& f, Labels y) { return tempered_cross_entropy(f, y, tempered); };
  }
  if (name == "logit-annealing") {
    const AnnealingOptions annealing{.temperature = options.above_zero("temperature", 0.75),
                                     .offset = options.not_below_zero("offset", 2),
                                     .beta = options.not_below_zero("beta", 5)};
    return [=](const Var& f, Labels y) { return logit_annealing(f, y, annealing); };
  }
  if (name == "certificate-regularized") {
    const double gamma = options.not_below_zero("gamma", 0.5);
    return [=](const Var& f, Labels y) { return certificate_regularized(f, y, gamma); };
  }
  if (name == "kr") return kantorovich_rubinstein;
  if (name == "hkr") {
    const HkrOptions hinge{.lambda = options.not_below_zero("lambda", 10),
                           .margin = options.not_below_zero("margin", radius)};
    return [=](const Var& f, Labels y) { return hkr(f, y, hinge); };
  }
  if (name == "soft-hkr") {
    const bool relative = options.flag("relative");
    const SoftHkrOptions soft{
        .lambda = options.not_below_zero("lambda", 10),
        .margin = options.not_below_zero("margin", radius),
        .temperature = options.above_zero("temperature", relative ? 1 : radius)};
    if (!relative) return [=](const Var& f, Labels y) { return soft_hkr(f, y, soft); };
    return [=](const Var& f, Labels y) {
      SoftHkrOptions now = soft;
      now.temperature = in_units_of(f.value(), soft.temperature);
      return soft_hkr(f, y, now);
    };
  }
  return {};
}

}  // namespace

const std::vector<LossInfo>& loss_infos() {
  static const std::vector<LossInfo> infos = {
      {"multi-margin", "", "mean of max(0, margin - f_y + f_j) over the other classes j; --margin"},
      {"cross-entropy", "temperature=1,offset=0",
       "-T log softmax((f - offset e_y) / T)_y; offset sqrt(2) eps asks for the radius eps"},
      {"logit-annealing", "temperature=0.75,offset=2,beta=5",
       "the same times (1 - p_y)^beta: rows beyond doubt weigh nothing"},
      {"certificate-regularized", "gamma=0.5",
       "cross entropy less gamma times the certified radius of rows classified right"},
      {"kr", "", "Kantorovich-Rubinstein: mean score outside a class less that inside"},
      {"hkr", "lambda=10,margin=R", "kr plus lambda max(0, margin - s f), s = 1 inside, else -1"},
      {"soft-hkr", "lambda=10,margin=R,temperature=R,relative=0",
       "hkr by rows, the other classes weighted by softmax; relative=1: temperature times mean "
       "|f|"},
      {"emma", "eps=R,ramp=0",
       "cross entropy of logits raised by what a class gains within eps; ramp: share of steps to "
       "it"},
      {"trades", "beta=6,eps=R,steps=10,step=eps/4,norm=l2",
       "cross entropy plus beta KL to the prediction at the worst input found within eps; "
       "norm=linf: eps 8/255"}};
  return infos;
}

TrainingLoss::TrainingLoss(std::string_view text, double margin) {
  Settings settings(text);
  const std::string& name = settings.name();
  std::vector<std::string> names;
  for (const LossInfo& info : loss_infos()) names.emplace_back(info.name);
  require<ValueError>(std::find(names.begin(), names.end(), name) != names.end(),
                      "loss: expected a name among ", listed(names), ", got '", name, "'");
  const double radius = margin / std::numbers::sqrt2;
  Options options(settings);
  of_logits_ = isotape::of_logits(name, options, margin);
  if (!of_logits_) of_logits_ = softmax_cross_entropy;
  if (name == "emma") {
    const double eps = options.above_zero("eps", radius);
    const double ramp = settings.has("ramp") ? options.not_below_zero("ramp", 0) : 0;
    require<ValueError>(ramp <= 1, "emma: expected ramp in 0..1, got ", ramp);
    emma_ = Emma{eps, ramp};
  }
  if (name == "trades") {
    const double beta = options.not_below_zero("beta", 6);
    const BallNorm norm = options.norm();
    const double eps = options.above_zero("eps", norm == BallNorm::linf ? 8.0 / 255 : radius);
    trades_ = Trades{beta, {.eps = eps, .steps = options.count("steps", 10)}};
    trades_->ascent.norm = norm;
    trades_->ascent.step = options.above_zero("step", eps / 4);
  }
  settings.done();
  description_ = options.text();
  if (name == "multi-margin") description_ += ", margin " + spelled(margin);
}

void TrainingLoss::check(const Sequential& net) const {
  if (!emma_) return;
  require<ValueError>(!net.parts().empty(), "emma: expected a net, got one without layers");
  const Module& last = *net.parts().back().module;
  require<ValueError>(dynamic_cast<const Linear*>(&last) != nullptr,
                      "emma: expected a last layer that is linear, got ", last.describe());
  double body = 1;
  for (std::size_t i = 0; i + 1 < net.parts().size(); ++i) {
    body = bound_product(body, net.parts()[i].module->lipschitz_bound().value);
  }
  require<ValueError>(body <= one_lipschitz,
                      "emma: expected a Lipschitz constant of 1 before the last layer, got a bound "
                      "of ",
                      body);
}

// The net up to its last layer has Lipschitz constant 1, so that f_j - f_y changes by at most
// |w_j - w_y| times the change of the input.
Var TrainingLoss::emma(const Sequential& net, const Var& logits, Labels labels,
                       double progress) const {
  const auto& last = dynamic_cast<const Linear&>(*net.parts().back().module);
  const Var distances = class_distances(last.recorded_weight());
  const double eps = emma_->eps * (emma_->ramp > 0 ? std::min(1.0, progress / emma_->ramp) : 1);
  const Tensor slack = emma_slack(logits.value(), distances.value(), labels, eps);
  return softmax_cross_entropy(emma_logits(logits, distances, labels, slack), labels);
}

// TRADES [Zhang 2019]: KL to the prediction at the inputs that ascent finds; its gradient
// goes to both predictions.
Var TrainingLoss::trades(const Sequential& net, const Tensor& inputs, const Var& logits,
                         Rng& rng) const {
  AscentOptions ascent = trades_->ascent;
  ascent.in_unit = inputs.rank() == 4 && inputs.dim(1) * inputs.dim(2) > 1;
  const Tensor& clean = logits.value();
  const auto divergence = [&](const Var& x) { return kl_divergence(clean, net.forward(x)); };
  const Tensor attacked = ascend_inputs(inputs, divergence, ascent, rng);
  return scale(kl_divergence(logits, net.forward(attacked)), trades_->beta);
}

TrainingLoss::Value TrainingLoss::operator()(const Sequential& net, const Tensor& inputs,
                                             Labels labels, Rng rng, double progress) const {
  require<ValueError>(progress > 0 && progress <= 1,
                      "training loss: expected a progress in (0, 1], got ", progress);
  const Var logits = net.forward(inputs);
  if (emma_) return {emma(net, logits, labels, progress), logits};
  if (!trades_) return {of_logits_(logits, labels), logits};
  return {add(of_logits_(logits, labels), trades(net, inputs, logits, rng)), logits};
}

}  // namespace isotape
