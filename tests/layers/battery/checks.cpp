#include <doctest/doctest.h>
#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/checkpoint.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reduce.hpp>

#include "battery.hpp"
#include "support/scratch_folder.hpp"

namespace isotape::battery {
namespace {

Shape batched(std::int64_t n, const Shape& sample) {
  std::vector<std::int64_t> extents{n};
  extents.insert(extents.end(), sample.begin(), sample.end());
  return Shape(extents);
}

bool is_wide(const Cell& cell) { return cell.dtype == DType::f64; }

// Gradient descent on |f(x) - target|^2 / 2, enough to move every weight off its start.
void train(Module& module, const Cell& cell, Rng& rng) {
  for (int step = 0; step < 25; ++step) {
    const Tensor x = random_normal(rng, batched(4, cell.input), 1, cell.dtype);
    Tape tape;
    module.prepare();
    const Var y = module.forward(x);
    const Var loss = mean(square(sub(y, random_normal(rng, y.shape(), 1, cell.dtype))));
    if (!loss.tape()) return;  // nothing to train
    tape.backward(loss);
    for (const auto& [name, parameter] : module.parameters()) {
      if (!parameter->grad) continue;
      add_in_place(parameter->write(), parameter->grad, -0.05);
      parameter->grad = {};
    }
  }
}

std::unique_ptr<Module> trained(const Row& row, const Cell& cell, Rng& rng) {
  auto module = build(row, cell, 5);
  train(*module, cell, rng);
  return module;
}

// The Jacobian of a single sample at a random point, by one jvp per entry.
Tensor jacobian(const Module& module, const Shape& input, Rng& rng) {
  const Tensor x = random_normal(rng, batched(1, input), 1, DType::f64);
  Tape tape;
  const Var leaf = tape.leaf(x);
  const Var y = module.forward(leaf);
  const std::int64_t rows = y.value().size();
  Tensor matrix({rows, x.size()}, DType::f64);
  for (std::int64_t j = 0; j < x.size(); ++j) {
    Tensor unit = Tensor::zeros(x.shape(), DType::f64);
    unit.write<double>()[j] = 1;
    const Tensor column = tape.jvp({&y, 1}, {&leaf, 1}, {unit})[0];
    for (std::int64_t i = 0; i < rows; ++i) {
      matrix.write<double>()[i * x.size() + j] = column ? column.at(i) : 0;
    }
  }
  return matrix;
}

// A direction that the map stretches most near x, by power iteration on J^T J.
Tensor steepest(const Module& module, const Tensor& x, Rng& rng) {
  const ConstantParameters constants;
  Tensor v = random_normal(rng, x.shape(), 1, DType::f64);
  for (int i = 0; i < 8; ++i) {
    Tape tape;
    const Var leaf = tape.leaf(x);
    const Var y = module.forward(leaf);
    const Tensor stretched = tape.jvp({&y, 1}, {&leaf, 1}, {v})[0];
    if (!stretched || frobenius_norm(stretched) == 0) return v;
    tape.backward(y, stretched.clone());
    v = scale(leaf.grad(), 1 / frobenius_norm(leaf.grad())).value();
  }
  return v;
}

NormPreservation kept_by(std::int64_t rows, std::int64_t columns) {
  if (rows == columns) return NormPreservation::both;
  return rows < columns ? NormPreservation::backward : NormPreservation::forward;
}

// The gradient at one random point, seeded; a few steps of training take weights off a start on
// kinks, such as zeros of an absolute Gram kernel.
CheckReport gradient_at(const Row& row, const Cell& cell, std::uint64_t seed, double step,
                        bool after_training) {
  Rng rng(seed);
  const auto module = build(row, cell, seed);
  if (after_training) train(*module, cell, rng);
  const bool on_kinks = row.stays_on_kinks && row.stays_on_kinks(cell);
  const bool with_parameters = row.parameter_gradient && !on_kinks;
  Tensors at{random_normal(rng, batched(2, cell.input), 1, DType::f64)};
  ParameterList parameters;
  for (const NamedParameter& named : module->parameters()) {
    if (!named.parameter->trainable || !with_parameters) continue;
    parameters.push_back(named);
    at.push_back(named.parameter->value());
  }
  const auto f = [&](const Vars& in) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      Parameter& parameter = *parameters[i].parameter;
      parameter.write() = in[i + 1].value();
      if (Tape* tape = Tape::active()) tape->remember(&parameter, parameter.version(), in[i + 1]);
    }
    if (!row.batch_statistics || Tape::active() != nullptr) return module->forward(in[0]);
    Tape tape;  // so that it sees the batch, as in a recording
    return Var(module->forward(in[0]).value());
  };
  // An orthogonal 1 x 1 matrix is a sign, and on a 1 x 1 image only the sum of the taps counts.
  const bool is_sign = cell.out > 0 && cell.input[-1] <= cell.groups;
  const bool may_vanish = is_sign || (cell.kernel > 1 && cell.input[0] * cell.input[1] == 1);
  const LayerKind kind = find_layer_type(row.type)->kind;
  const bool is_pointwise = kind == LayerKind::activation || kind == LayerKind::pooling;
  if (is_pointwise) step = 1e-6;
  return gradcheck(row.name(), f, at, {.step = step, .points = 6, .may_vanish = may_vanish});
}

}  // namespace

