#include <isotape/apps/study/representation.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/apps/study/cut_net.hpp>
#include <isotape/apps/study/max_margin.hpp>
#include <isotape/ops/principal_components.hpp>
#include <isotape/ops/rank_projection.hpp>
#include <isotape/optim/attack_loss.hpp>

namespace isotape {
namespace {

constexpr std::int64_t most_entries = 25'000'000;  // of activations, f64
constexpr std::int64_t most_components = 50;
constexpr std::int64_t ranks[] = {1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 50};
constexpr std::int64_t embeddings[] = {2, 3, 5, 10, 20};

double mean_norm(const Tensor& a) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.dim(0); ++i) sum += frobenius_norm(a.rows(i, i + 1));
  return sum / static_cast<double>(a.dim(0));
}

double root_mean_square(const Tensor& a) {
  return frobenius_norm(a) / std::sqrt(static_cast<double>(a.dim(0)));
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Of classes in a space of k coordinates, the points given by those of a larger space.
Tensor first_columns(const Tensor& a, std::int64_t k) {
  Tensor to({a.dim(0), k}, DType::f64);
  for (std::int64_t i = 0; i < a.dim(0); ++i) {
    std::copy_n(a.data<double>() + i * a.dim(1), k, to.write<double>() + i * k);
  }
  return to;
}

PrincipalComponents first_components(const PrincipalComponents& all, std::int64_t k) {
  return {all.mean, all.directions.rows(0, k), {}};
}

// Of the dense layer that ends the net.
double cushion(const Model& model, const CutNet& cut, const Tensor& a) {
  const std::optional<DenseMap> dense = model.net.parts().back().module->dense_map();
  if (!dense || dense->weight.dim(1) != a.dim(1)) return std::nan("");
  const Tensor with_bias = cut.logits(a);
  const Tensor bias = cut.logits(Tensor::zeros({1, a.dim(1)}));
  const double size = dense->factor * frobenius_norm(dense->weight);
  double sum = 0;
  for (std::int64_t i = 0; i < a.dim(0); ++i) {
    Tensor image = with_bias.rows(i, i + 1).clone();
    add_in_place(image, bias, -1);
    const double length = frobenius_norm(a.rows(i, i + 1));
    if (length > 0) sum += frobenius_norm(image) / (size * length);
  }
  return sum / static_cast<double>(a.dim(0));
}

}  // namespace

double percent_right(const Tensor& logits, const std::vector<std::int32_t>& labels) {
  const std::vector<std::int32_t> classes = predicted(logits);
  std::int64_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) right += classes[i] == labels[i] ? 1 : 0;
  return 100 * static_cast<double>(right) / static_cast<double>(labels.size());
}

Representation representation(const Model& model, std::string_view layer, const Dataset& data) {
  const CutNet cut(model, layer);
  const auto rows = std::max<std::int64_t>(1, most_entries / cut.width());
  const auto some = [&](const Split& split, Tensor& activations,
                        std::vector<std::int32_t>& labels) {
    const std::int64_t count = std::min(rows, split.size());
    activations = cut.activations(split.pixels(0, count));
    labels.assign(split.labels.begin(), split.labels.begin() + count);
  };
  Representation seen;
  some(data.train, seen.train, seen.train_labels);
  some(data.test, seen.test, seen.test_labels);
  return seen;
}

StudyJson measure_representation(const Model& model, std::string_view layer,
                                 const Representation& seen,
                                 const std::function<void()>& check_interrupt) {
  const CutNet cut(model, layer);
  const std::int64_t most =
      std::min({most_components, seen.train.dim(1), seen.train.dim(0), seen.test.dim(0)});
  const PrincipalComponents all = principal_components(seen.train, most);
  check_interrupt();
  std::vector<double> shares = variance_ratios(seen.test);
  shares.resize(static_cast<std::size_t>(most));
  StudyJson result = {{"norm", mean_norm(seen.test)},
                      {"variance", shares},
                      {"truncation", StudyJson::array()},
                      {"embedding", StudyJson::array()}};
  for (const std::int64_t k : ranks) {
    if (k > most) continue;
    const Tensor moved = first_components(all, k).nearest(seen.test);
    result["truncation"].push_back({k, percent_right(cut.logits(moved), seen.test_labels)});
  }
  const Tensor train = all.coordinates(seen.train);
  const Tensor test = all.coordinates(seen.test);
  for (const std::int64_t k : embeddings) {
    if (k > most) continue;
    const MaxMargin classifier =
        fit_max_margin(first_columns(train, k), seen.train_labels, model.classes, check_interrupt);
    const Tensor points = first_columns(test, k);
    result["embedding"].push_back(
        {k, percent_right(classifier.logits(points), seen.test_labels),
         median(classifier.distances(points, seen.test_labels)) / root_mean_square(points)});
  }
  const double share = cushion(model, cut, seen.test);
  if (!std::isnan(share)) result["cushion"] = share;
  return result;
}

StudyJson measure_head(const Model& model, std::string_view layer, const Representation& seen,
                       const std::function<void()>& check_interrupt) {
  const MaxMargin head =
      fit_max_margin(seen.train, seen.train_labels, model.classes, check_interrupt);
  return {{"accuracy", percent_right(head.logits(seen.test), seen.test_labels)},
          {"parameters", head.weight.size() + head.bias.size()},
          {"parameters_replaced", CutNet(model, layer).parameters_behind()}};
}

StudyJson picture(const Representation& seen, std::int64_t count) {
  const PrincipalComponents two = principal_components(seen.train, 2);
  const std::int64_t n = std::min(count, seen.test.dim(0));
  const Tensor at = two.coordinates(seen.test.rows(0, n));
  const auto rounded = [](double x) { return std::round(x * 1e4) / 1e4; };
  StudyJson points = StudyJson::array();
  for (std::int64_t i = 0; i < n; ++i) {
    points.push_back({rounded(at.at(2 * i)), rounded(at.at(2 * i + 1)),
                      seen.test_labels[static_cast<std::size_t>(i)]});
  }
  return points;
}

}  // namespace isotape
