// Micro-benchmarks of the engine: what a step pays per tensor, per recorded op and per loop.

#include <benchmark/benchmark.h>

#include <isotape/core/blas.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/tape.hpp>
#include <isotape/core/threads.hpp>

using namespace isotape;

namespace {

const Op twice_op("twice");

// y = 2 x with as little work as a recorded op can do.
Var twice(const Var& x) {
  const auto map = [](const Tensor& t) {
    Tensor y(t.shape());
    y.write<float>()[0] = 2 * t.data<float>()[0];
    return y;
  };
  return record(
      twice_op, map(x.value()), {x}, {},
      [map](const Tensor& dy, Needs) -> Grads<1> { return {map(dy)}; },
      [map](const Tangents<1>& dx) { return map(dx[0]); });
}

void tensor_from_pool(benchmark::State& state) {
  const Shape shape{state.range(0)};
  for (auto _ : state) benchmark::DoNotOptimize(Tensor(shape).write<float>());
}
BENCHMARK(tensor_from_pool)->Arg(16)->Arg(1 << 20);

void record_and_backward(benchmark::State& state) {
  const Tensor x = Tensor::full({1}, 1);
  const Tensor dy = Tensor::full({1}, 1);
  for (auto _ : state) {
    Tape tape;
    Var y = tape.leaf(x);
    for (std::int64_t i = 0; i < state.range(0); ++i) y = twice(y);
    tape.backward(y, dy);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(record_and_backward)->Arg(1)->Arg(100);

void parallel_loop(benchmark::State& state) {
  set_num_threads(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    parallel_for(1 << 10, 1,
                 [](std::int64_t begin, std::int64_t) { benchmark::DoNotOptimize(begin); });
  }
  set_num_threads(1);
}
BENCHMARK(parallel_loop)->Arg(1)->Arg(2);

void random_normals(benchmark::State& state) {
  Rng rng(1);
  for (auto _ : state) benchmark::DoNotOptimize(random_normal(rng, {state.range(0)}));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(random_normals)->Arg(1 << 14);

template <class T>
void gemm(benchmark::State& state) {
  const std::int64_t n = state.range(0);
  Rng rng(1);
  const Tensor a = random_normal(rng, {n, n}, 1, dtype_of<T>());
  Tensor c({n, n}, dtype_of<T>());
  T* const product = c.write<T>();
  for (auto _ : state) {
    blas::gemm<T>(false, false, n, n, n, 1, a.data<T>(), n, a.data<T>(), n, 0, product, n);
    benchmark::ClobberMemory();
  }
  state.counters["flops"] = benchmark::Counter(2.0 * static_cast<double>(n * n * n),
                                               benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(gemm<float>)->RangeMultiplier(2)->Range(16, 256);
BENCHMARK(gemm<double>)->RangeMultiplier(2)->Range(16, 256);

}  // namespace