void check_jacobian(const Row& row, const Cell& cell) {
  Rng rng(5);
  const auto module = trained(row, cell, rng);
  const auto plain = module->materialize(DType::f64);
  const Tensor matrix = jacobian(*plain, cell.input, rng);
  const auto sigma = singular_values(matrix);
  const double bound = module->lipschitz_bound().value;
  // The measured value has the SVD's own rounding, which counts where the bound leaves it no room:
  // in f64, and where a theorem says exactly 1.
  const bool tight = is_wide(cell) || bound == 1;
  CHECK(sigma.front() <= bound * (tight ? 1 + 1e-13 : 1));
  if (row.property == LayerProperty::one_lipschitz) CHECK(bound <= 1 + row.tolerance);
  if (row.property == LayerProperty::gradient_norm_preserving) {
    CHECK(bound <= 1 + row.tolerance);
    if (!cell.zero_padding) {
      CHECK(bound <= sigma.front() * (1 + 1e-4));
      CHECK(std::abs(sigma.front() - 1) <= row.tolerance);
      CHECK(std::abs(sigma.back() - 1) <= row.tolerance);
      CHECK(module->gnp() == kept_by(matrix.dim(0), matrix.dim(1)));
    }
  }
  if (!row.is_affine) return;
  const auto f = [&](const Var& x) { return plain->forward(x); };
  CHECK(max_abs_diff(dense_operator(f, batched(1, cell.input), DType::f64), matrix) <= 1e-12);
}

void check_enclosure(const Row& row, const Cell& cell) {
  Rng rng(5);
  const auto module = trained(row, cell, rng);
  const auto sigma = singular_values(jacobian(*module->materialize(DType::f64), cell.input, rng));
  const Enclosure any = module->enclosure();
  const Enclosure here = module->enclosure_at(cell.input);
  CAPTURE(any.rule);
  CHECK_FALSE(any.rule.empty());
  // The measured values have the rounding of the SVD and, where a layer is not linear, of f.
  for (const Enclosure& proved : {any, here}) {
    CHECK(sigma.front() <= proved.upper * (1 + 1e-13));
    CHECK(sigma.back() >= proved.lower - 1e-13 * sigma.front());
  }
  CHECK(any.lower >= 0);
  CHECK(here.lower >= any.lower);
  CHECK(here.upper <= any.upper);
  CHECK(any.upper == module->lipschitz_bound().value);
  // One convolution by one kernel, and a dense layer, are held at one size to 1e-8 of the norm; a
  // near isometry to what its spectrum spreads.
  if (here.rule.find("eigenvalues") != std::string::npos ||
      here.rule.find("frequencies of the image") != std::string::npos) {
    const double spread = sigma.front() - sigma.back();
    const double slack = 3e-8 + (spread < sigma.front() / 500 ? 2 * spread / sigma.front() : 0);
    CHECK(here.upper <= sigma.front() * (1 + slack));
    CHECK(here.lower * here.lower >=
          sigma.back() * sigma.back() - 2 * slack * sigma.front() * sigma.front());
  }
  if (module->gnp() != NormPreservation::none && row.tolerance <= 1e-5) {
    CHECK(any.upper - any.lower <= 1e-5);
  }
}

