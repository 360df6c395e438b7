#include <isotape/apps/study/random_labels.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/normalize.hpp>
#include <isotape/ops/path_norm.hpp>
#include <isotape/ops/reduce.hpp>
#include <isotape/ops/spectral_bound.hpp>
#include <isotape/optim/adam.hpp>
#include <isotape/optim/schedule.hpp>

namespace isotape {
namespace {

constexpr std::int64_t longest = 6000;  // steps of a fit
constexpr std::int64_t free_steps = 1000;
constexpr double rate = 5e-3;
constexpr double fitted = 1e-3;

Var activate(const std::string& name, const Var& x) {
  if (name == "relu") return relu(x);
  if (name == "square") return square(x);
  if (name == "cube") return mul(square(x), x);
  throw ValueError("activation: expected relu, square or cube, got '" + name + "'");
}

}  // namespace

Tensor sphere_points(std::int64_t n, std::int64_t d, Rng rng) {
  return unit_rows(random_normal(rng, {n, d})).value();
}

RandomLabels random_labels(std::int64_t n, std::int64_t d, Rng rng) {
  RandomLabels data{sphere_points(n, d, rng.stream("points")), Tensor({n, 1})};
  Rng signs = rng.stream("labels");
  auto* y = data.y.write<float>();
  std::generate_n(y, n, [&] { return signs.below(2) == 0 ? -1.0F : 1.0F; });
  return data;
}

FreeNet::FreeNet(const PlainNet& options, Rng rng) : activation_(options.activation) {
  std::int64_t in = options.inputs;
  for (std::size_t l = 0; l <= options.hidden.size(); ++l) {
    const bool is_last = l == options.hidden.size();
    const std::int64_t out = is_last ? 1 : options.hidden[l];
    const double bound = 1 / std::sqrt(static_cast<double>(in));
    if (options.is_wide_start) {
      weights_.emplace_back(random_normal(rng, {out, in}, is_last ? bound : 1));
      biases_.emplace_back(Tensor::zeros({out}));
    } else {
      weights_.emplace_back(random_uniform(rng, {out, in}, -bound, bound));
      biases_.emplace_back(random_uniform(rng, {out}, -bound, bound));
    }
    in = out;
  }
}

Var FreeNet::operator()(const Var& x) {
  Var h = x;
  for (std::size_t l = 0; l < weights_.size(); ++l) {
    if (l > 0) h = activate(activation_, h);
    h = affine(h, weights_[l].var(), biases_[l].var());
  }
  return h;
}

ParameterList FreeNet::parameters() {
  ParameterList list;
  for (std::size_t l = 0; l < weights_.size(); ++l) {
    const std::string name = "fc" + std::to_string(l + 1);
    list.push_back({name + ".weight", &weights_[l]});
    list.push_back({name + ".bias", &biases_[l]});
  }
  return list;
}

std::int64_t FreeNet::size() const {
  std::int64_t size = 0;
  for (const Parameter& weight : weights_) size += weight.value().size();
  for (const Parameter& bias : biases_) size += bias.value().size();
  return size;
}

std::vector<double> FreeNet::gradient_norms(const Tensor& points, bool tangential) {
  constexpr std::int64_t at_once = 2000;
  const std::int64_t d = points.dim(1);
  std::vector<double> norms;
  const ConstantParameters constant;
  for (std::int64_t begin = 0; begin < points.dim(0); begin += at_once) {
    const Tensor some = points.rows(begin, std::min(begin + at_once, points.dim(0)));
    Tape tape;
    const Var x = tape.leaf(some);
    const Var y = (*this)(x);
    tape.backward(y, Tensor::full(y.shape(), 1));
    const Tensor& gradient = x.grad();
    for (std::int64_t i = 0; i < some.dim(0); ++i) {
      double square = 0;
      double along = 0;
      double length = 0;
      for (std::int64_t j = i * d; j < (i + 1) * d; ++j) {
        square += gradient.at(j) * gradient.at(j);
        along += gradient.at(j) * some.at(j);
        length += some.at(j) * some.at(j);
      }
      if (tangential) square -= along * along / length;
      norms.push_back(std::sqrt(std::max(square, 0.0)));
    }
  }
  return norms;
}

Var FreeNet::path_norm() { return isotape::path_norm(weights_.at(0).var(), weights_.at(1).var()); }

double FreeNet::norm_product() const {
  double product = 1;
  for (const Parameter& weight : weights_) product *= spectral_norm_bound(weight.value());
  return product;
}

Fit fit(FreeNet& net, const RandomLabels& data, double penalty,
        const std::function<void()>& check_interrupt) {
  Adam adam(net.parameters());
  const Schedule schedule(Cosine{1e-3}, Every::step);
  Fit result;
  for (;; ++result.steps) {
    check_interrupt();
    Tape tape;
    const Var error = mean(square(sub(net(data.x), data.y)));
    result.mse = error.value().item();
    if (result.steps == longest || (penalty == 0 && result.mse < fitted)) return result;
    Var loss = error;
    if (penalty > 0 && result.steps >= free_steps) {
      const double factor = penalty / std::sqrt(static_cast<double>(data.x.dim(0)));
      loss = add(loss, scale(net.path_norm(), factor));
    }
    tape.backward(loss);
    adam.step(rate * schedule.factor(result.steps, longest, 1));
  }
}

}  // namespace isotape
