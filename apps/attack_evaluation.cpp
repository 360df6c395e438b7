#include <isotape/apps/attack_evaluation.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include <isotape/core/error.hpp>
#include <isotape/optim/attack_loss.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t most_starts = 1000;

double percent_above(const std::vector<double>& values, double eps) {
  const auto above =
      std::count_if(values.begin(), values.end(), [eps](double value) { return value > eps; });
  return 100 * static_cast<double>(above) / static_cast<double>(values.size());
}

std::vector<std::string> labels_of(const std::vector<NamedAttack>& attacks) {
  std::vector<std::string> labels;
  for (std::size_t i = 0; i < attacks.size(); ++i) {
    const auto earlier =
        std::count_if(attacks.begin(), attacks.begin() + static_cast<int>(i),
                      [&](const NamedAttack& a) { return a.name == attacks[i].name; });
    labels.push_back(attacks[i].name + (earlier > 0 ? ' ' + std::to_string(earlier + 1) : ""));
  }
  return labels;
}

// One evaluation: the images, what is known of them, and what is found.
class Siege {
 public:
  Siege(Model& model, const Split& split, const Evaluation& evaluation,
        const AttackEvaluationOptions& options, AttackEvaluation& result)
      : model_(model),
        split_(split),
        evaluation_(evaluation),
        options_(options),
        victim_(model.net),
        starts_(split.pixels(0, std::min(split.size(), most_starts))),
        result_(result) {}

  // Looks at the images not broken within eps, or at all of them if eps is infinite.
  void attack(const NamedAttack& named, AttackOutcome& outcome, const Eps& eps) {
    std::vector<std::int64_t> images;
    for (std::int64_t i = 0; i < result_.images; ++i) {
      const double known = outcome.distance[static_cast<std::size_t>(i)];
      if (std::isinf(eps.value) ? known > 0 : known > eps.value) images.push_back(i);
    }
    const auto count = static_cast<std::int64_t>(images.size());
    const std::int64_t batch =
        named.attack->is_universal() ? std::max<std::int64_t>(count, 1) : options_.batch;
    for (std::int64_t begin = 0; begin < count; begin += batch) {
      const std::int64_t end = std::min(begin + batch, count);
      const std::vector<std::int64_t> some(images.begin() + begin, images.begin() + end);
      note(some, named.attack->run(victim_, task(named, some, eps.value)), outcome);
      if (!options_.progress) continue;
      const auto broken = std::count_if(outcome.distance.begin(), outcome.distance.end(),
                                        [](double d) { return std::isfinite(d); });
      const std::string where = std::isinf(eps.value) ? "" : " at " + eps.text;
      options_.progress({outcome.label + where, end, count, end - begin, broken});
    }
  }

 private:
  AttackTask task(const NamedAttack& named, const std::vector<std::int64_t>& images,
                  double eps) const {
    AttackTask task;
    const Tensor first = split_.pixels(images.front(), images.front() + 1);
    task.x = Tensor(first.shape().with(0, static_cast<std::int64_t>(images.size())));
    const Rng rng = Rng(options_.seed).stream(named.name);
    for (std::size_t k = 0; k < images.size(); ++k) {
      const std::int64_t row[] = {static_cast<std::int64_t>(k)};
      put_rows(task.x, row, split_.pixels(images[k], images[k] + 1));
      task.labels.push_back(split_.labels[static_cast<std::size_t>(images[k])]);
      task.rngs.push_back(rng.stream(static_cast<std::uint64_t>(images[k])));
    }
    task.eps = eps;
    task.range = result_.range;
    task.starts = starts_;
    return task;
  }

  void note(const std::vector<std::int64_t>& images, const AttackResult& found,
            AttackOutcome& outcome) {
    const std::vector<double>& far = outcome.norm == BallNorm::l2 ? found.l2 : found.linf;
    for (std::size_t k = 0; k < images.size(); ++k) {
      const auto i = static_cast<std::size_t>(images[k]);
      if (found.success[k] == 0 || far[k] >= outcome.distance[i]) continue;
      if (found.l2[k] < evaluation_.radii[i] &&
          !is_confirmed(
              images[k],
              found.x.rows(static_cast<std::int64_t>(k), static_cast<std::int64_t>(k) + 1),
              found.l2[k], outcome.label)) {
        ++result_.only_rounding;
        continue;
      }
      outcome.distance[i] = far[k];
    }
  }

