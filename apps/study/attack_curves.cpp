#include <isotape/apps/study/attack_curves.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/apps/attack_evaluation.hpp>
#include <isotape/apps/study/cut_net.hpp>
#include <isotape/apps/study/representation.hpp>
#include <isotape/optim/attack_loss.hpp>

namespace isotape {
namespace {

constexpr std::int64_t at_once = 500;
constexpr double sizes[] = {0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5};
constexpr double shares[] = {0.2, 0.4, 0.6, 0.8, 1};

// What each attack is made from; those that take steps do not stop early on a stranger.
constexpr std::pair<const char*, const char*> texts[] = {
    {"fgsm", "fgsm:norm=inf,loss=ce"},
    {"bim", "bim:norm=inf,loss=ce"},
    {"ill", "bim:norm=inf,loss=ce,target=least-likely"},
    {"pgd", "pgd:norm=inf,loss=ce,steps=20"}};

std::string on_stranger(const std::string& text) {
  return text.starts_with("fgsm") ? text : text + ",early_stop=0";
}

AttackTask task_of(const AttackedImages& images, std::int64_t begin, std::int64_t end, double eps) {
  AttackTask task;
  task.x = images.x.rows(begin, end);
  task.labels.assign(images.labels.begin() + begin, images.labels.begin() + end);
  task.eps = eps;
  task.range = images.range;
  for (std::int64_t i = begin; i < end; ++i) {
    task.rngs.push_back(images.rng.stream(static_cast<std::uint64_t>(i)));
  }
  return task;
}

// What an attack finds for all images.
Tensor found_by(const Attack& attack, const Model& source, const AttackedImages& images, double eps,
                const std::function<void()>& check_interrupt) {
  const Victim victim(source.net);
  Tensor all = images.x.clone();
  const std::int64_t n = images.x.dim(0);
  const std::int64_t entries = images.x.size() / n;
  for (std::int64_t begin = 0; begin < n; begin += at_once) {
    check_interrupt();
    const std::int64_t end = std::min(begin + at_once, n);
    const Tensor x = attack.run(victim, task_of(images, begin, end, eps)).x;
    std::copy_n(x.data<float>(), x.size(), all.write<float>() + begin * entries);
  }
  return all;
}

Tensor logits_of(const Model& model, const Tensor& x) { return Victim(model.net).logits(x); }

double right(const Model& model, const Tensor& x, const AttackedImages& images) {
  return percent_right(logits_of(model, x), images.labels);
}

std::vector<double> row_norms(const Tensor& a) {
  std::vector<double> norms;
  for (std::int64_t i = 0; i < a.dim(0); ++i) norms.push_back(frobenius_norm(a.rows(i, i + 1)));
  return norms;
}

// a + factors_i b_i by rows.
Tensor moved(const Tensor& a, const Tensor& b, const std::vector<double>& factors) {
  Tensor to = a.clone();
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    Tensor part = to.rows(row, row + 1);
    add_in_place(part, b.rows(row, row + 1), factors[i]);
  }
  return to;
}

// mean_i |b_i - a_i|^2 / |a_i|^2.
double mean_square_change(const Tensor& a, const Tensor& b) {
  const std::vector<double> base = row_norms(a);
  const std::vector<double> far = row_norms(moved(b, a, std::vector<double>(base.size(), -1)));
  double sum = 0;
  for (std::size_t i = 0; i < base.size(); ++i) {
    if (base[i] > 0) sum += std::pow(far[i] / base[i], 2);
  }
  return sum / static_cast<double>(base.size());
}

// b less a, each row scaled to length 1, or left at 0.
Tensor unit_differences(const Tensor& a, const Tensor& b) {
  Tensor difference = b.clone();
  add_in_place(difference, a, -1);
  std::vector<double> factors = row_norms(difference);
  for (double& f : factors) f = f > 0 ? 1 / f : 0;
  return moved(Tensor::zeros(a.shape()), difference, factors);
}

}  // namespace

AttackedImages attacked_images(const Split& split, std::int64_t count, const Rng& rng) {
  const std::int64_t n = std::min(count, split.size());
  return {split.pixels(0, n),
          {split.labels.begin(), split.labels.begin() + n},
          pixel_range(split),
          rng};
}

