#include <isotape/apps/evaluation.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <isotape/core/error.hpp>

namespace isotape {

double certified_radius(const double* logits, std::int64_t classes, std::int32_t label,
                        double lipschitz_bound) {
  double runner_up = -std::numeric_limits<double>::infinity();
  for (std::int64_t j = 0; j < classes; ++j) {
    if (j != label) runner_up = std::max(runner_up, logits[j]);
  }
  const double margin = logits[label] - runner_up;
  if (!(margin > 0)) return 0;
  // Difference, product and quotient are each off by at most half an ulp, sqrt(2) likewise: four
  // steps down cover them.
  double radius = margin / (std::sqrt(2.0) * lipschitz_bound);
  for (int i = 0; i < 4; ++i) radius = std::nextafter(radius, 0.0);
  return radius;
}

double certified_percent(const std::vector<double>& radii, double eps) {
  const auto above =
      std::count_if(radii.begin(), radii.end(), [eps](double radius) { return radius > eps; });
  return 100 * static_cast<double>(above) / static_cast<double>(radii.size());
}

Evaluation evaluate(Model& model, const Split& split, const std::vector<double>& eps,
                    std::int64_t batch) {
  const Paused paused;
  model.net.prepare();
  Evaluation result;
  result.images = split.size();
  result.lipschitz_bound = model.net.lipschitz_bound().value;
  std::int64_t correct = 0;
  for (std::int64_t begin = 0; begin < split.size(); begin += batch) {
    const std::int64_t end = std::min(begin + batch, split.size());
    const Tensor logits = model.net.forward(split.pixels(begin, end)).value().to(DType::f64);
    for (std::int64_t i = begin; i < end; ++i) {
      const double* row = logits.data<double>() + (i - begin) * model.classes;
      for (std::int64_t j = 0; j < model.classes; ++j) {
        require<NumericError>(std::isfinite(row[j]), "evaluate: expected finite logits, got ",
                              row[j], " for class ", j, " of image ", i);
      }
      const auto winner =
          static_cast<std::int32_t>(std::distance(row, std::max_element(row, row + model.classes)));
      const std::int32_t label = split.labels[i];
      if (winner == label) ++correct;
      result.classes.push_back(winner);
      result.radii.push_back(certified_radius(row, model.classes, label, result.lipschitz_bound));
    }
  }
  const auto count = static_cast<double>(std::max<std::int64_t>(result.images, 1));
  result.clean_accuracy = 100 * static_cast<double>(correct) / count;
  for (const double e : eps)
    result.certified_accuracy.push_back(certified_percent(result.radii, e));
  result.mean_certified_radius =
      std::accumulate(result.radii.begin(), result.radii.end(), 0.0) / count;
  return result;
}

}  // namespace isotape
