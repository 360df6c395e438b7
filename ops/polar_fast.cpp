#include <isotape/ops/polar.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace isotape {
namespace {

// The work arrays of one iteration; q' and its successor change places.
template <class T>
class Iteration {
 public:
  Iteration(PolarShape shape, T* q)
      : shape_(shape),
        n_(shape.small()),
        work_({3 * n_ * n_ + shape.size()}, dtype_of<T>()),
        e_(work_.write<T>()),
        r_(e_ + n_ * n_),
        power_(r_ + n_ * n_),
        next_(power_ + n_ * n_),
        q_(q) {}

  // ||(q'^T q')^2||_F^(1/4), a bound of sigma_max.
  double schatten_8_norm() {
    shape_.gram(q_, e_);
    blas::gemm(false, false, n_, n_, n_, T{1}, e_, n_, e_, n_, T{0}, r_, n_);
    double sum = 0;
    for (std::int64_t i = 0; i < n_ * n_; ++i) sum += static_cast<double>(r_[i]) * r_[i];
    return std::pow(sum, 1.0 / 8);
  }

  // e = I - q'^T q'; returns ||e||_F^2.
  double measure() {
    shape_.gram(q_, e_);
    for (std::int64_t i = 0; i < n_ * n_; ++i) e_[i] = -e_[i];
    for (std::int64_t i = 0; i < n_; ++i) e_[i * n_ + i] += T{1};
    double sum = 0;
    for (std::int64_t i = 0; i < n_ * n_; ++i) sum += static_cast<double>(e_[i]) * e_[i];
    return sum;
  }

  // q' <- q' sum_{m <= order} c_m e^m, by Horner's rule, e as measured.
  void step(int order) {
    const T last = static_cast<T>(polar_series[order]);
    for (std::int64_t i = 0; i < n_ * n_; ++i) r_[i] = last * e_[i];
    for (int m = order - 1; m > 0; --m) {
      add_to_diagonal(polar_series[m]);
      blas::gemm(false, false, n_, n_, n_, T{1}, r_, n_, e_, n_, T{0}, power_, n_);
      std::swap(r_, power_);
    }
    add_to_diagonal(polar_series[0]);
    shape_.apply(q_, r_, T{0}, next_);
    std::swap(q_, next_);
  }

  const T* result() const { return q_; }

 private:
  void add_to_diagonal(double c) {
    for (std::int64_t i = 0; i < n_; ++i) r_[i * n_ + i] += static_cast<T>(c);
  }

  PolarShape shape_;
  std::int64_t n_;
  Tensor work_;
  T* e_;
  T* r_;
  T* power_;
  T* next_;
  T* q_;
};

// Steps in which sigma / scale = 1/30 converges, by order, and one more for the digits of f64.
template <class T>
int step_limit(int order) {
  constexpr int limits[4] = {13, 8, 7, 6};
  return limits[order - 1] + (std::is_same_v<T, double> ? 1 : 0);
}

}  // namespace

template <class T>
FastOutcome polar_fast(const PolarMap& map, PolarShape shape, const T* w, double tolerance,
                       std::optional<double> prescale, T* q) {
  FastOutcome outcome;
  double largest = 0;
  for (std::int64_t i = 0; i < shape.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(w[i])));
  }
  const auto divide = [&](double scale) {
    std::transform(w, w + shape.size(), q,
                   [scale](T x) { return static_cast<T>(static_cast<double>(x) / scale); });
  };
  Iteration<T> iteration(shape, q);
  if (prescale) {
    outcome.scale = *prescale;
  } else if (largest > 0) {
    divide(largest);  // no overflow in the fourth powers
    outcome.scale = std::min(largest * iteration.schatten_8_norm(), row_column_norm(shape, w));
  }
  divide(outcome.scale);

  const int limit = map.converged() ? step_limit<T>(map.order) : map.steps;
  double defect = 0;
  for (outcome.steps = 0; outcome.steps < limit; ++outcome.steps) {
    defect = iteration.measure();
    // An order-1 step leaves 3/4 e^2 + 1/4 e^3.
    if (map.converged() && defect <= 0.1 * tolerance) {
      iteration.step(1);
      ++outcome.steps;
      outcome.converged = true;
      break;
    }
    iteration.step(map.order);
  }
  if (!map.converged()) outcome.converged = std::isfinite(defect);
  if (iteration.result() != q) {
    std::copy(iteration.result(), iteration.result() + shape.size(), q);
  }
  return outcome;
}

template FastOutcome polar_fast<float>(const PolarMap&, PolarShape, const float*, double,
                                       std::optional<double>, float*);
template FastOutcome polar_fast<double>(const PolarMap&, PolarShape, const double*, double,
                                        std::optional<double>, double*);

}  // namespace isotape
