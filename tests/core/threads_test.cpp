#include <doctest/doctest.h>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/threads");

namespace {

// The thread count of a test, put back at its end.
class Threads {
 public:
  explicit Threads(int n) : before_(num_threads()) { set_num_threads(n); }
  ~Threads() { set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

using Ranges = std::set<std::pair<std::int64_t, std::int64_t>>;

Ranges ranges(std::int64_t n, std::int64_t grain) {
  Ranges seen;
  std::mutex mutex;
  parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
    const std::lock_guard lock(mutex);
    seen.emplace(begin, end);
  });
  return seen;
}

}  // namespace

TEST_CASE("set_num_threads: is what num_threads tells, and rejects 0") {
  const Threads three(3);
  CHECK(num_threads() == 3);
  CHECK_THROWS_WITH_AS(set_num_threads(0), "set_num_threads: expected a number >= 1, got 0",
                       ValueError);
  CHECK(num_threads() == 3);
}

TEST_CASE("parallel_for: ranges are disjoint, in order and cover 0..n-1") {
  for (const int threads : {1, 2, 5}) {
    const Threads scope(threads);
    for (const std::int64_t n : {0, 1, 4, 5, 6, 97}) {
      for (const std::int64_t grain : {0, 1, 10, 1000}) {
        CAPTURE(threads);
        CAPTURE(n);
        CAPTURE(grain);
        std::int64_t next = 0;
        for (const auto& [begin, end] : ranges(n, grain)) {
          CHECK(begin == next);
          CHECK(end > begin);
          next = end;
        }
        CHECK(next == n);
      }
    }
  }
}

TEST_CASE("parallel_for: no range is smaller than the grain, and none beyond the threads") {
  const Threads four(4);
  CHECK(ranges(100, 30) == Ranges{{0, 33}, {33, 66}, {66, 100}});
  CHECK(ranges(100, 1) == Ranges{{0, 25}, {25, 50}, {50, 75}, {75, 100}});
  CHECK(ranges(29, 30) == Ranges{{0, 29}});
}

TEST_CASE("parallel_for: runs on several threads, nested calls on one") {
  const Threads four(4);
  std::set<std::thread::id> outer;
  std::mutex mutex;
  std::atomic<int> nested_pieces = 0;
  parallel_for(4, 1, [&](std::int64_t, std::int64_t) {
    {
      const std::lock_guard lock(mutex);
      outer.insert(std::this_thread::get_id());
    }
    parallel_for(1000, 1, [&](std::int64_t, std::int64_t) { ++nested_pieces; });
  });
  CHECK(outer.size() == 4);
  CHECK(nested_pieces == 4);
}

TEST_CASE("parallel_for: rethrows an exception of its body, and works again after it") {
  const Threads four(4);
  CHECK_THROWS_WITH_AS(parallel_for(4, 1,
                                    [](std::int64_t begin, std::int64_t) {
                                      require<NumericError>(begin != 2, "piece ", begin);
                                    }),
                       "piece 2", NumericError);
  CHECK_THROWS_AS(parallel_for(4, 1, [](std::int64_t, std::int64_t) { throw ShapeError("all"); }),
                  ShapeError);
  CHECK(ranges(4, 1).size() == 4);
}

TEST_CASE("parallel_jobs: every job runs once, whatever the number of threads") {
  for (const int threads : {1, 3}) {
    const Threads scope(threads);
    for (const std::int64_t n : {0, 1, 2, 50}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(n));
      parallel_jobs(n, [&](std::int64_t i) { ++runs.at(static_cast<std::size_t>(i)); });
      for (const auto& count : runs) CHECK(count == 1);
    }
  }
}

TEST_CASE("parallel_jobs: rethrows an exception of a job") {
  for (const int threads : {1, 3}) {
    const Threads scope(threads);
    CHECK_THROWS_WITH_AS(
        parallel_jobs(9, [](std::int64_t i) { require<ValueError>(i != 7, "job ", i); }), "job 7",
        ValueError);
  }
}

TEST_CASE("parallel_regions: counts the loops that more than one thread got") {
  const auto nothing = [](std::int64_t, std::int64_t) {};
  const auto regions_of = [](const auto& f) {
    const std::int64_t before = parallel_regions();
    f();
    return parallel_regions() - before;
  };
  const Threads two(2);
  CHECK(regions_of([&] { parallel_for(100, 10, nothing); }) == 1);
  CHECK(regions_of([&] { parallel_for(100, 1000, nothing); }) == 0);
  CHECK(regions_of([&] { parallel_jobs(3, [](std::int64_t) {}); }) == 1);
  CHECK(regions_of([&] { parallel_jobs(1, [](std::int64_t) {}); }) == 0);
  CHECK(regions_of(
            [&] { parallel_jobs(2, [&](std::int64_t) { parallel_for(100, 10, nothing); }); }) == 1);
  set_num_threads(1);
  CHECK(regions_of([&] { parallel_for(100, 10, nothing); }) == 0);
}

TEST_CASE("LibraryThreads: one for little work or within a parallel region, else all") {
  const Threads two(2);
  {
    const LibraryThreads much(flops_worth_threads);
    CHECK(num_threads() == 2);
  }
  {
    const LibraryThreads little(0.99 * flops_worth_threads);
    CHECK(num_threads() == 1);
  }
  CHECK(num_threads() == 2);
  std::atomic<int> sum = 0;
  std::atomic<int> after = 0;
  parallel_for(2, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      {
        const LibraryThreads guard(1e9);
        sum += num_threads();
      }
      after += num_threads();
    }
  });
  CHECK(sum == 2);
  CHECK(after >= 2);
  CHECK(num_threads() == 2);
}

TEST_SUITE_END();