void check_spectrum(const Row& row, const Cell& cell) {
  Rng rng(5);
  const auto module = trained(row, cell, rng);
  const Spectrum spectrum = module->spectrum(cell.input);
  CAPTURE(spectrum.method);
  // Of a type with inputs of its own, a layer may measure it or not.
  if (!row.inputs.empty()) CHECK((row.is_affine || spectrum.sigma.empty()));
  if (row.inputs.empty()) REQUIRE(spectrum.sigma.empty() == !row.is_affine);
  if (spectrum.sigma.empty()) return;
  const auto dense = singular_values(jacobian(*module->materialize(DType::f64), cell.input, rng));
  REQUIRE(spectrum.sigma.size() == dense.size());
  for (std::size_t i = 0; i < dense.size(); ++i) {
    CHECK(std::abs(spectrum.sigma[i] - dense[i]) <= 1e-12 * dense[0]);
  }
}

void check_folding(const Row& row, const Cell& cell) {
  Rng rng(6);
  const auto module = trained(row, cell, rng);
  const Tensor x = random_normal(rng, batched(3, cell.input), 1, cell.dtype);
  // Folded before, too: what a power iteration then moves must not leave a stale weight behind.
  module->forward(x);
  Tensor with_tape;
  {
    std::optional<ConstantParameters> running;  // statistics, as at inference
    if (row.batch_statistics) running.emplace();
    Tape tape;
    module->prepare();
    with_tape = module->forward(x).value();
  }
  CHECK(max_abs_diff(module->forward(x).value(), with_tape) <=
        row.fold_tolerance * (is_wide(cell) ? 1e-6 : 1));
}

void check_plain_copy(const Row& row, const Cell& cell) {
  Rng rng(7);
  const auto module = build(row, cell, 7);
  const auto plain = module->materialize(cell.dtype);
  const Tensor x = random_normal(rng, batched(2, cell.input), 1, cell.dtype);
  const Tensor y = module->forward(x).value();
  CHECK(max_abs_diff(y, plain->forward(x).value()) <= (is_wide(cell) ? 1e-12 : 2e-6));
  CHECK(plain->residual().value == 0);
  CHECK(plain->output_shape(cell.input) == module->output_shape(cell.input));
  CHECK(batched(2, module->output_shape(cell.input)) == y.shape());
}

// Where a layer or its constraint has kinks it holds at points with none of them within the
// stencil: at one of nine.
void check_gradient(const Row& row, const Cell& cell) {
  if (!is_wide(cell)) return;
  CheckReport report = gradient_at(row, cell, 8, row.is_affine ? 1e-3 : 1e-4, false);
  for (std::uint64_t seed = 9; !report.ok && seed < 17; ++seed) {
    const bool after_training = seed % 2 == 0;
    report = gradient_at(row, cell, seed, after_training ? (seed < 16 ? 1e-5 : 1e-6) : 1e-4,
                         after_training);
  }
  CHECK(report);
}

void check_adjoint(const Row& row, const Cell& cell) {
  const auto module = build(row, cell, 9);
  const ConstantParameters constants;
  Rng rng(9);
  const Tensor x = random_normal(rng, batched(2, cell.input), 1, cell.dtype);
  const Tensor u = random_normal(rng, x.shape(), 1, cell.dtype);
  Tape tape;
  const Var leaf = tape.leaf(x);
  const Var y = module->forward(leaf);
  const Tensor v = random_normal(rng, y.shape(), 1, cell.dtype);
  const Tensor forward = tape.jvp({&y, 1}, {&leaf, 1}, {u})[0];
  REQUIRE(forward);
  tape.backward(y, v.clone());
  const double scale =
      frobenius_norm(forward) * frobenius_norm(v) + frobenius_norm(u) * frobenius_norm(leaf.grad());
  CHECK(std::abs(dot(forward, v) - dot(u, leaf.grad())) <= (is_wide(cell) ? 1e-14 : 2e-6) * scale);
}

