#include <isotape/layers/weight.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/layers/null_space.hpp>
#include <isotape/ops/cholesky_qr.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reshape.hpp>
#include <isotape/ops/spectral.hpp>

namespace isotape {
namespace {

constexpr std::uint64_t null_space_seed = 0x5eed;

std::atomic<std::int64_t> recorded_weights{0};
std::atomic<std::int64_t> folded_weights{0};

// Singular values below this share of the largest are a lost rank: as bjorck has it, and a little
// above what cholesky_qr refuses.
double rank_tolerance(const Parametrization& parametrization) {
  return std::holds_alternative<CholeskyQr>(parametrization) ? 1.01e-6 : 1e-7;
}

Tensor initial_matrix(const Shape& shape, const Parametrization& parametrization, double raw_gain,
                      Rng& rng) {
  const auto n = static_cast<double>(shape[-1]);
  if (std::holds_alternative<Bjorck>(parametrization) ||
      std::holds_alternative<CholeskyQr>(parametrization)) {
    return random_orthogonal(rng, shape, raw_gain);
  }
  if (const MatrixMap* map = matrix_map(parametrization)) return map->initial(shape, rng);
  return random_uniform(rng, shape, -1 / std::sqrt(n), 1 / std::sqrt(n));
}

// max |W^T W - I| on the smaller side, of one matrix or the worst of a list.
double orthogonality_defect(const Tensor& w) {
  const bool tall = w.dim(-2) >= w.dim(-1);
  const Tensor gram = matmul(w, w, {.trans_a = tall, .trans_b = !tall}).value();
  const std::int64_t n = gram.dim(-1);
  double worst = 0;
  for (std::int64_t i = 0; i < gram.size(); ++i) {
    const bool diagonal = i % n == (i / n) % n;
    worst = std::max(worst, std::abs(gram.data<double>()[i] - (diagonal ? 1.0 : 0.0)));
  }
  return worst;
}

}  // namespace

Tensor VersionCache::get(std::uint64_t version, const std::function<Tensor()>& make) const {
  const std::lock_guard lock(state_->mutex);
  if (state_->version != version) {
    state_->value = make();
    state_->version = version;
  }
  return state_->value;
}

Weight::Weight(const Shape& shape, Parametrization parametrization, Rng& rng)
    : parametrization_(std::move(parametrization)) {
  const Shape matrix = matrix_shape(shape);
  const auto fan_in = static_cast<double>(matrix[-1]);
  if (const auto* bjorck = std::get_if<Bjorck>(&parametrization_)) {
    raw_gain_ = bjorck->raw_gain > 0 ? bjorck->raw_gain : 1 / std::sqrt(fan_in);
    if (bjorck->options.iterations > 0) {
      iterations_ = Tensor::full({1}, bjorck->options.iterations);
    }
  }
  if (const auto* qr = std::get_if<CholeskyQr>(&parametrization_)) {
    require<ValueError>(qr->raw_gain > 0, "cholesky-qr: expected raw_gain > 0, got ", qr->raw_gain);
    raw_gain_ = qr->raw_gain;
  }
  raw = Parameter(initial_matrix(matrix, parametrization_, raw_gain_, rng).reshaped(shape));
  raw.decays = std::holds_alternative<Unconstrained>(parametrization_);
  if (const auto* spectral = std::get_if<SpectralNorm>(&parametrization_)) {
    require<ValueError>(spectral->iterations >= 1, "spectral-norm: expected iterations >= 1, got ",
                        spectral->iterations);
    // Many iterations once, so that the first step starts from a settled pair.
    Rng start = rng.stream("power-iteration");
    const SpectralEstimate estimate = spectral_norm(raw.value().reshaped(matrix), 50, start);
    u_ = estimate.u;
    v_ = estimate.v;
  }
}

// The constraint on a recorded matrix, or list of matrices.
Var Weight::constrain(const Var& matrix) {
  if (raw.manifold) return scale(matrix, 1 / raw.manifold->scale);
  if (std::holds_alternative<Bjorck>(parametrization_)) return bjorck(matrix, polar_options());
  if (const MatrixMap* map = matrix_map(parametrization_)) return map->apply(matrix);
  if (std::holds_alternative<CholeskyQr>(parametrization_)) return cholesky_qr(matrix);
  if (const auto* spectral = std::get_if<SpectralNorm>(&parametrization_)) {
    const SpectralEstimate estimate =
        spectral_norm(matrix.value(), spectral->iterations, SpectralEstimate{.u = u_, .v = v_});
    u_ = estimate.u;
    v_ = estimate.v;
    ++moves_;
    return spectral_normalize(matrix, u_, v_);
  }
  return matrix;
}

Var Weight::var() {
  if (!raw.is_recorded()) return folded();
  if (is_missing()) {
    const Shape& shape = raw.value().shape();
    remember(reshape(constrain(reshape(raw.var(), matrix_shape(shape))), shape));
  }
  return Tape::active()->recall(&folded_, raw.version());
}

// The key on the tape is a member other than raw, the first one, which has this weight's address.
bool Weight::is_missing() const {
  return raw.is_recorded() && !Tape::active()->recall(&folded_, raw.version());
}

void Weight::remember(Var weight) {
  count_recorded_weight();
  Tape::active()->remember(&folded_, raw.version(), std::move(weight));
}

Tensor Weight::folded_f64() const {
  count_folded_weight();
  const Paused paused;
  const Shape& shape = raw.value().shape();
  const Tensor wide = raw.value().to(DType::f64).reshaped(matrix_shape(shape));
  if (std::holds_alternative<Bjorck>(parametrization_)) {
    // The map that was trained: a fixed number of steps stays what it is.
    BjorckOptions options = polar_options();
    options.path = BjorckPath::exact;
    options.tolerance = 0;
    return bjorck(wide, options).value().reshaped(shape);
  }
  if (const MatrixMap* map = matrix_map(parametrization_)) {
    return map->apply(wide).value().reshaped(shape);
  }
  if (std::holds_alternative<CholeskyQr>(parametrization_)) {
    return cholesky_qr(wide).value().reshaped(shape);
  }
  if (std::holds_alternative<SpectralNorm>(parametrization_)) {
    const Tensor u = u_.to(DType::f64);
    return spectral_normalize(wide, u, v_.to(DType::f64)).value().reshaped(shape);
  }
  return wide.reshaped(shape);
}

Tensor Weight::folded() const {
  if (std::holds_alternative<Unconstrained>(parametrization_)) return raw.value();
  return folded_.get(version(), [this] { return folded_f64().to(raw.value().dtype()); });
}

void count_recorded_weight() { recorded_weights.fetch_add(1, std::memory_order_relaxed); }

void count_folded_weight() { folded_weights.fetch_add(1, std::memory_order_relaxed); }

WeightCounters weight_counters() { return {recorded_weights.load(), folded_weights.load()}; }

// Of raw = weight times a symmetric or triangular matrix: bjorck or cholesky-qr.
bool Weight::is_factor() const {
  if (std::holds_alternative<CholeskyQr>(parametrization_)) return true;
  const auto* bjorck = std::get_if<Bjorck>(&parametrization_);
  return bjorck != nullptr && bjorck->options.iterations == 0;
}

BjorckOptions Weight::polar_options() const {
  BjorckOptions options = std::get<Bjorck>(parametrization_).options;
  if (iterations_) options.iterations = static_cast<int>(iterations_.item());
  return options;
}

bool Weight::is_orthogonal() const {
  const MatrixMap* map = matrix_map(parametrization_);
  return is_factor() || (map != nullptr && map->is_orthogonal());
}

Residual Weight::residual() const {
  if (!is_orthogonal()) return {0, "no orthogonality claimed"};
  const Tensor weight = folded().to(DType::f64);
  return {orthogonality_defect(weight.reshaped(matrix_shape(weight.shape()))),
          "max |W^T W - I|, smaller side"};
}

Residual Weight::unconverged() const {
  if (!iterations_) return {0, "not made by a fixed number of iterations"};
  const Tensor weight = folded().to(DType::f64);
  return {
      orthogonality_defect(weight.reshaped(matrix_shape(weight.shape()))),
      message("max |W^T W - I|, smaller side, after ", polar_options().iterations, " iterations")};
}

std::optional<int> Weight::iterate_more() {
  constexpr int most = 64;
  if (!iterations_ || polar_options().iterations >= most) return std::nullopt;
  const int more = std::min(most, 2 * polar_options().iterations);
  iterations_ = Tensor::full({1}, more);
  ++moves_;
  return more;
}

std::optional<std::string> Weight::complete_null_space(const std::string& name) {
  if (!is_factor()) return std::nullopt;
  const double tolerance = rank_tolerance(parametrization_);
  const Shape shape = matrix_shape(raw.value().shape());
  const std::int64_t m = shape[-2];
  const std::int64_t n = shape[-1];
  const std::int64_t count = shape.size() / (m * n);
  const Tensor matrices = raw.value().to(DType::f64).reshaped({count, m, n});
  std::vector<Tensor> completed;
  int changed = 0;
  for (std::int64_t b = 0; b < count; ++b) {
    const Tensor w = matrices.rows(b, b + 1).reshaped({m, n});
    Rng rng = Rng(null_space_seed).stream(name).stream(static_cast<std::uint64_t>(b));
    completed.push_back(complete_rank(w, raw_gain_, rng, tolerance));
    if (!completed.back().shares_storage_with(w)) ++changed;
  }
  if (changed == 0) return std::nullopt;
  const Vars list(completed.begin(), completed.end());
  raw.write() = concat(list, 0).value().reshaped(raw.value().shape()).to(raw.value().dtype());
  return message(name, ": ", changed, " of ", count, " raw matrices had lost rank",
                 "; completed them by a seeded orthonormal basis of the null space");
}

void Weight::retract() {
  require<ValueError>(
      is_factor(), "retract: expected a weight that is a factor of raw (bjorck, cholesky-qr), got ",
      isotape::name(parametrization_),
      std::holds_alternative<Bjorck>(parametrization_) ? " with a fixed number of iterations" : "");
  raw.write() = scale(folded_f64(), raw_gain_).value().to(raw.value().dtype());
  raw.manifold = Stiefel{raw_gain_};
}

void Weight::collect(const std::string& prefix, BufferList& buffers) {
  if (iterations_) buffers.push_back({prefix + "iterations", &iterations_});
  if (!u_) return;
  buffers.push_back({prefix + "u", &u_});
  buffers.push_back({prefix + "v", &v_});
}

}  // namespace isotape