const std::vector<std::string>& attack_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& [name, text] : texts) all.emplace_back(name);
    return all;
  }();
  return names;
}

StudyJson attack_curves(const Model& source, const Model& target, const AttackedImages& images,
                        const std::vector<double>& eps,
                        const std::function<void()>& check_interrupt) {
  StudyJson curves;
  for (const auto& [name, text] : texts) {
    const NamedAttack named = make_attack(&source == &target ? text : on_stranger(text));
    curves[name] = StudyJson::array();
    for (const double e : eps) {
      const Tensor x = found_by(*named.attack, source, images, e, check_interrupt);
      curves[name].push_back({e, right(target, x, images)});
    }
  }
  return curves;
}

StudyJson attack_hard(const Model& model, const AttackedImages& images, double eps,
                      const std::function<void()>& check_interrupt) {
  StudyJson left;
  for (const auto& [name, text] : {std::pair{"strong", "pgd:norm=inf,steps=100,restarts=2"},
                                   std::pair{"signs", "noise:norm=inf,samples=10"}}) {
    const NamedAttack named = make_attack(text);
    left[name] = right(model, found_by(*named.attack, model, images, eps, check_interrupt), images);
  }
  return left;
}

DeepFoolWays deepfool_ways(const Model& source, const AttackedImages& images) {
  const NamedAttack named = make_attack("deepfool:norm=2");
  const Tensor x =
      found_by(*named.attack, source, images, std::numeric_limits<double>::infinity(), [] {});
  DeepFoolWays ways{unit_differences(images.x, x), row_distances(BallNorm::l2, images.x, x)};
  const std::vector<double> size = row_norms(images.x);
  for (std::size_t i = 0; i < size.size(); ++i) ways.rho[i] /= size[i];
  return ways;
}

Tensor random_ways(const AttackedImages& images) {
  RowRngs rngs;
  const Rng rng = images.rng.stream("ways");
  for (std::int64_t i = 0; i < images.x.dim(0); ++i) {
    rngs.push_back(rng.stream(static_cast<std::uint64_t>(i)));
  }
  return random_directions(BallNorm::l2, images.x, rngs);
}

StudyJson along(const Tensor& ways, const Model& target, std::string_view layer,
                const AttackedImages& images, const std::function<void()>& check_interrupt) {
  const CutNet cut(target, layer);
  const Tensor at_rest = cut.activations(images.x);
  const std::vector<double> lengths = row_norms(images.x);
  StudyJson result = {{"accuracy", StudyJson::array()}, {"stability", StudyJson::array()}};
  for (const double size : sizes) {
    check_interrupt();
    std::vector<double> factors = lengths;
    for (double& f : factors) f *= size;
    Tensor x = moved(images.x, ways, factors);
    clip(images.range, x);
    const Tensor a = cut.activations(x);
    result["accuracy"].push_back({size, percent_right(cut.logits(a), images.labels)});
    result["stability"].push_back(
        {mean_square_change(images.x, x), mean_square_change(at_rest, a)});
  }
  return result;
}

StudyJson noise_curve(const Model& model, const AttackedImages& images, double deviation) {
  StudyJson curve = StudyJson::array();
  for (const double share : shares) {
    Rng rng = images.rng.stream("noise");
    Tensor x = images.x.clone();
    auto* entries = x.write<float>();
    for (std::int64_t k = 0; k < x.size(); ++k) {
      const bool is_hit = rng.uniform() < share;
      const double noise = deviation * rng.normal();
      if (is_hit) entries[k] += static_cast<float>(noise);
    }
    clip(images.range, x);
    curve.push_back({share, right(model, x, images)});
  }
  return curve;
}

double percent_saturated(const Model& model, const AttackedImages& images) {
  const Tensor f = logits_of(model, images.x);
  const std::int64_t classes = f.dim(1);
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < f.dim(0); ++i) {
    const std::int64_t y = images.labels[static_cast<std::size_t>(i)];
    double others = 0;
    for (std::int64_t j = 0; j < classes; ++j) {
      if (j != y) others += std::exp(f.at(i * classes + j) - f.at(i * classes + y));
    }
    count += others < std::ldexp(1, -24) ? 1 : 0;
  }
  return 100 * static_cast<double>(count) / static_cast<double>(f.dim(0));
}

}  // namespace isotape
