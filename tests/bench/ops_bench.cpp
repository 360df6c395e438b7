// Micro-benchmarks of operations over a range of sizes, forward and backward; `isotape bench ops`
// and `isotape bench orthogonalize` measure those of the models.

#include <benchmark/benchmark.h>
#include <functional>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/ops/bjorck.hpp>
#include <isotape/ops/block_conv.hpp>
#include <isotape/ops/cayley.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/group_sort.hpp>
#include <isotape/ops/loss.hpp>
#include <isotape/ops/pad.hpp>
#include <isotape/ops/pixel_shuffle.hpp>
#include <isotape/ops/reduce.hpp>

using namespace isotape;

namespace {

// f on a recorded x and back.
void there_and_back(benchmark::State& state, const Tensor& x,
                    const std::function<Var(const Var&)>& f) {
  Rng rng(2);
  const Tensor dy = random_normal(rng, f(x).shape());
  for (auto _ : state) {
    Tape tape;
    tape.backward(f(tape.leaf(x)), dy);
  }
  state.SetBytesProcessed(state.iterations() * x.size() * 4);
}

Tensor images(std::int64_t side, std::int64_t channels) {
  Rng rng(1);
  return random_normal(rng, {8, side, side, channels});
}

void max_min_of_images(benchmark::State& state) {
  there_and_back(state, images(state.range(0), 32), [](const Var& x) { return max_min(x); });
}
BENCHMARK(max_min_of_images)->RangeMultiplier(2)->Range(4, 64);

void group_sort_by_size(benchmark::State& state) {
  there_and_back(state, images(16, 32), [size = static_cast<int>(state.range(0))](const Var& x) {
    return group_sort(x, size);
  });
}
BENCHMARK(group_sort_by_size)->RangeMultiplier(2)->Range(2, 32);

void circular_pad(benchmark::State& state) {
  there_and_back(state, images(state.range(0), 32), [](const Var& x) {
    return pad(x, {1, 1, 1, 1}, PadMode::circular);
  });
}
BENCHMARK(circular_pad)->RangeMultiplier(4)->Range(4, 64);

void unshuffle(benchmark::State& state) {
  there_and_back(state, images(state.range(0), 32),
                 [](const Var& x) { return pixel_unshuffle(x, 2); });
}
BENCHMARK(unshuffle)->RangeMultiplier(4)->Range(4, 64);

void convolution(benchmark::State& state) {
  Rng rng(3);
  const std::int64_t channels = state.range(0);
  const Tensor w = random_normal(rng, {channels, 3, 3, channels});
  there_and_back(state, images(16, channels), [w](const Var& x) { return conv2d(x, w); });
}
BENCHMARK(convolution)->RangeMultiplier(4)->Range(4, 64);

void scaled_sum(benchmark::State& state) {
  there_and_back(state, images(state.range(0), 32), [](const Var& x) { return sum(scale(x, 3)); });
}
BENCHMARK(scaled_sum)->RangeMultiplier(4)->Range(4, 64);

void polar(benchmark::State& state) {
  Rng rng(4);
  const std::int64_t n = state.range(0);
  there_and_back(state, random_orthogonal(rng, {n, n}), [](const Var& w) { return bjorck(w); });
}
BENCHMARK(polar)->RangeMultiplier(2)->Range(8, 128);

void cayley_transform(benchmark::State& state) {
  Rng rng(5);
  const std::int64_t n = state.range(0);
  there_and_back(state, random_normal(rng, {n, n}, 0.1), [](const Var& w) { return cayley(w); });
}
BENCHMARK(cayley_transform)->RangeMultiplier(2)->Range(8, 128);

void block_convolution(benchmark::State& state) {
  Rng rng(6);
  const std::int64_t c = state.range(0);
  there_and_back(state, random_orthogonal(rng, {5, c, c}),
                 [c](const Var& w) { return bcop_kernel(w, c, c); });
}
BENCHMARK(block_convolution)->RangeMultiplier(4)->Range(4, 64);

void cross_entropy(benchmark::State& state) {
  Rng rng(7);
  const std::vector<std::int32_t> labels(static_cast<std::size_t>(state.range(0)), 3);
  there_and_back(state, random_normal(rng, {state.range(0), 10}),
                 [&](const Var& x) { return softmax_cross_entropy(x, labels); });
}
BENCHMARK(cross_entropy)->Arg(1)->Arg(128);

}  // namespace
