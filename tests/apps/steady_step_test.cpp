// What a training step in its steady state asks of memory, of the libraries and of the threads,
// counted: where times may not be asserted, these may.

#include <doctest/doctest.h>
#include <ostream>
#include <string>
#include <support/needs_bf16.hpp>
#include <support/scoped_threads.hpp>

#include <isotape/apps/evaluation.hpp>
#include <isotape/apps/resolve.hpp>
#include <isotape/apps/training.hpp>
#include <isotape/core/memory.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/datasets/registry.hpp>
#include <isotape/layers/weight.hpp>
#include <isotape/ops/conv2d.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/steady_step");

namespace {

struct Counts {
  std::int64_t from_system = 0;  // blocks of memory asked of the system
  std::int64_t requests = 0;     // tensors allocated by isotape, all of them from the pool
  std::int64_t copies = 0;       // whole tensors copied, padded, transposed or converted
  std::int64_t primitives = 0;   // created by oneDNN
  std::int64_t reorders = 0;     // of weights, by oneDNN
  std::int64_t weights = 0;      // made for the recording
  std::int64_t folded = 0;       // made for inference
  std::int64_t regions = 0;      // parallel loops of our own

  static Counts now() {
    const MemoryStats memory = memory_stats();
    const Conv2dCounters conv = conv2d_counters();
    const WeightCounters weight = weight_counters();
    return {memory.system_allocations,
            memory.requests - conv.scratchpads,
            memory.copies,
            conv.primitives_created,
            conv.reorders,
            weight.recorded,
            weight.folded,
            parallel_regions()};
  }
  friend Counts operator-(const Counts& a, const Counts& b) {
    return {a.from_system - b.from_system, a.requests - b.requests, a.copies - b.copies,
            a.primitives - b.primitives,   a.reorders - b.reorders, a.weights - b.weights,
            a.folded - b.folded,           a.regions - b.regions};
  }
  friend bool operator==(const Counts&, const Counts&) = default;
  friend std::ostream& operator<<(std::ostream& os, const Counts& c) {
    return os << "from system " << c.from_system << ", requests " << c.requests << ", copies "
              << c.copies << ", primitives " << c.primitives << ", reorders " << c.reorders
              << ", weights " << c.weights << ", folded " << c.folded << ", regions " << c.regions;
  }
};

Training training_of(const char* model, int threads, const char* precision = "f32") {
  TrainOptions options;
  options.model = model;
  options.dataset = "glyphs";
  options.threads = threads;
  options.precision = precision;
  return {resolve(options), named_model(model), load_dataset("glyphs")};
}

// Of each of three steps in a row, which must agree.
Counts steady_step(const char* model, int threads, const char* precision = "f32") {
  const ScopedThreads some(threads);
  Training training = training_of(model, threads, precision);
  for (int i = 0; i < 4; ++i) training.step();
  Counts first;
  for (int i = 0; i < 3; ++i) {
    const Counts before = Counts::now();
    training.step();
    Counts step = Counts::now() - before;
    // Which jobs of several threads meet, and with them how much memory they hold at once, is not
    // the same in every step: the pool may still grow.
    if (threads > 1) step.from_system = 0;
    if (i == 0) first = step;
    CHECK(step == first);
  }
  return first;
}

}  // namespace

// Copies: each convolution frames its images and folds the gradient of all but the first, which
// has none; the flattening permutes both ways; what more there is belongs to the weights. Reorders:
// the weights of each convolution forward and backward, but not those of the first, whose images
// have no gradient, and the gradients of the weights.
TEST_CASE("steady step: one thread") {
  CHECK(steady_step("plain-small", 1) ==
        Counts{.requests = 38, .copies = 5, .reorders = 5, .weights = 4});
  CHECK(steady_step("bcop-small", 1) ==
        Counts{.requests = 177, .copies = 23, .reorders = 5, .weights = 4});
  CHECK(steady_step("plain-mlp-3", 1) == Counts{.requests = 21, .weights = 3});
  CHECK(steady_step("mlp-3", 1) == Counts{.requests = 70, .copies = 5, .weights = 3});
}

TEST_CASE("steady step: two threads start few loops, and ask for nothing more") {
  CHECK(steady_step("plain-small", 2) ==
        Counts{.requests = 38, .copies = 5, .reorders = 5, .weights = 4, .regions = 11});
  CHECK(steady_step("bcop-small", 2) ==
        Counts{.requests = 177, .copies = 23, .reorders = 5, .weights = 4, .regions = 13});
  CHECK(steady_step("plain-mlp-3", 2) == Counts{.requests = 21, .weights = 3, .regions = 3});
  CHECK(steady_step("mlp-3", 2) == Counts{.requests = 70, .copies = 5, .weights = 3, .regions = 5});
}

// Copies: the framing rounds, as does each other operand, once: x, w and dy of a dense layer, dy of
// a convolution. Reorders, which round weights of convolutions: as many as in f32.
TEST_CASE("steady step: bf16 asks the system for nothing and rounds each operand once") {
  if (lacks_bf16()) return;
  CHECK(steady_step("plain-small", 1, "bf16") ==
        Counts{.requests = 43, .copies = 10, .reorders = 5, .weights = 4});
  CHECK(steady_step("bcop-small", 1, "bf16") ==
        Counts{.requests = 182, .copies = 28, .reorders = 5, .weights = 4});
  CHECK(steady_step("mlp-3", 1, "bf16") == Counts{.requests = 76, .copies = 11, .weights = 3});
}

TEST_CASE("steady evaluation: makes no weight, no primitive, and reorders nothing") {
  const ScopedThreads one(1);
  Training training = training_of("bcop-small", 1);
  training.step();
  const Split& test = training.data().test;
  evaluate(training.model(), test, {1.58}, 100);
  const Counts before = Counts::now();
  evaluate(training.model(), test, {1.58}, 100);
  const Counts second = Counts::now() - before;
  CHECK(second.from_system == 0);
  CHECK(second.weights == 0);
  CHECK(second.folded == 0);
  CHECK(second.primitives == 0);
  CHECK(second.reorders == 0);
}

TEST_SUITE_END();
