#include <isotape/core/threads.hpp>

#include <omp.h>
#include <algorithm>
#include <atomic>
#include <exception>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>

namespace isotape {
namespace {

std::atomic<std::int64_t> regions{0};

// An exception may not leave an OpenMP region: the first one is kept and rethrown after it.
class FirstException {
 public:
  template <class F>
  void run(F&& f) noexcept {
    try {
      f();
    } catch (...) {
#pragma omp critical(isotape_first_exception)
      if (!first_) first_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::exception_ptr first_;
};

// Loops and BLAS calls of this thread run serially while it lives; OpenBLAS asks OpenMP each time.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

}  // namespace

void set_num_threads(int n) {
  require<ValueError>(n >= 1, "set_num_threads: expected a number >= 1, got ", n);
  omp_set_num_threads(n);
  blas::set_num_threads(n);
}

std::int64_t parallel_regions() { return regions.load(std::memory_order_relaxed); }

int num_threads() { return omp_get_max_threads(); }

void parallel_for(std::int64_t n, std::int64_t grain,
                  const std::function<void(std::int64_t, std::int64_t)>& f) {
  if (n <= 0) return;
  const std::int64_t pieces =
      std::clamp<std::int64_t>(n / std::max<std::int64_t>(grain, 1), 1, num_threads());
  if (pieces == 1 || omp_in_parallel() != 0) {
    f(0, n);
    return;
  }
  regions.fetch_add(1, std::memory_order_relaxed);
  FirstException failure;
#pragma omp parallel for schedule(static) num_threads(static_cast <int>(pieces))
  for (std::int64_t piece = 0; piece < pieces; ++piece) {
    failure.run([&] { f(n * piece / pieces, n * (piece + 1) / pieces); });
  }
  failure.rethrow();
}

void parallel_jobs(std::int64_t n, const std::function<void(std::int64_t)>& f) {
  if (n <= 1 || num_threads() == 1 || omp_in_parallel() != 0) {
    const OneThread one_thread;
    for (std::int64_t i = 0; i < n; ++i) f(i);
    return;
  }
  regions.fetch_add(1, std::memory_order_relaxed);
  FirstException failure;
#pragma omp parallel for schedule(dynamic, 1)
  for (std::int64_t i = 0; i < n; ++i) {
    failure.run([&] { f(i); });
  }
  failure.rethrow();
}

LibraryThreads::LibraryThreads(double flops) : before_(omp_get_max_threads()) {
  if (omp_in_parallel() != 0 || flops < flops_worth_threads) omp_set_num_threads(1);
}

LibraryThreads::~LibraryThreads() { omp_set_num_threads(before_); }

}  // namespace isotape
