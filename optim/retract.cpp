#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include <isotape/ops/bjorck.hpp>
#include <isotape/ops/spectral_bound.hpp>
#include <isotape/optim/stiefel_job.hpp>

namespace isotape {
namespace {

constexpr double step_bound = 0.5;
constexpr int max_steps = 8;

template <class T>
void scale_in_place(std::int64_t size, double factor, T* x) {
  const T by = static_cast<T>(factor);
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) x[i] *= by;
}

// A proved bound of the spectral norm of x, |x|_F = 1, from g = x^T x (on the small side):
// |g^8|_F^(1/16), too large by rank^(1/32) at most; or from a lower power of g, once that is within
// `enough`. Whatever the order of summation, the computed square c of a symmetric b [k, k] has
// |c - b^2| <= gamma(k) |b|_F^2, gamma(n) = n u / (1 - n u) [Higham 2002]: |b|^2 <= |c| + gamma(k)
// |b|_F^2, and so down the powers. The last factor covers the rounding of x and of the norms.
template <class T>
double power_bound(const PolarShape& shape, const Tensor& g, double enough) {
  constexpr int squarings = 3;
  const auto gamma = [](std::int64_t n) {
    const double nu = static_cast<double>(n) * std::numeric_limits<T>::epsilon() / 2;
    return nu / (1 - nu);
  };
  const std::int64_t k = shape.small();
  const PolarShape small{k, k};
  Tensor power = g;
  std::array<double, squarings + 1> norms{};
  for (int i = 0;; ++i) {
    norms[i] = frobenius(power.data<T>(), k * k);
    double bound = norms[i];
    for (int j = i - 1; j >= 0; --j) bound = std::sqrt(bound + gamma(k) * norms[j] * norms[j]);
    bound = std::sqrt(bound + gamma(shape.large())) * (1 + 1e-6);
    if (i == squarings || bound <= enough) return bound;
    Tensor square({k, k}, dtype_of<T>());
    small.gram(power.data<T>(), square.write<T>());
    power = std::move(square);
  }
}

// Whether steps of order 1 contract: all singular values in (0, sqrt 3), that is |e| < 2.
template <class T>
bool contracts(const Deviation<T>& deviation) {
  constexpr double limit = 1.9;
  if (deviation.frobenius < limit || row_column_bound(deviation.e) < limit) return true;
  const std::int64_t k = deviation.e.dim(0);
  const PolarShape small{k, k};
  Tensor unit = deviation.e.clone();
  scale_in_place(k * k, 1 / deviation.frobenius, unit.write<T>());
  Tensor g({k, k}, dtype_of<T>());
  small.gram(unit.data<T>(), g.write<T>());
  return deviation.frobenius * power_bound<T>(small, g, limit / deviation.frobenius) < limit;
}

// What rounding alone may leave of |e|_F, which is that of k^2 sums.
template <class T>
double rounding(const Deviation<T>& deviation) {
  return std::numeric_limits<T>::epsilon() * std::sqrt(double(deviation.e.dim(0)));
}

template <class T>
bool within(const Deviation<T>& deviation, double max, double frobenius) {
  // The Frobenius norm sees what the largest entry does not, many small ones of one sign.
  const double tolerance = stiefel_tolerance(dtype_of<T>());
  return max <= tolerance && frobenius <= std::max(tolerance, 4 * rounding(deviation));
}

// A step w <- w (a I - b e) at w^T w = I + e. It leads to
//     e <- (I + e)(a I - b e)^2 - I = (a^2 - 1) I + (a^2 - 2 a b) e + (b^2 - 2 a b) e^2 + b^2 e^3,
// that is (e^3 - 3 e^2) / 4 for order 1, the default.
struct Step {
  double a = 1;
  double b = 0.5;