  // Whether the net in f64 changes its class, too: then the certificate is broken.
  bool is_confirmed(std::int64_t image, const Tensor& x, double l2, const std::string& attack) {
    if (!exact_) exact_ = model_.net.materialize(DType::f64);
    const Paused paused;
    const Tensor logits = exact_->forward(x.to(DType::f64)).value();
    const auto i = static_cast<std::size_t>(image);
    const std::int32_t found = predicted(logits)[0];
    if (found == split_.labels[i]) return false;
    result_.broken.push_back({image, split_.labels[i], found, attack, l2, evaluation_.radii[i],
                              split_.pixels(image, image + 1).reshaped(model_.input),
                              x.clone().reshaped(model_.input)});
    return true;
  }

  Model& model_;
  const Split& split_;
  const Evaluation& evaluation_;
  const AttackEvaluationOptions& options_;
  Victim victim_;
  Tensor starts_;
  std::unique_ptr<Module> exact_;  // the folded net in f64, once it is asked for
  AttackEvaluation& result_;
};

std::vector<Sandwich> sandwiches_of(const AttackEvaluation& result,
                                    const std::vector<double>& radii, std::int64_t entries,
                                    const std::vector<Eps>& eps) {
  std::vector<Sandwich> all;
  for (const BallNorm norm : {BallNorm::l2, BallNorm::linf}) {
    std::vector<double> nearest(radii.size(), infinity);
    bool is_attacked = false;
    for (const AttackOutcome& outcome : result.outcomes) {
      if (outcome.norm != norm) continue;
      is_attacked = true;
      for (std::size_t i = 0; i < nearest.size(); ++i) {
        nearest[i] = std::min(nearest[i], outcome.distance[i]);
      }
    }
    if (!is_attacked) continue;
    Sandwich sandwich{norm, {}, {}};
    for (const Eps& e : eps) {
      // |delta|_2 <= sqrt(d) |delta|_inf, rounded up.
      const double l2 = norm == BallNorm::l2
                            ? e.value
                            : e.value * std::sqrt(static_cast<double>(entries)) * (1 + 1e-15);
      sandwich.certified.push_back(percent_above(radii, l2));
      sandwich.attacked.push_back(percent_above(nearest, e.value));
    }
    all.push_back(std::move(sandwich));
  }
  return all;
}

}  // namespace

PixelRange pixel_range(const Split& split) {
  if (split.images.dtype() == DType::u8) return {0, 1};
  for (std::int64_t k = 0; k < split.images.size(); ++k) {
    const double pixel = split.images.at(k);
    if (!(0 <= pixel && pixel <= 1)) return {};
  }
  return {0, 1};
}

AttackEvaluation evaluate_attacks(Model& model, const Split& split, const Evaluation& evaluation,
                                  const std::vector<NamedAttack>& attacks,
                                  const std::vector<Eps>& eps,
                                  const AttackEvaluationOptions& options) {
  model.net.prepare();
  AttackEvaluation result;
  result.images = std::min(options.images, split.size());
  require<ValueError>(result.images >= 1, "attack: expected images, got none");
  result.seed = options.seed;
  result.range = pixel_range(split);
  std::vector<double> radii(evaluation.radii.begin(), evaluation.radii.begin() + result.images);
  std::vector<double> known(radii.size(), infinity);
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (evaluation.classes[i] != split.labels[i]) known[i] = 0;
  }
  result.clean_accuracy = percent_above(known, 0);

  std::vector<Eps> ascending = eps;
  std::sort(ascending.begin(), ascending.end(),
            [](const Eps& a, const Eps& b) { return a.value < b.value; });
  const std::vector<std::string> labels = labels_of(attacks);
  Siege siege(model, split, evaluation, options, result);
  for (std::size_t a = 0; a < attacks.size(); ++a) {
    const Attack& attack = *attacks[a].attack;
    AttackOutcome outcome{
        labels[a], attacks[a].name, attacks[a].settings, attack.norm(), attack.goal(), known, {}};
    if (attack.goal() == AttackGoal::nearest) {
      siege.attack(attacks[a], outcome, {"", infinity});
    } else {
      for (const Eps& e : ascending) siege.attack(attacks[a], outcome, e);
    }
    for (const Eps& e : eps) outcome.accuracy.push_back(percent_above(outcome.distance, e.value));
    result.outcomes.push_back(std::move(outcome));
  }
  result.sandwiches = sandwiches_of(result, radii, model.input.size(), eps);
  return result;
}

}  // namespace isotape
