#include <isotape/optim/low_rank.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/low_rank.hpp>
#include <isotape/ops/reshape.hpp>
#include <isotape/optim/settings.hpp>

namespace isotape {
namespace {

constexpr std::int64_t exact_up_to = 1024;
constexpr std::int64_t most_activations = 16384;

// Numbers of one layer's text, within limits.
class Numbers {
 public:
  Numbers(Settings& settings, std::string name) : settings_(settings), name_(std::move(name)) {}
  std::int64_t count(std::string_view key, std::int64_t fallback, std::int64_t low,
                     std::int64_t high) {
    const double value = settings_.number(key, static_cast<double>(fallback));
    const bool is_in = value >= static_cast<double>(low) && value <= static_cast<double>(high);
    require<ValueError>(is_in && value == std::floor(value), "low-rank: ", name_, ": expected ",
                        key, " in ", low, "..", high, ", got ", value);
    return static_cast<std::int64_t>(value);
  }
  double not_below_zero(std::string_view key, double fallback) {
    const double value = settings_.number(key, fallback);
    require<ValueError>(std::isfinite(value) && value >= 0, "low-rank: ", name_, ": expected ", key,
                        " >= 0, got ", value);
    return value;
  }

 private:
  Settings& settings_;
  std::string name_;
};

Tensor identity_of_rank(std::int64_t m, std::int64_t rank) {
  Tensor w = Tensor::zeros({m, m});
  for (std::int64_t i = 0; i < rank; ++i) w.write<float>()[i * m + i] = 1;
  return w;
}

Var flattened(const Var& a) { return reshape(a, {a.dim(0), a.value().size() / a.dim(0)}); }

}  // namespace

LowRank::LowRank(std::string_view text, const Sequential& net, const Shape& input, const Rng& rng)
    : rng_(rng) {
  while (true) {
    const std::size_t end = text.find('+');
    add(text.substr(0, end), net, input);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  for (Layer& layer : layers_) {
    const ParameterList own = {{layer.name + ".w", layer.w.get()},
                               {layer.name + ".b", layer.b.get()}};
    list_.insert(list_.end(), own.begin(), own.end());
    layer.sgd = std::make_unique<Sgd>(own);
  }
}

void LowRank::add(std::string_view text, const Sequential& net, const Shape& input) {
  Settings settings(text);
  const std::string name = settings.name();
  const FoundPart part = find_part("low-rank", net, name, input);
  const std::int64_t m = part.output.size();
  require<ValueError>(m <= most_activations, "low-rank: ", name, ": expected at most ",
                      most_activations, " activations, got ", part.output);
  require<ValueError>(settings.has("rank"), "low-rank: ", name, ": expected a rank, as in ", name,
                      ":rank=10, got none");
  for (const Layer& layer : layers_) {
    require<ValueError>(layer.name != name, "low-rank: expected each layer once, got ", name,
                        " twice");
  }
  Numbers numbers(settings, name);
  Layer layer;
  layer.name = name;
  layer.module = part.module;
  layer.rank = numbers.count("rank", 1, 1, m);
  layer.projection = numbers.not_below_zero("projection", 1);
  layer.norm = numbers.not_below_zero("norm", 1);
  layer.lr = numbers.not_below_zero("lr", 0.1);
  layer.every = numbers.count("every", 10, 1, 1000000);
  layer.by_columns = settings.word("method", {"svd", "nystrom"},
                                   m <= exact_up_to ? "svd" : "nystrom") == "nystrom";
  layer.columns.columns = numbers.count("columns", std::min(4 * layer.rank, m), layer.rank, m);
  layer.columns.replicas = static_cast<int>(numbers.count("replicas", 3, 1, 100));
  settings.done();
  layer.w = std::make_unique<Parameter>(identity_of_rank(m, layer.rank));
  layer.b = std::make_unique<Parameter>(Tensor::zeros({m}));
  layers_.push_back(std::move(layer));
}

std::vector<const Module*> LowRank::modules() const {
  std::vector<const Module*> modules;
  for (const Layer& layer : layers_) modules.push_back(layer.module);
  return modules;
}

Var LowRank::loss(const Watch& watch) {
  Var total;
  for (Layer& layer : layers_) {
    const Var seen = watch.seen(layer.module);
    require<ValueError>(bool(seen), "low-rank: expected activations of ", layer.name,
                        ", got none: the forward pass does not reach it by itself");
    const Var a = flattened(seen);
    const Var loss =
        isotape::add(scale(projection_loss(a, layer.w->var(), layer.b->var()), layer.projection),
                     scale(norm_loss(a), layer.norm));
    total = total ? isotape::add(total, loss) : loss;
  }
  return total;
}

void LowRank::step(std::int64_t step, double factor) {
  for (Layer& layer : layers_) {
    layer.sgd->step(factor * layer.lr);
    if (step % layer.every != 0) continue;
    Rng columns = rng_.stream(layer.name).stream(static_cast<std::uint64_t>(step));
    const Tensor w = layer.w->value();
    layer.w->write() = layer.by_columns && layer.rank < w.dim(0)
                           ? nystrom_rank(w, layer.rank, layer.columns, columns)
                           : truncate_rank(w, layer.rank);
  }
}

std::vector<LowRank::Ratio> LowRank::variance_ratios(const Sequential& net,
                                                     const Tensor& inputs) const {
  const Paused paused;
  const Watch watch(modules());
  net.forward(inputs);
  std::vector<Ratio> ratios;
  for (const Layer& layer : layers_) {
    const std::vector<double> shares =
        isotape::variance_ratios(flattened(watch.seen(layer.module)).value());
    const auto last = static_cast<std::int64_t>(shares.size());
    ratios.push_back(
        {layer.name, layer.rank, shares[static_cast<std::size_t>(std::min(layer.rank, last) - 1)]});
  }
  return ratios;
}

}  // namespace isotape