  // The step with the least largest |sigma - 1| after it, for singular values from l = 1 to
  // u = sqrt(1 + c): sigma <- beta (3 alpha sigma - alpha^3 sigma^3) / 2 with alpha^2 =
  // 3 / (u^2 + l u + l^2), beta = 4 / (2 + l u (l + u) alpha^3) [Grishina 2025]. Order 1 is its
  // limit for c = 0.
  static Step on(double c) {
    const double u = std::sqrt(1 + c);
    const double alpha = std::sqrt(3 / (u * u + u + 1));
    const double cube = alpha * alpha * alpha;
    const double beta = 4 / (2 + u * (1 + u) * cube);
    return {beta * (1.5 * alpha - 0.5 * cube), 0.5 * beta * cube};
  }
};

// What a step of order 1 leaves of e at most: by entry, for |(e^2)_ij| <= |e_i| |e_j|, and in
// Frobenius norm.
struct Prediction {
  double max;
  double frobenius;
};
template <class T>
Prediction predict(const Deviation<T>& d) {
  const double factor = 0.75 + 0.25 * d.frobenius;
  return {factor * d.row * d.row, factor * d.frobenius * d.frobenius};
}
// Whether that is enough, half of the tolerance left to the rounding of the step.
template <class T>
bool is_last_step(const Deviation<T>& d) {
  const Prediction left = predict(d);
  return within(d, 2 * left.max, 2 * left.frobenius);
}

// y <- (a - 1) I - b e + a y - b y e, the step in terms of y = product of the steps - I.
template <class T>
void compose(const Step& step, const Deviation<T>& deviation, Tensor& y_tensor) {
  const std::int64_t k = deviation.e.dim(0);
  const T* const e = deviation.e.template data<T>();
  const T a = static_cast<T>(step.a);
  const T b = static_cast<T>(step.b);
  Tensor next({k, k}, dtype_of<T>());
  T* const to = next.write<T>();
  if (!y_tensor) {
    for (std::int64_t i = 0; i < k * k; ++i) to[i] = -b * e[i];
  } else {
    const T* const y = y_tensor.data<T>();
    for (std::int64_t i = 0; i < k * k; ++i) to[i] = a * y[i] - b * e[i];
    blas::gemm<T>(false, false, k, k, k, -b, y, k, e, k, T(1), to, k);
  }
  for (std::int64_t i = 0; i < k; ++i) to[i * k + i] += static_cast<T>(step.a - 1);
  y_tensor = std::move(next);
}

// e after a step.
template <class T>
void advance(const Step& step, Deviation<T>& deviation) {
  const std::int64_t k = deviation.e.dim(0);
  const PolarShape small{k, k};
  Tensor square({k, k}, dtype_of<T>());
  Tensor cube({k, k}, dtype_of<T>());
  T* const e = deviation.e.template write<T>();
  T* const e2 = square.write<T>();
  T* const e3 = cube.write<T>();
  small.gram(e, e2);
  small.apply(e, e2, T(0), e3);
  const T linear = static_cast<T>(step.a * step.a - 2 * step.a * step.b);
  const T quadratic = static_cast<T>(step.b * step.b - 2 * step.a * step.b);
  const T cubic = static_cast<T>(step.b * step.b);
  for (std::int64_t i = 0; i < k * k; ++i) {
    e[i] = linear * e[i] + quadratic * e2[i] + cubic * e3[i];
  }
  for (std::int64_t i = 0; i < k; ++i) e[i * k + i] += static_cast<T>(step.a * step.a - 1);
  deviation.measure_size();
}

// The move of one matrix.
template <class T>
class Retraction {
 public:
  explicit Retraction(Job<T>& job) : job_(job), deviation_(job.k()) {}

  void run() {
    project(job_);
    add_bounded();
    restore();
  }

 private:
  // Where one product with w costs more than several on the small side.
  bool oblong() const { return job_.shape.large() >= 2 * job_.k(); }

  // moved <- w + t d with the largest t <= 1 for which the bound of |t d| / scale is at most
  // step_bound. d is tangent, so that w^T w becomes I + t^2 d^T d but for rounding: where the bound
  // needs d^T d, a nearly square matrix takes its first deviation from there.
  void add_bounded() {
    const std::int64_t size = job_.shape.size();
    double norm = frobenius(job_.d, size) / job_.scale;
    require<NumericError>(std::isfinite(norm), "retract: expected a finite step of ", job_.name,
                          ", got norm ", norm);
    double factor = 1;
    if (norm > step_bound) {
      scale_in_place(size, 1 / (norm * job_.scale), job_.d);
      T* const e = deviation_.e.template write<T>();
      job_.shape.gram(job_.d, e);
      const double unit = power_bound<T>(job_.shape, deviation_.e, step_bound / norm);
      factor = norm;
      if (norm * unit > step_bound) {
        factor = step_bound / unit * (1 - 1e-6);  // for the rounding of the step
        job_.stats.shortened = 1;
      }
      norm = factor * unit;
      scale_in_place(deviation_.e.size(), factor * factor, e);
      is_known_ = !oblong();
      factor *= job_.scale;
    }
    reach_ = norm * norm;
    const T t = static_cast<T>(factor);
#pragma omp simd
    for (std::int64_t i = 0; i < size; ++i) job_.moved[i] += t * job_.d[i];
  }

