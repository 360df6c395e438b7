#include <isotape/optim/stiefel.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/bjorck.hpp>
#include <isotape/ops/polar.hpp>
#include <isotape/ops/spectral_bound.hpp>

namespace isotape {
namespace {

constexpr double step_bound = 0.5;
constexpr int max_steps = 8;
// Products of this many multiplications are worth all threads of BLAS.
constexpr std::int64_t large_product = std::int64_t{1} << 24;

// One matrix w = scale q of a value, its direction d and its place after the move, where there are
// such. As in polar.hpp the mathematics is that of the tall orientation; k is the small side.
template <class T>
struct Job {
  const T* w;
  T* d;
  T* moved;
  PolarShape shape;
  double scale;
  std::string_view name;
  RetractionStats stats = {};

  std::int64_t k() const { return shape.small(); }
  std::int64_t work() const { return shape.size() * k(); }
};

// [m, n], [b, m, n], or a kernel [O, h, w, I] as [O, h w I].
PolarShape matrix_of(const Shape& shape) {
  if (shape.rank() == 4) return {shape[0], shape.inner(0)};
  return {shape[-2], shape[-1]};
}

enum class Access { read, move };

template <class T>
std::vector<Job<T>> jobs_of(std::span<const ManifoldMove> moves, Access access) {
  std::vector<Job<T>> jobs;
  for (const ManifoldMove& move : moves) {
    if (move.value->dtype() != dtype_of<T>()) continue;
    const PolarShape shape = matrix_of(move.value->shape());
    T* const moved = access == Access::move ? move.value->write<T>() : nullptr;
    const T* const w = move.value->data<T>();
    T* const d = move.direction != nullptr ? move.direction->write<T>() : nullptr;
    for (std::int64_t i = 0; i < move.value->size(); i += shape.size()) {
      jobs.push_back({w + i, d == nullptr ? d : d + i, moved == nullptr ? moved : moved + i, shape,
                      move.manifold.scale, move.name});
    }
  }
  std::stable_sort(jobs.begin(), jobs.end(),
                   [](const Job<T>& a, const Job<T>& b) { return a.work() > b.work(); });
  return jobs;
}

// Calls f(job) for all: the large ones in turn, then the others, one thread each.
template <class T, class F>
RetractionStats run(std::span<const ManifoldMove> moves, Access access, F f) {
  std::vector<Job<T>> jobs = jobs_of<T>(moves, access);
  const auto small = std::find_if(jobs.begin(), jobs.end(),
                                  [](const Job<T>& job) { return job.work() < large_product; });
  std::for_each(jobs.begin(), small, f);
  parallel_jobs(jobs.end() - small, [&](std::int64_t i) { f(small[i]); });
  RetractionStats stats;
  for (const Job<T>& job : jobs) stats += job.stats;
  return stats;
}

void check(const char* op, std::span<const ManifoldMove> moves) {
  for (const ManifoldMove& move : moves) {
    const Shape& shape = move.value->shape();
    require<ShapeError>(2 <= shape.rank() && shape.rank() <= 4 && shape.size() > 0, op,
                        ": expected ", move.name,
                        " of shape [m, n], [b, m, n] or [O, h, w, I], got ", shape);
    if (move.direction != nullptr) require_same(op, *move.value, *move.direction);
    dispatch_float(move.value->dtype(), op, []<class T>() {});
    require<ValueError>(std::isfinite(move.manifold.scale) && move.manifold.scale > 0, op,
                        ": expected a scale > 0 of ", move.name, ", got ", move.manifold.scale);
  }
}

// d <- d - w sym(w^T d) / scale^2.
template <class T>
void project(const Job<T>& job) {
  const std::int64_t k = job.k();
  Tensor product({k, k}, dtype_of<T>());
  T* const s = product.write<T>();
  job.shape.inner(job.w, job.d, s);
  const T factor = static_cast<T>(-0.5 / (job.scale * job.scale));
  for (std::int64_t i = 0; i < k; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      s[i * k + j] = s[j * k + i] = factor * (s[i * k + j] + s[j * k + i]);
    }
  }
  job.shape.apply(job.w, s, T(1), job.d);
}

template <class T>
double frobenius(const T* x, std::int64_t size) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < size; ++i) sum += double(x[i]) * double(x[i]);
  return std::sqrt(sum);
}

template <class T>
Tensor scaled(const PolarShape& shape, double factor, const T* x) {
  Tensor y({shape.m, shape.n}, dtype_of<T>());
  T* const entries = y.write<T>();
  for (std::int64_t i = 0; i < shape.size(); ++i) entries[i] = static_cast<T>(factor * x[i]);
  return y;
}

