#include <isotape/layers/jacobian.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/tape.hpp>

namespace isotape {
namespace {

// A recorded pass at x, to be multiplied by its Jacobian or the transpose any number of times.
class Recording {
 public:
  Recording(const Module& net, const Tensor& x) : x_(tape_.leaf(x)), y_(net.forward(x_)) {}

  const Shape& inputs() const { return x_.shape(); }
  const Shape& outputs() const { return y_.shape(); }

  // J dx, zeros where no output depends on an input.
  Tensor times(const Tensor& dx) {
    const Var ys[] = {y_};
    const Var xs[] = {x_};
    const Tensor dy = tape_.jvp(ys, xs, {dx})[0];
    return finite(dy ? dy : Tensor::zeros(outputs(), DType::f64));
  }
  // J^T dy
  Tensor transposed_times(const Tensor& dy) {
    tape_.clear_grads();
    if (y_.tape() != nullptr) tape_.backward(y_, dy, {.retain = true});
    const Tensor dx = x_.grad();
    return finite(dx ? dx.clone() : Tensor::zeros(inputs(), DType::f64));
  }

 private:
  static Tensor finite(Tensor product) {
    require<NumericError>(all_finite(product),
                          "jacobian: expected finite derivatives, got NaN or infinity");
    return product;
  }
  const ConstantParameters constant_;
  Tape tape_;
  Var x_;
  Var y_;
};

// Puts row i of a batch of vectors where the Jacobian of input i has its row (or column) k.
void put(const Tensor& batch, std::int64_t k, std::vector<Tensor>& jacobians) {
  for (std::size_t i = 0; i < jacobians.size(); ++i) {
    const std::int64_t width = jacobians[i].dim(1);
    std::copy_n(batch.data<double>() + static_cast<std::int64_t>(i) * width, width,
                jacobians[i].write<double>() + k * width);
  }
}

// A batch whose rows are all the unit vector k.
Tensor units(const Shape& shape, std::int64_t k) {
  Tensor batch = Tensor::zeros(shape, DType::f64);
  const std::int64_t each = shape.inner(0);
  for (std::int64_t i = 0; i < shape[0]; ++i) batch.write<double>()[i * each + k] = 1;
  return batch;
}

// Lanczos with full reorthogonalization on a symmetric map, from a unit vector: the diagonals of
// the tridiagonal matrix. It ends early where the Krylov space is exhausted.
struct Tridiagonal {
  std::vector<double> diagonal, beside;
};

template <class Apply>
Tridiagonal lanczos(Tensor start, int steps, Apply&& apply) {
  Tridiagonal t;
  std::vector<Tensor> basis = {std::move(start)};
  for (int k = 0; k < steps; ++k) {
    Tensor next = apply(basis.back());
    t.diagonal.push_back(dot(next, basis.back()));
    const double scale = frobenius_norm(next);
    for (int pass = 0; pass < 2; ++pass) {
      for (const Tensor& q : basis) add_in_place(next, q, -dot(next, q));
    }
    const double norm = frobenius_norm(next);
    if (k + 1 == steps || !(norm > 1e-12 * scale)) break;
    t.beside.push_back(norm);
    Tensor unit = Tensor::zeros(next.shape(), DType::f64);
    add_in_place(unit, next, 1 / norm);
    basis.push_back(unit);
  }
  return t;
}

// Nodes and weights of one probe, appended as (sigma, weight / probes).
void append_quadrature(const Tridiagonal& t, int probes,
                       std::vector<std::pair<double, double>>& nodes) {
  const auto n = static_cast<std::int64_t>(t.diagonal.size());
  Tensor matrix = Tensor::zeros({n, n}, DType::f64);
  auto* a = matrix.write<double>();
  for (std::int64_t i = 0; i < n; ++i) {
    a[i * n + i] = t.diagonal[i];
    if (i + 1 < n) a[i * n + i + 1] = a[(i + 1) * n + i] = t.beside[i];
  }
  std::vector<double> values(static_cast<std::size_t>(n));
  blas::symmetric_eigen(n, a, values.data());
  for (std::int64_t i = 0; i < n; ++i) {
    const double first = a[i * n];  // row i is eigenvector i
    nodes.emplace_back(std::sqrt(std::max(0.0, values[i])), first * first / probes);
  }
}

}  // namespace

std::vector<std::vector<double>> jacobian_singular_values(const Module& net, const Tensor& x) {
  Recording recording(net, x);
  const std::int64_t n = x.dim(0);
  const std::int64_t inputs = recording.inputs().inner(0);
  const std::int64_t outputs = recording.outputs().inner(0);
  const std::int64_t lines = std::min(inputs, outputs);
  std::vector<Tensor> jacobians;
  for (std::int64_t i = 0; i < n; ++i) {
    jacobians.emplace_back(Shape{lines, std::max(inputs, outputs)}, DType::f64);
  }
  for (std::int64_t k = 0; k < lines; ++k) {
    put(outputs <= inputs ? recording.transposed_times(units(recording.outputs(), k))
                          : recording.times(units(recording.inputs(), k)),
        k, jacobians);
  }
  std::vector<std::vector<double>> values;
  values.reserve(jacobians.size());
  for (const Tensor& jacobian : jacobians) values.push_back(singular_values(jacobian));
  return values;
}

double SpectralDensity::quantile(double share) const {
  double below = 0;
  for (std::size_t i = sigma.size(); i-- > 0;) {
    below += weight[i];
    if (below >= share * (1 - 1e-12)) return sigma[i];
  }
  return sigma.empty() ? 0 : sigma.front();
}

SpectralDensity jacobian_density(const Module& net, const Tensor& x, int steps, int probes,
                                 Rng& rng) {
  require<ValueError>(x.rank() >= 1 && x.dim(0) == 1 && steps >= 1 && probes >= 1,
                      "jacobian_density: expected one input, steps and probes >= 1, got ",
                      x.shape(), ", ", steps, " and ", probes);
  Recording recording(net, x);
  const bool by_outputs = recording.outputs().size() <= recording.inputs().size();
  const Shape& side = by_outputs ? recording.outputs() : recording.inputs();
  const auto apply = [&](const Tensor& v) {
    return by_outputs ? recording.times(recording.transposed_times(v))
                      : recording.transposed_times(recording.times(v));
  };
  const int most = static_cast<int>(std::min<std::int64_t>(steps, side.size()));
  std::vector<std::pair<double, double>> nodes;
  for (int probe = 0; probe < probes; ++probe) {
    const Tensor direction = random_normal(rng, side, 1, DType::f64);
    Tensor unit = Tensor::zeros(side, DType::f64);
    add_in_place(unit, direction, 1 / frobenius_norm(direction));
    append_quadrature(lanczos(unit, most, apply), probes, nodes);
  }
  std::sort(nodes.begin(), nodes.end(), std::greater<>());
  SpectralDensity density;
  for (const auto& [sigma, weight] : nodes) {
    density.sigma.push_back(sigma);
    density.weight.push_back(weight);
  }
  return density;
}

}  // namespace isotape