  // moved <- scale times its polar factor.
  void restore() {
    job_.stats.matrices = 1;
    int& steps = job_.stats.max_steps;
    Step step = Step::on(reach_);
    if (is_known_) {
      apply(step);
      ++steps;
      step = {};
    }
    for (;; step = {}) {
      deviation_.measure(job_, job_.moved);
      job_.stats.max_defect = deviation_.max;
      if (within(deviation_, deviation_.max, deviation_.frobenius) && (steps > 0 || is_stray())) {
        break;
      }
      if (steps >= max_steps || !contracts(deviation_)) {
        take_exactly();
        break;
      }
      if (oblong() && steps == 0 ? steps_on_small_side(step) : step_at_once(step)) break;
    }
    job_.stats.steps = steps;
  }

  // Whether the deviation after the move itself is that of rounding. Moves stretch, by d^T d: what
  // small ones leave within the tolerance would add up, all of one sign.
  bool is_stray() const { return reach_ == 0 || deviation_.frobenius <= 2 * rounding(deviation_); }

  // Whether nothing is left to do: the same for the next.
  bool step_at_once(const Step& step) {
    const bool is_last = is_last_step(deviation_);
    if (is_last) job_.stats.max_defect = predict(deviation_).max;
    apply(is_last ? Step{} : step);
    ++job_.stats.max_steps;
    return is_last;
  }

  bool steps_on_small_side(Step step) {
    Tensor y;
    bool is_done = false;
    for (int& steps = job_.stats.max_steps; steps < max_steps && !is_done; step = {}) {
      is_done = is_last_step(deviation_);
      if (is_done) step = {};
      job_.stats.max_defect = predict(deviation_).max;
      compose(step, deviation_, y);
      ++steps;
      if (is_done) break;
      advance(step, deviation_);
      is_done = within(deviation_, 2 * deviation_.max, 2 * deviation_.frobenius);
      job_.stats.max_defect = deviation_.max;
    }
    multiply(y, T(1));
    return is_done;
  }

  void apply(const Step& step) {
    scale_in_place(deviation_.e.size(), -step.b, deviation_.e.template write<T>());
    multiply(deviation_.e, static_cast<T>(step.a));
  }

  // moved <- moved y + a moved
  void multiply(const Tensor& y, T a) {
    Tensor before({job_.shape.m, job_.shape.n}, dtype_of<T>());
    std::copy_n(job_.moved, job_.shape.size(), before.write<T>());
    job_.shape.apply(before.data<T>(), y.data<T>(), a, job_.moved);
  }

  // For what no step of order 1 brings back: the polar factor from the spectrum.
  void take_exactly() {
    Tensor moved({job_.shape.m, job_.shape.n}, dtype_of<T>());
    std::copy_n(job_.moved, job_.shape.size(), moved.write<T>());
    BjorckReport report;
    const Tensor q = bjorck(moved, {.path = BjorckPath::exact}, &report).value();
    require<NumericError>(report.converged, "retract: expected full rank of ", job_.name,
                          " after its step, got sigma_min ", report.sigma_min, " and sigma_max ",
                          report.sigma_max);
    const T* const entries = q.data<T>();
    const T scale = static_cast<T>(job_.scale);
    for (std::int64_t i = 0; i < job_.shape.size(); ++i) job_.moved[i] = scale * entries[i];
    job_.stats.exact = 1;
    job_.stats.max_defect = report.defect;
  }

  Job<T>& job_;
  Deviation<T> deviation_;
  double reach_ = 0;       // bound of |d^T d| / scale^2 as taken
  bool is_known_ = false;  // whether deviation_ holds it before any measurement
};

}  // namespace

RetractionStats retract(std::span<const ManifoldMove> moves) {
  check_moves("retract", moves);
  const auto move = [](auto& job) { Retraction(job).run(); };
  RetractionStats stats = run_jobs<float>(moves, Access::move, move);
  stats += run_jobs<double>(moves, Access::move, move);
  return stats;
}

}  // namespace isotape
