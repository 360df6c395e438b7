#pragma once

#include <array>
#include <cstddef>
#include <mutex>

#include <isotape/core/tensor.hpp>

namespace isotape {

/// Reordered weights of the last few tensors that inference came with, known by their marks. For
/// several threads at once.
class KeptWeights {
 public:
  /// What make() made of w when its elements were what they are now; else what it makes now.
  template <class Make>
  Tensor get(const Tensor& w, Make&& make) {
    const std::lock_guard lock(mutex_);
    for (const Slot& slot : slots_) {
      if (slot.reordered && slot.mark == w.mark()) return slot.reordered;
    }
    Slot& slot = slots_.at(next_++ % slots_.size());
    slot = {w.mark(), make()};
    return slot.reordered;
  }

 private:
  struct Slot {
    Tensor::Mark mark;
    Tensor reordered;
  };
  std::mutex mutex_;
  std::array<Slot, 8> slots_;
  std::size_t next_ = 0;
};

}  // namespace isotape
