// Micro-benchmarks of one update by each optimizer, and of one on the manifold.

#include <benchmark/benchmark.h>
#include <memory>
#include <string>

#include <isotape/core/random.hpp>
#include <isotape/optim/make_optimizer.hpp>

using namespace isotape;

namespace {

void update(benchmark::State& state, const std::string& name, bool on_manifold) {
  Rng rng(1);
  const std::int64_t n = state.range(0);
  Parameter parameter(random_orthogonal(rng, {n, n}));
  if (on_manifold) parameter.manifold = Stiefel{1};
  const Tensor grad = random_normal(rng, {n, n});
  const auto optimizer = make_optimizer(name, {{"w", &parameter}});
  for (auto _ : state) {
    parameter.grad = grad.clone();
    optimizer->step(1e-3);
  }
  state.SetItemsProcessed(state.iterations() * n * n);
}

BENCHMARK_CAPTURE(update, sgd, "sgd:momentum=0.9", false)->Arg(64)->Arg(512);
BENCHMARK_CAPTURE(update, adam, "adam", false)->Arg(64)->Arg(512);
BENCHMARK_CAPTURE(update, rmsprop, "rmsprop", false)->Arg(64)->Arg(512);
BENCHMARK_CAPTURE(update, aggmo, "aggmo", false)->Arg(64)->Arg(512);
BENCHMARK_CAPTURE(update, adam_retracted, "adam", true)->Arg(64)->Arg(512);

}  // namespace
