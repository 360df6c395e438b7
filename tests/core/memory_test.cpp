#include <doctest/doctest.h>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include <isotape/core/memory.hpp>
#include <isotape/core/tensor.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/memory");

TEST_CASE("memory: a loop in its steady state asks the system for nothing") {
  const auto step = [] {
    Tensors live;
    for (std::int64_t n = 1; n < 40000; n = n * 3 + 1) {
      live.emplace_back(Shape{n});
      live.emplace_back(Shape{n, 2}, DType::f64);
    }
  };
  step();
  const MemoryStats before = memory_stats();
  for (int i = 0; i < 10; ++i) step();
  const MemoryStats after = memory_stats();
  CHECK(after.system_allocations == before.system_allocations);
  CHECK(after.requests == before.requests + 200);
  CHECK(after.live_bytes == before.live_bytes);
  CHECK(after.cached_bytes == before.cached_bytes);
}

TEST_CASE("memory: the figures follow what is held") {
  release_cached_memory();
  const MemoryStats before = memory_stats();
  CHECK(before.cached_bytes == 0);
  {
    const Storage block(std::size_t{1} << 20);
    const MemoryStats during = memory_stats();
    CHECK(during.live_bytes == before.live_bytes + (1 << 20));
    CHECK(during.peak_bytes >= during.live_bytes);
    CHECK(during.system_allocations == before.system_allocations + 1);
    CHECK(during.cached_bytes == 0);
  }
  const MemoryStats after = memory_stats();
  CHECK(after.live_bytes == before.live_bytes);
  CHECK(after.cached_bytes == 1 << 20);
  release_cached_memory();
  CHECK(memory_stats().cached_bytes == 0);
}

TEST_CASE("memory: the peak can be started anew") {
  const std::int64_t held = memory_stats().live_bytes;
  { const Storage block(std::size_t{1} << 22); }
  CHECK(memory_stats().peak_bytes >= held + (1 << 22));
  reset_peak_memory();
  CHECK(memory_stats().peak_bytes == held);
  { const Storage block(std::size_t{1} << 20); }
  CHECK(memory_stats().peak_bytes == held + (1 << 20));
}

TEST_CASE("memory: a block holds at least what was asked and wastes at most an eighth") {
  for (std::size_t bytes = 1; bytes < (std::size_t{1} << 34); bytes = bytes * 5 / 4 + 1) {
    if (bytes > (1U << 24U)) break;
    release_cached_memory();
    const std::int64_t before = memory_stats().live_bytes;
    const Storage block(bytes);
    std::memset(block.data(), 1, bytes);
    const auto held = static_cast<std::size_t>(memory_stats().live_bytes - before);
    CAPTURE(bytes);
    CHECK(held >= bytes);
    CHECK(held <= bytes + bytes / 8 + 64);
    CHECK(reinterpret_cast<std::uintptr_t>(block.data()) % 64 == 0);
  }
}

TEST_CASE("memory: live blocks never overlap, whatever is freed between") {
  std::vector<std::pair<Storage, std::size_t>> live;
  for (std::size_t i = 0; i < 400; ++i) {
    const std::size_t bytes = 1 + i * 37 % 5000;
    live.emplace_back(Storage(bytes), bytes);
    std::memset(live.back().first.data(), static_cast<int>(i % 251), bytes);
    live.back().first.advance_version();
    if (i % 3 == 2) live.erase(live.begin() + static_cast<std::ptrdiff_t>(live.size() / 2));
  }
  for (const auto& [block, bytes] : live) {
    bool intact = true;
    for (std::size_t k = 0; k < bytes; ++k) intact = intact && block.data()[k] == block.data()[0];
    CHECK(intact);
    CHECK(block.version() == 1);
  }
}

TEST_CASE("storage: counts its handles") {
  Storage a(100);
  CHECK(a.unique());
  {
    const Storage b = a;  // NOLINT(performance-unnecessary-copy-initialization): counted
    CHECK(a == b);
    CHECK_FALSE(a.unique());
  }
  CHECK(a.unique());
  const Storage c = std::move(a);
  CHECK(c.unique());
  Storage d(100);
  CHECK_FALSE(c == d);
  d = c;
  CHECK(c == d);
  CHECK_FALSE(Storage());
}

TEST_CASE("memory: threads allocate and free at the same time") {
  std::vector<std::thread> threads;
  std::vector<int> faults(4, 0);
  for (std::size_t t = 0; t < faults.size(); ++t) {
    threads.emplace_back([t, &faults] {
      for (int i = 0; i < 2000; ++i) {
        const Storage block(static_cast<std::size_t>(64 + i % 7 * 100));
        std::memset(block.data(), static_cast<int>(t), 64);
        for (int k = 0; k < 64; ++k) faults[t] += block.data()[k] != std::byte(t) ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int count : faults) CHECK(count == 0);
}

TEST_SUITE_END();