// A proved bound of the spectral norm of x, given f = |x|_F > 0: f |(y^T y)^8|_F^(1/16), y = x / f,
// too large by rank^(1/32) at most, in the arithmetic of T. Whatever the order of summation, the
// computed square c of a symmetric b [k, k] has |c - b^2| <= gamma(k) |b|_F^2, gamma(n) = n u /
// (1 - n u) [Higham 2002]: |b|^2 <= |c| + gamma(k) |b|_F^2, and so down the powers. The last factor
// covers the rounding of y and of the norms.
template <class T>
double power_bound(const PolarShape& shape, const T* x, double f) {
  constexpr int squarings = 3;
  const auto gamma = [](std::int64_t n) {
    const double nu = static_cast<double>(n) * std::numeric_limits<T>::epsilon() / 2;
    return nu / (1 - nu);
  };
  const std::int64_t k = shape.small();
  const PolarShape small{k, k};
  const Tensor y = scaled(shape, 1 / f, x);
  Tensor power({k, k}, dtype_of<T>());
  Tensor square({k, k}, dtype_of<T>());
  shape.gram(y.data<T>(), power.write<T>());
  std::array<double, squarings + 1> norms{frobenius(power.data<T>(), k * k)};
  for (int i = 1; i <= squarings; ++i) {
    small.gram(power.data<T>(), square.write<T>());
    std::swap(power, square);
    norms[i] = frobenius(power.data<T>(), k * k);
  }
  double bound = norms[squarings];
  for (int i = squarings - 1; i >= 0; --i)
    bound = std::sqrt(bound + gamma(k) * norms[i] * norms[i]);
  return f * std::sqrt(bound + gamma(shape.large())) * (1 + 1e-6);
}

// moved <- w + t d with the largest t <= 1 for which the bound of |t d| / scale is at most
// step_bound.
template <class T>
void add_bounded(Job<T>& job) {
  double bound = frobenius(job.d, job.shape.size()) / job.scale;
  require<NumericError>(std::isfinite(bound), "retract: expected a finite step of ", job.name,
                        ", got norm ", bound);
  if (bound > step_bound) {
    bound = power_bound(job.shape, job.d, bound * job.scale) / job.scale;
  }
  double t = 1;
  if (bound > step_bound) {
    t = step_bound / bound * (1 - 1e-6);  // for the rounding of t d
    job.stats.shortened = 1;
  }
  const T factor = static_cast<T>(t);
#pragma omp simd
  for (std::int64_t i = 0; i < job.shape.size(); ++i) job.moved[i] += factor * job.d[i];
}

// e = w^T w / scale^2 - I, and its size.
template <class T>
struct Deviation {
  Tensor e;  // [k, k]
  double max = 0;
  double frobenius = 0;

  void measure_size() {
    const std::span<const T> entries = e.values<T>();
    frobenius = isotape::frobenius(entries.data(), e.size());
    max = max_abs(e);
  }
  void measure(const Job<T>& job, const T* w) {
    const std::int64_t k = job.k();
    T* const entries = e.write<T>();
    job.shape.gram(w, entries);
    const T factor = static_cast<T>(1 / (job.scale * job.scale));
    for (std::int64_t i = 0; i < k * k; ++i) entries[i] *= factor;
    for (std::int64_t i = 0; i < k; ++i) entries[i * k + i] -= T(1);
    measure_size();
    require<NumericError>(std::isfinite(frobenius), "stiefel: expected finite values of ", job.name,
                          ", got defect ", max);
  }
  bool within(double tolerance) const {
    // The Frobenius norm sees what the largest entry does not, many small ones of one sign, but it
    // is that of the rounding of k^2 sums at least.
    const double rounding = 4 * std::numeric_limits<T>::epsilon() * std::sqrt(double(e.dim(0)));
    return max <= tolerance && frobenius <= std::max(tolerance, rounding);
  }
  // Whether steps of order 1 contract: all singular values in (0, sqrt 3), that is |e| < 2.
  bool contracts() const {
    constexpr double limit = 1.9;
    const PolarShape small{e.dim(0), e.dim(0)};
    return frobenius < limit || row_column_bound(e) < limit ||
           power_bound(small, e.data<T>(), frobenius) < limit;
  }
};

