#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace isotape {

/// Figures of the memory pool behind all tensors of the process.
struct MemoryStats {
  std::int64_t system_allocations = 0;  ///< blocks ever asked of the system
  std::int64_t requests = 0;            ///< blocks ever handed out
  std::int64_t live_bytes = 0;          ///< bytes handed out now
  std::int64_t peak_bytes = 0;          ///< largest live_bytes so far
  std::int64_t cached_bytes = 0;        ///< bytes kept for reuse
  std::int64_t copies = 0;              ///< whole tensors copied; see note_copy()
};
MemoryStats memory_stats();

/// Starts peak_bytes anew, from what is handed out now.
void reset_peak_memory();

/// Counts a copy of a whole tensor that only moves or converts its elements (clone, conversion,
/// padding, transposition, concatenation): what a fast step avoids.
void note_copy();

/// Gives the cached blocks back to the system.
void release_cached_memory();

/// One reference-counted block of 64-byte aligned memory. Blocks that nobody holds go to a pool and
/// are handed out again, so that a training step in its steady state asks the system for nothing.
class Storage {  // NOLINT(cppcoreguidelines-special-member-functions): one = copies and moves
 public:
  Storage() = default;
  explicit Storage(std::size_t bytes);
  Storage(const Storage& other) : block_(other.block_) { retain(); }
  Storage(Storage&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Storage& operator=(Storage other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Storage() { release(); }

  explicit operator bool() const { return block_ != nullptr; }
  std::byte* data() const { return block_->data; }
  /// Whether this is the only handle.
  bool unique() const { return block_->references.load(std::memory_order_acquire) == 1; }
  /// A number that no other block has or had, however often its memory is handed out.
  std::uint64_t id() const { return block_->id; }
  /// Counts the announced writes; a value saved for the backward pass must still have its version.
  std::uint64_t version() const { return block_->version; }
  void advance_version() { ++block_->version; }
  friend bool operator==(const Storage& a, const Storage& b) { return a.block_ == b.block_; }

 private:
  friend class Pool;
  struct Block {
    std::atomic<int> references;
    int size_class;
    std::uint64_t version;
    std::uint64_t id;
    std::size_t bytes;     // as requested
    std::size_t capacity;  // as allocated
    std::byte* data;
    Block* next;
  };
  void retain() {
    if (block_ != nullptr) block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  void release();
  Block* block_ = nullptr;
};

}  // namespace isotape
