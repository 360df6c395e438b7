#include <isotape/optim/make_attack.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/optim/fgsm.hpp>
#include <isotape/optim/pgd.hpp>

namespace isotape {
namespace {

using MadeAttack = std::unique_ptr<const Attack>;

constexpr double unlimited = std::numeric_limits<double>::max();
constexpr Interval above_zero{0, unlimited, true};
constexpr std::int64_t most_steps = 1000000;
constexpr std::int64_t most_restarts = 1000;

BallNorm read_norm(NotedSettings& settings, std::string_view fallback) {
  return settings.word("norm", {"2", "inf"}, fallback) == 0 ? BallNorm::l2 : BallNorm::linf;
}

AttackObjective read_objective(NotedSettings& settings) {
  constexpr AttackObjective objectives[] = {AttackObjective::margin, AttackObjective::cross_entropy,
                                            AttackObjective::dlr};
  return objectives[settings.word("loss", {"margin", "ce", "dlr"}, "margin")];
}

AttackTarget read_target(NotedSettings& settings, bool has_restarts) {
  std::vector<std::string> words = {"none", "least-likely"};
  if (has_restarts) words.emplace_back("each");
  const std::string text = settings.word_or_integer("target", words, "none", 1000000);
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
  return std::make_unique<Pgd>(options);
}

MadeAttack read_pgd(NotedSettings& settings) {
  PgdOptions options = read_steps(settings, 50);
  options.restarts = settings.integer("restarts", 1, 1, most_restarts);
  options.random_start = settings.word("start", {"random", "image"}, "random") == 0;
  options.momentum = settings.number("momentum", 0, {0, 1});
  options.objective = read_objective(settings);
  options.target = read_target(settings, true);
  return std::make_unique<Pgd>(options);
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
