#pragma once

#include <cstdint>
#include <functional>

namespace isotape {

/// The one thread knob: our own loops, oneDNN and OpenBLAS all follow it. One OpenMP runtime serves
/// the three; see README, "Decisions".
/// @param n  number of threads, >= 1
void set_num_threads(int n);
int num_threads();

/// Calls f(begin, end) for disjoint ranges that cover 0..n-1, in parallel where n exceeds `grain`
/// (the smallest range worth a thread). Ranges depend on n, grain and num_threads() only. A body
/// that throws ends the loop, and the first exception is rethrown. Nested calls run serially.
void parallel_for(std::int64_t n, std::int64_t grain,
                  const std::function<void(std::int64_t, std::int64_t)>& f);

/// Loops of these two kinds that were given to more than one thread since the program began. What
/// oneDNN and OpenBLAS start is not counted.
std::int64_t parallel_regions();

/// Calls f(i) for i = 0..n-1, each handed to the next free thread, one thread per job: for lists of
/// jobs of unequal cost, largest first. Loops and BLAS calls inside a job are serial, also if it is
/// the only one, so that its bits depend neither on the other jobs nor on num_threads().
void parallel_jobs(std::int64_t n, const std::function<void(std::int64_t)>& f);

/// Work of fewer floating-point operations is done before a second thread has woken up.
constexpr double flops_worth_threads = 2e6;

/// While it lives, a library that asks for the number of threads is told one, if this thread is
/// within a parallel region (it would be told the region's number otherwise), or if its work is not
/// worth more.
class LibraryThreads {
 public:
  explicit LibraryThreads(double flops);
  ~LibraryThreads();
  LibraryThreads(const LibraryThreads&) = delete;
  LibraryThreads& operator=(const LibraryThreads&) = delete;

 private:
  int before_;
};

}  // namespace isotape
