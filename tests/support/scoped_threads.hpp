#pragma once

#include <isotape/core/threads.hpp>

// The number of threads while it lives. Counts of memory asked of the system are exact on one
// thread only: which jobs of several meet, and so how much they hold at once, differs by step.
class ScopedThreads {
 public:
  explicit ScopedThreads(int n) : before_(isotape::num_threads()) { isotape::set_num_threads(n); }
  ~ScopedThreads() { isotape::set_num_threads(before_); }
  ScopedThreads(const ScopedThreads&) = delete;
  ScopedThreads& operator=(const ScopedThreads&) = delete;

 private:
  int before_;
};
