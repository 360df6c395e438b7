#include <isotape/optim/make_attack.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/optim/apgd.hpp>
#include <isotape/optim/autoattack.hpp>
#include <isotape/optim/boundary.hpp>
#include <isotape/optim/carlini_wagner.hpp>
#include <isotape/optim/deepfool.hpp>
#include <isotape/optim/fab.hpp>
#include <isotape/optim/fgsm.hpp>
#include <isotape/optim/noise_attack.hpp>
#include <isotape/optim/pgd.hpp>
#include <isotape/optim/pointwise_attack.hpp>
#include <isotape/optim/square_attack.hpp>
#include <isotape/optim/universal.hpp>

namespace isotape {
namespace {

using MadeAttack = std::unique_ptr<const Attack>;

constexpr double unlimited = std::numeric_limits<double>::max();
constexpr Interval above_zero{0, unlimited, true};
constexpr std::int64_t most_steps = 1000000;
constexpr std::int64_t most_restarts = 1000;
constexpr std::int64_t most_classes = 1000000;
constexpr std::int64_t most_halvings = 50;

BallNorm read_norm(NotedSettings& settings, std::string_view fallback) {
  return settings.word("norm", {"2", "inf"}, fallback) == 0 ? BallNorm::l2 : BallNorm::linf;
}

AttackObjective read_objective(NotedSettings& settings, std::string_view fallback = "margin") {
  constexpr AttackObjective objectives[] = {AttackObjective::margin, AttackObjective::cross_entropy,
                                            AttackObjective::dlr};
  return objectives[settings.word("loss", {"margin", "ce", "dlr"}, fallback)];
}

AttackTarget read_target(NotedSettings& settings, bool has_restarts) {
  std::vector<std::string> words = {"none", "least-likely"};
  if (has_restarts) words.emplace_back("each");
  const std::string text = settings.word_or_integer("target", words, "none", most_classes);
  if (text == "none") return {};
  if (text == "each") return {AttackTarget::Kind::each, 0};
  if (text == "least-likely") return {AttackTarget::Kind::least_likely, 0};
  AttackTarget target{AttackTarget::Kind::fixed, 0};
  std::from_chars(text.data(), text.data() + text.size(), target.fixed);
  return target;
}

MadeAttack read_fgsm(NotedSettings& settings) {
  FgsmOptions options;
  options.norm = read_norm(settings, "2");
  options.objective = read_objective(settings);
  options.target = read_target(settings, false);
  return std::make_unique<Fgsm>(options);
}

PgdOptions read_steps(NotedSettings& settings, std::int64_t steps) {
  PgdOptions options;
  options.norm = read_norm(settings, "2");
  options.steps = settings.integer("steps", steps, 1, most_steps);
  options.alpha = settings.number_or("alpha", "eps/10", above_zero);
  return options;
}

MadeAttack read_bim(NotedSettings& settings) {
  PgdOptions options = read_steps(settings, 10);
  options.random_start = false;
  options.momentum = settings.number("momentum", 0, {0, 1});
  options.objective = read_objective(settings);
  options.target = read_target(settings, false);
  options.early_stop = settings.integer("early_stop", 1, 0, 1) == 1;
  return std::make_unique<Pgd>(options);
}

MadeAttack read_pgd(NotedSettings& settings) {
  PgdOptions options = read_steps(settings, 50);
  options.restarts = settings.integer("restarts", 1, 1, most_restarts);
  options.random_start = settings.word("start", {"random", "image"}, "random") == 0;
  options.momentum = settings.number("momentum", 0, {0, 1});
  options.objective = read_objective(settings);
  options.target = read_target(settings, true);
  options.early_stop = settings.integer("early_stop", 1, 0, 1) == 1;
  return std::make_unique<Pgd>(options);
}

MadeAttack read_apgd(NotedSettings& settings) {
  ApgdOptions options;
  options.norm = read_norm(settings, "2");
  options.steps = settings.integer("steps", options.steps, 1, most_steps);
  options.objective = read_objective(settings, "ce");
  options.target = read_target(settings, true);
  const bool each = options.target.kind == AttackTarget::Kind::each;
  options.restarts = settings.integer("restarts", each ? 9 : 1, 1, most_restarts);
  options.rho = settings.number("rho", options.rho, {0.01, 0.99});
  return std::make_unique<Apgd>(options);
}

int read_refine(NotedSettings& settings, int fallback) {
  return static_cast<int>(settings.integer("refine", fallback, 0, most_halvings));
}

MadeAttack read_deepfool(NotedSettings& settings) {
  DeepFoolOptions options;
  options.norm = read_norm(settings, "2");
  options.steps = settings.integer("steps", options.steps, 1, most_steps);
  options.candidates = settings.integer("candidates", options.candidates, 1, most_classes);
  options.overshoot = settings.number("overshoot", options.overshoot, {0, 1});
  options.refine = read_refine(settings, options.refine);
  return std::make_unique<DeepFool>(options);
}

MadeAttack read_cw(NotedSettings& settings) {
  CarliniWagnerOptions options;
  options.steps = settings.integer("steps", options.steps, 1, most_steps);
  options.rounds = settings.integer("rounds", options.rounds, 1, 100);
  options.targets = settings.integer("targets", options.targets, 0, most_classes);
  options.c = settings.number("c", options.c, above_zero);
  options.lr = settings.number("lr", options.lr, above_zero);
  options.kappa = settings.number("kappa", options.kappa, {0, unlimited});
  options.through_tanh = settings.word("range", {"clip", "tanh"}, "clip") == 1;
  options.refine = read_refine(settings, options.refine);
  return std::make_unique<CarliniWagner>(options);
}

MadeAttack read_boundary(NotedSettings& settings) {
  BoundaryOptions options;
  options.steps = settings.integer("steps", options.steps, 1, most_steps);
  options.spherical_step = settings.number("spherical_step", options.spherical_step, above_zero);
  options.source_step = settings.number("source_step", options.source_step, {0, 0.99, true});
  options.refine = read_refine(settings, options.refine);
  return std::make_unique<Boundary>(options);
}

MadeAttack read_pointwise(NotedSettings& settings) {
  PointwiseOptions options;
  options.passes = settings.integer("passes", options.passes, 1, 1000);
  options.halvings = settings.integer("halvings", options.halvings, 1, most_halvings);
  return std::make_unique<Pointwise>(options);
}

MadeAttack read_fab(NotedSettings& settings) {
  FabOptions options;
  options.steps = settings.integer("steps", options.steps, 1, most_steps);
  options.targets = settings.integer("targets", options.targets, 1, most_classes);
  options.alpha_max = settings.number("alpha_max", options.alpha_max, {0, 1});
  options.eta = settings.number("eta", options.eta, {1, 10});
  options.beta = settings.number("beta", options.beta, {0.01, 0.99});
  options.refine = read_refine(settings, options.refine);
  return std::make_unique<Fab>(options);
}

MadeAttack read_square(NotedSettings& settings) {
  SquareOptions options;
  options.queries = settings.integer("queries", options.queries, 1, most_steps);
  options.p = settings.number("p", options.p, {0, 1, true});
  return std::make_unique<Square>(options);
}

MadeAttack read_autoattack(NotedSettings& settings) {
  AutoAttackOptions options;
  options.steps = settings.integer("steps", options.steps, 1, most_steps);
  options.targets = settings.integer("targets", options.targets, 1, most_restarts);
  options.queries = settings.integer("queries", options.queries, 1, most_steps);
  return std::make_unique<AutoAttack>(options);
}

MadeAttack read_universal(NotedSettings& settings) {
  UniversalOptions options;
  options.norm = read_norm(settings, "2");
  options.passes = settings.integer("passes", options.passes, 1, 1000);
  options.fooled = settings.number("fooled", options.fooled, {0, 1, true});
  options.steps = settings.integer("steps", options.steps, 1, most_steps);
  return std::make_unique<Universal>(options);
}

MadeAttack read_noise(NotedSettings& settings) {
  NoiseOptions options;
  options.norm = read_norm(settings, "2");
  options.samples = settings.integer("samples", options.samples, 1, most_steps);
  return std::make_unique<Noise>(options);
}

struct KnownAttack {
  std::string_view name;
  std::string_view description;
  MadeAttack (*read)(NotedSettings&);
};

constexpr KnownAttack known_attacks[] = {
    {"fgsm", "one step to the border of the ball along the gradient [Goodfellow 2015]", read_fgsm},
    {"bim", "steps along the gradient from the image [Kurakin 2017]", read_bim},
    {"pgd", "projected gradient ascent from random points of the ball [Madry 2018]", read_pgd},
    {"apgd",
     "the same with momentum and a step that adapts; loss=dlr,target=each is APGD-DLR-T "
     "[Croce 2020]",
     read_apgd},
    {"deepfool", "nearest input of another class, from linear models [Moosavi-Dezfooli 2016]",
     read_deepfool},
    {"cw", "nearest input of another class, by Adam, in l2 [Carlini 2017]", read_cw},
    {"fab",
     "nearest input of each likely class, by projections to linear borders, in l2 "
     "[Croce 2020b]",
     read_fab},
    {"boundary", "walk along the border, from classes alone, in l2 [Brendel 2018]", read_boundary},
    {"pointwise", "entry by entry back to the image, from classes alone [Schott 2019]",
     read_pointwise},
    {"square", "random search by squares, from logits alone, in l2 [Andriushchenko 2020]",
     read_square},
    {"autoattack", "apgd, apgd:loss=dlr,target=each, fab and square in turn, in l2 [Croce 2020]",
     read_autoattack},
    {"universal", "one perturbation for all images [Moosavi-Dezfooli 2017]", read_universal},
    {"noise", "random directions, what every attack must beat", read_noise},
};

const KnownAttack& attack_of(const std::string& name) {
  const auto* found = std::find_if(std::begin(known_attacks), std::end(known_attacks),
                                   [&](const KnownAttack& known) { return known.name == name; });
  if (found != std::end(known_attacks)) return *found;
  std::vector<std::string> names;
  for (const KnownAttack& known : known_attacks) names.emplace_back(known.name);
  throw ValueError(message("attack: expected a name among ", listed(names), ", got '", name, "'"));
}

}  // namespace

NamedAttack make_attack(std::string_view text) {
  NotedSettings settings(text);
  const KnownAttack& known = attack_of(settings.name());
  MadeAttack attack = known.read(settings);
  settings.done();
  return {std::string(text), settings.name(), settings.effective(), std::move(attack)};
}

std::vector<NamedAttack> make_attacks(std::string_view text) {
  std::vector<NamedAttack> attacks;
  while (true) {
    const std::size_t end = text.find(';');
    attacks.push_back(make_attack(text.substr(0, end)));
    for (std::size_t i = 0; i + 1 < attacks.size(); ++i) {
      require<ValueError>(
          attacks[i].name != attacks.back().name || attacks[i].settings != attacks.back().settings,
          "attack: expected each attack once, got ", attacks.back().text, " twice");
    }
    if (end == std::string_view::npos) return attacks;
    text.remove_prefix(end + 1);
  }
}

const std::vector<AttackInfo>& attack_infos() {
  static const std::vector<AttackInfo> infos = [] {
    std::vector<AttackInfo> all;
    for (const KnownAttack& known : known_attacks) {
      NotedSettings settings(known.name);
      static_cast<void>(known.read(settings));
      all.push_back({std::string(known.name), settings.synopsis(), std::string(known.description)});
    }
    return all;
  }();
  return infos;
}

}  // namespace isotape
