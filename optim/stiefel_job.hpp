#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/polar.hpp>
#include <isotape/optim/stiefel.hpp>

namespace isotape {

// The matrices of a list of moves as independent jobs, and how far one is from the manifold: what
// stiefel.cpp and retract.cpp share.

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
inline PolarShape matrix_of(const Shape& shape) {
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
RetractionStats run_jobs(std::span<const ManifoldMove> moves, Access access, F f) {
  std::vector<Job<T>> jobs = jobs_of<T>(moves, access);
  const auto small = std::find_if(jobs.begin(), jobs.end(),
                                  [](const Job<T>& job) { return job.work() < large_product; });
  std::for_each(jobs.begin(), small, f);
  parallel_jobs(jobs.end() - small, [&](std::int64_t i) { f(small[i]); });
  RetractionStats stats;
  for (const Job<T>& job : jobs) stats += job.stats;
  return stats;
}

inline void check_moves(const char* op, std::span<const ManifoldMove> moves) {
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

template <class T>
double frobenius(const T* x, std::int64_t size) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < size; ++i) sum += double(x[i]) * double(x[i]);
  return std::sqrt(sum);
}

// d <- d - w sym(w^T d) / scale^2.
template <class T>
void project(const Job<T>& job) {
  const std::int64_t k = job.k();
  Tensor product({k, k}, dtype_of<T>());
  T* const s = product.write<T>();
  job.shape.inner(job.w, job.d, s);
  const T factor = static_cast<T>(-0.5 / (job.scale * job.scale));
  for_pairs(k, [=](std::int64_t i, std::int64_t j) {
    s[i * k + j] = s[j * k + i] = factor * (s[i * k + j] + s[j * k + i]);
  });
  job.shape.apply(job.w, s, T(1), job.d);
}

// e = w^T w / scale^2 - I, and its size.
template <class T>
struct Deviation {
  Tensor e;  // [k, k]
  double max = 0;
  double frobenius = 0;
  double row = 0;  // largest l2 norm of a row

  explicit Deviation(std::int64_t k) : e({k, k}, dtype_of<T>()) {}

  void measure_size() {
    const std::int64_t k = e.dim(0);
    max = max_abs(e);
    row = 0;
    double squares = 0;
    for (std::int64_t i = 0; i < k; ++i) {
      const double norm = isotape::frobenius(e.template data<T>() + i * k, k);
      row = std::max(row, norm);
      squares += norm * norm;
    }
    frobenius = std::sqrt(squares);
  }
  void measure(const Job<T>& job, const T* w) {
    const std::int64_t k = job.k();
    T* const entries = e.template write<T>();
    job.shape.gram(w, entries);
    const T factor = static_cast<T>(1 / (job.scale * job.scale));
    for (std::int64_t i = 0; i < k * k; ++i) entries[i] *= factor;
    for (std::int64_t i = 0; i < k; ++i) entries[i * k + i] -= T(1);
    measure_size();
    require<NumericError>(std::isfinite(frobenius), "stiefel: expected finite values of ", job.name,
                          ", got defect ", max);
  }
};

}  // namespace isotape