void check_batch(const Row& row, const Cell& cell) {
  Rng rng(9);
  const auto module = build(row, cell, 9);
  const Tensor x = random_normal(rng, batched(5, cell.input), 1, cell.dtype);
  const Tensor y = module->forward(x).value();
  for (std::int64_t i = 0; i < 5; ++i) {
    CHECK(max_abs_diff(module->forward(x.rows(i, i + 1)).value(), y.rows(i, i + 1)) <=
          (is_wide(cell) ? 1e-13 : 1e-6));
  }
}

void check_pairs(const Row& row, const Cell& cell) {
  Rng rng(10);
  const auto module = trained(row, cell, rng);
  const auto plain = module->materialize(DType::f64);
  const double bound = module->lipschitz_bound().value;
  for (int pair = 0; pair < 6; ++pair) {
    const Tensor x = random_normal(rng, batched(1, cell.input), 1, DType::f64);
    const double distance = pair % 2 == 0 ? 1 : 1e-4;
    const Tensor direction =
        pair < 2 ? random_normal(rng, x.shape(), 1, DType::f64) : steepest(*plain, x, rng);
    const Tensor z = add(x, scale(direction, distance)).value();
    const double moved = frobenius_norm(sub(plain->forward(x), plain->forward(z)).value());
    // Outputs of size 1 are right to 1e-14, which counts at the small distance.
    CHECK(moved <= bound * frobenius_norm(sub(x, z).value()) + 1e-13);
  }
}

void check_file(const Row& row, const Cell& cell) {
  if (is_wide(cell)) return;  // files hold f32
  const auto single = build(row, cell, 11);
  const std::int64_t classes = single->output_shape(cell.input).size();
  const ModelSpec spec{"cell", {spec_of(row, cell), {"flatten", "flatten", {}}}};
  Model model = build_model(spec, cell.input, classes, Rng(11));
  Rng rng(11);
  train(model.net, cell, rng);
  const ScratchFolder folder;
  const std::filesystem::path path = folder / "cell.safetensors";
  save_model(path, model);
  const LoadedModel loaded = load_model(path);
  const Tensor x = random_normal(rng, batched(2, cell.input));
  CHECK(max_abs_diff(model.net.forward(x).value(), loaded.model.net.forward(x).value()) == 0);
  CHECK(loaded.model.net.lipschitz_bound().value == model.net.lipschitz_bound().value);
}

void check_faults(const Row& row, const Cell& cell) {
  const auto module = build(row, cell, 12);
  if (row.is_affine && row.is_homogeneous) {
    const auto plain = module->materialize(cell.dtype);
    const double bound = plain->lipschitz_bound().value;
    bool scaled = false;
    for (const auto& [name, parameter] : plain->parameters()) {
      if (parameter->value().rank() < 2) continue;
      const Tensor larger = scale(parameter->value(), 1.01).value();
      parameter->write() = larger;
      scaled = true;
    }
    if (scaled)
      CHECK(plain->lipschitz_bound().value == doctest::Approx(1.01 * bound).epsilon(1e-5));
  }
  for (const NamedParameter& named : module->parameters()) {
    const std::string& name = named.name;
    if (named.parameter->value().rank() < 2 && !name.ends_with("bias")) continue;
    CAPTURE(name);
    const auto other = build(row, cell, 12);
    for (const NamedParameter& same : other->parameters()) {
      if (same.name != name) continue;
      Tensor broken = same.parameter->value().clone();
      dispatch_float(broken.dtype(), "check_faults", [&]<class T>() {
        broken.write<T>()[0] = std::numeric_limits<T>::quiet_NaN();
      });
      same.parameter->write() = broken;
    }
    CHECK_THROWS_AS(other->lipschitz_bound(), NumericError);
  }
}

}  // namespace isotape::battery
