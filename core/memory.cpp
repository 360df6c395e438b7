#include <isotape/core/memory.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace isotape {
namespace {

constexpr std::size_t alignment = 64;
constexpr int steps_per_octave = 8;  // a block wastes at most an eighth of itself

}  // namespace

// Free blocks in size classes: eight per power of two, from 64 bytes up. A cached block is poisoned
// for the address sanitizer, so that the pool hides no use after free.
class Pool {
 public:
  static Pool& instance() {
    static auto* pool = new Pool;  // never destroyed: tensors with static storage may outlive it
    return *pool;
  }

  Storage::Block* allocate(std::size_t bytes) {
    const auto [size_class, capacity] = size_class_of(bytes);
    Storage::Block* block = nullptr;
    std::uint64_t id = 0;
    {
      const std::lock_guard lock(mutex_);
      id = static_cast<std::uint64_t>(++stats_.requests);
      stats_.live_bytes += static_cast<std::int64_t>(capacity);
      if (stats_.live_bytes > stats_.peak_bytes) stats_.peak_bytes = stats_.live_bytes;
      block = free_.at(size_class);
      if (block != nullptr) {
        free_.at(size_class) = block->next;
        stats_.cached_bytes -= static_cast<std::int64_t>(capacity);
      } else {
        ++stats_.system_allocations;
      }
    }
    if (block == nullptr) {
      auto* data = static_cast<std::byte*>(std::aligned_alloc(alignment, capacity));
      if (data == nullptr) throw std::bad_alloc();
      block = new Storage::Block{{}, size_class, 0, 0, bytes, capacity, data, nullptr};
      ASAN_POISON_MEMORY_REGION(data, capacity);
    }
    ASAN_UNPOISON_MEMORY_REGION(block->data, bytes);
    block->bytes = bytes;
    block->version = 0;
    block->id = id;
    block->references.store(1, std::memory_order_relaxed);
    return block;
  }

  void free(Storage::Block* block) {
    ASAN_POISON_MEMORY_REGION(block->data, block->capacity);
    const std::lock_guard lock(mutex_);
    stats_.live_bytes -= static_cast<std::int64_t>(block->capacity);
    stats_.cached_bytes += static_cast<std::int64_t>(block->capacity);
    block->next = free_.at(block->size_class);
    free_.at(block->size_class) = block;
  }

  void trim() {
    const std::lock_guard lock(mutex_);
    for (Storage::Block*& head : free_) {
      while (head != nullptr) {
        Storage::Block* block = std::exchange(head, head->next);
        ASAN_UNPOISON_MEMORY_REGION(block->data, block->capacity);
        std::free(block->data);
        delete block;
      }
    }
    stats_.cached_bytes = 0;
  }

  void reset_peak() {
    const std::lock_guard lock(mutex_);
    stats_.peak_bytes = stats_.live_bytes;
  }

  MemoryStats stats() {
    const std::lock_guard lock(mutex_);
    MemoryStats stats = stats_;
    stats.copies = copies_.load(std::memory_order_relaxed);
    return stats;
  }

  void note_copy() { copies_.fetch_add(1, std::memory_order_relaxed); }

 private:
  struct SizeClass {
    int index;
    std::size_t capacity;
  };

  static SizeClass size_class_of(std::size_t bytes) {
    const std::size_t units = (std::max(bytes, alignment) + alignment - 1) / alignment;
    // units in (2^(octave-1), 2^octave], cut into eight equal steps where it is that large
    const auto octave = static_cast<int>(std::bit_width(units - 1));
    if (octave < 4) return {static_cast<int>(units) - 1, units * alignment};
    const std::size_t step = (std::size_t{1} << (octave - 1)) / steps_per_octave;
    const std::size_t base = std::size_t{1} << (octave - 1);
    const std::size_t steps = (units - base + step - 1) / step;
    return {8 + (octave - 4) * steps_per_octave + static_cast<int>(steps) - 1,
            (base + steps * step) * alignment};
  }

  std::mutex mutex_;
  std::array<Storage::Block*, 512> free_{};
  MemoryStats stats_;
  std::atomic<std::int64_t> copies_{0};
};

MemoryStats memory_stats() { return Pool::instance().stats(); }

void reset_peak_memory() { Pool::instance().reset_peak(); }

void note_copy() { Pool::instance().note_copy(); }

void release_cached_memory() { Pool::instance().trim(); }

Storage::Storage(std::size_t bytes) : block_(Pool::instance().allocate(bytes)) {}

void Storage::release() {
  if (block_ != nullptr && block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    Pool::instance().free(block_);
  }
}

}  // namespace isotape