// Steps of order 1 on the small side alone, until `tolerance` is predicted: f such that w (I + f)
// is their result. From w^T w = I + e the step w <- w (I - e / 2) leads to
// e <- (I + e)(I - e / 2)^2 - I = (e^3 - 3 e^2) / 4, and to I + f <- (I + f)(I - e / 2).
template <class T>
int steps_on_gram(Deviation<T>& deviation, double tolerance, Tensor& f_tensor) {
  const std::int64_t k = deviation.e.dim(0);
  f_tensor = Tensor::zeros({k, k}, dtype_of<T>());
  Tensor square({k, k}, dtype_of<T>());
  Tensor product({k, k}, dtype_of<T>());
  T* const f = f_tensor.write<T>();
  T* const e = deviation.e.template write<T>();
  T* const e2 = square.write<T>();
  T* const p = product.write<T>();
  const PolarShape small{k, k};
  int steps = 0;
  for (; steps < max_steps && deviation.frobenius > tolerance; ++steps) {
    small.apply(f, e, T(0), p);
    for (std::int64_t i = 0; i < k * k; ++i) f[i] -= (e[i] + p[i]) / 2;
    small.apply(e, e, T(0), e2);
    small.apply(e, e2, T(0), p);
    for (std::int64_t i = 0; i < k * k; ++i) e[i] = (p[i] - 3 * e2[i]) / 4;
    deviation.measure_size();
  }
  return steps;
}

// For what no step of order 1 brings back: the polar factor from the spectrum.
template <class T>
void retract_exactly(Job<T>& job) {
  BjorckReport report;
  const Tensor q =
      bjorck(scaled(job.shape, 1, job.moved), {.path = BjorckPath::exact}, &report).value();
  require<NumericError>(report.converged, "retract: expected full rank of ", job.name,
                        " after its step, got sigma_min ", report.sigma_min, " and sigma_max ",
                        report.sigma_max);
  const T* const entries = q.data<T>();
  const T scale = static_cast<T>(job.scale);
  for (std::int64_t i = 0; i < job.shape.size(); ++i) job.moved[i] = scale * entries[i];
  job.stats.exact = 1;
  job.stats.max_defect = report.defect;
}

// moved <- scale times its polar factor.
template <class T>
void restore(Job<T>& job) {
  const double tolerance = stiefel_tolerance(dtype_of<T>());
  const bool oblong = job.shape.large() >= 2 * job.k();
  Deviation<T> deviation{Tensor({job.k(), job.k()}, dtype_of<T>())};
  Tensor before_tensor({job.shape.m, job.shape.n}, dtype_of<T>());
  T* const before = before_tensor.write<T>();
  T* const w = job.moved;
  int steps = 0;
  for (deviation.measure(job, w); !deviation.within(tolerance); deviation.measure(job, w)) {
    if (steps >= max_steps || !deviation.contracts()) {
      retract_exactly(job);
      break;
    }
    std::copy_n(w, job.shape.size(), before);
    if (steps == 0 && oblong) {
      Tensor f;
      steps += steps_on_gram(deviation, tolerance / 4, f);
      job.shape.apply(before, f.data<T>(), T(1), w);
    } else {
      T* const e = deviation.e.template write<T>();
      for (std::int64_t i = 0; i < deviation.e.size(); ++i) e[i] *= T(-0.5);
      job.shape.apply(before, e, T(1), w);
      ++steps;
    }
  }
  job.stats.matrices = 1;
  job.stats.steps = job.stats.max_steps = steps;
  if (job.stats.exact == 0) job.stats.max_defect = deviation.max;
}

}  // namespace

RetractionStats& RetractionStats::operator+=(const RetractionStats& other) {
  matrices += other.matrices;
  steps += other.steps;
  max_steps = std::max(max_steps, other.max_steps);
  shortened += other.shortened;
  exact += other.exact;
  max_defect = std::max(max_defect, other.max_defect);
  return *this;
}

void project_to_tangent(std::span<const ManifoldMove> moves) {
  check("project_to_tangent", moves);
  run<float>(moves, Access::read, [](Job<float>& job) { project(job); });
  run<double>(moves, Access::read, [](Job<double>& job) { project(job); });
}

RetractionStats retract(std::span<const ManifoldMove> moves) {
  check("retract", moves);
  const auto move = [](auto& job) {
    project(job);
    add_bounded(job);
    restore(job);
  };
  RetractionStats stats = run<float>(moves, Access::move, move);
  stats += run<double>(moves, Access::move, move);
  return stats;
}

double stiefel_defect(const Tensor& value, const Stiefel& manifold) {
  Tensor widened = value.to(DType::f64);
  const ManifoldMove move{"the value", &widened, nullptr, manifold};
  check("stiefel_defect", {&move, 1});
  const auto measure = [](Job<double>& job) {
    Deviation<double> deviation{Tensor({job.k(), job.k()}, DType::f64)};
    deviation.measure(job, job.w);
    job.stats.max_defect = deviation.max;
  };
  return run<double>({&move, 1}, Access::read, measure).max_defect;
}

double stiefel_tolerance(DType dtype) { return dtype == DType::f64 ? 1e-12 : 1e-6; }

}  // namespace isotape
