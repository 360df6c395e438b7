#include <isotape/apps/bench/roof.hpp>

#include <fmt/format.h>
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include <isotape/core/blas.hpp>
#include <isotape/core/memory.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/product_bf16.hpp>

namespace isotape {
namespace {

// Shortest of so many calls, after one that warms up.
template <class F>
double best_ms(int repetitions, int threads, F&& f) {
  f();
  std::vector<Duration> samples;
  for (int i = 0; i < repetitions; ++i) {
    Stopwatch watch;
    f();
    samples.push_back(watch.lap());
  }
  return timing_of(samples).best_ms(threads);
}

template <class T>
double gemm_gflops(int repetitions, int threads) {
  constexpr std::int64_t n = 1024;
  Rng rng(1);
  const Tensor a = random_normal(rng, {n, n}, 1, dtype_of<T>());
  const Tensor b = random_normal(rng, {n, n}, 1, dtype_of<T>());
  Tensor c({n, n}, dtype_of<T>());
  T* const product = c.write<T>();
  const double ms = best_ms(repetitions, threads, [&] {
    blas::gemm<T>(false, false, n, n, n, 1, a.data<T>(), n, b.data<T>(), n, 0, product, n);
  });
  return 2e-6 * n * n * n / ms;
}

double convolution_gflops(int threads) {
  Rng rng(1);
  const Tensor x = random_normal(rng, {32, 34, 34, 64});
  const Tensor w = random_normal(rng, {64, 3, 3, 64});
  const double flops = 2.0 * 32 * 32 * 32 * 64 * 9 * 64;
  return 1e-6 * flops / best_ms(10, threads, [&] { conv2d(x, w); });
}

double bf16_gflops(int threads) {
  if (!cpu_has_bf16()) return 0;
  constexpr std::int64_t n = 1024;
  Rng rng(1);
  const Tensor a = random_normal(rng, {n, n}).to(DType::bf16);
  const Tensor b = random_normal(rng, {n, n}).to(DType::bf16);
  const double ms = best_ms(10, threads, [&] { multiply_bf16({n, n, n, false, false}, a, b); });
  return 2e-6 * n * n * n / ms;
}

std::int64_t kib(std::int64_t number) { return number << 10; }

double copy_rate(std::int64_t bytes, int calls, int threads) {
  const Tensor from = Tensor::zeros({bytes}, DType::u8);
  Tensor to = Tensor::zeros({bytes}, DType::u8);
  const auto* const source = from.data<std::uint8_t>();
  auto* const target = to.write<std::uint8_t>();
  const double ms = best_ms(10, threads, [&] {
    for (int i = 0; i < calls; ++i) {
      parallel_for(bytes, 1 << 15, [&](std::int64_t begin, std::int64_t end) {
        std::memcpy(target + begin, source + begin, static_cast<std::size_t>(end - begin));
      });
    }
  });
  return 2e-6 * static_cast<double>(bytes) * calls / ms;
}

Roof::Rates measure_rates(int threads) {
  set_num_threads(threads);
  return {gemm_gflops<float>(10, threads),     gemm_gflops<double>(5, threads),
          convolution_gflops(threads),         bf16_gflops(threads),
          copy_rate(kib(256), 200, threads),   copy_rate(kib(4 << 10), 10, threads),
          copy_rate(kib(64 << 10), 1, threads)};
}

Roof::Rates highest(const Roof::Rates& a, const Roof::Rates& b) {
  return {std::max(a.sgemm_gflops, b.sgemm_gflops),
          std::max(a.dgemm_gflops, b.dgemm_gflops),
          std::max(a.convolution_gflops, b.convolution_gflops),
          std::max(a.bf16_gflops, b.bf16_gflops),
          std::max(a.copy_256k_gb_s, b.copy_256k_gb_s),
          std::max(a.copy_4m_gb_s, b.copy_4m_gb_s),
          std::max(a.copy_64m_gb_s, b.copy_64m_gb_s)};
}

nlohmann::ordered_json to_json(const Roof::Rates& rates) {
  return {{"sgemm_gflops", rates.sgemm_gflops},
          {"dgemm_gflops", rates.dgemm_gflops},
          {"convolution_gflops", rates.convolution_gflops},
          {"bf16_gflops", rates.bf16_gflops},
          {"copy_256k_gb_s", rates.copy_256k_gb_s},
          {"copy_4m_gb_s", rates.copy_4m_gb_s},
          {"copy_64m_gb_s", rates.copy_64m_gb_s}};
}

std::string line(const Roof::Rates& rates, int threads) {
  return fmt::format(
      "roof, {} thread{}: sgemm {:.1f} GFLOP/s, dgemm {:.1f}, 3x3 convolution {:.1f}, bf16 {:.1f}; "
      "copies of "
      "256 KiB {:.1f} GB/s, 4 MiB {:.1f}, 64 MiB {:.1f}\n",
      threads, threads == 1 ? "" : "s", rates.sgemm_gflops, rates.dgemm_gflops,
      rates.convolution_gflops, rates.bf16_gflops, rates.copy_256k_gb_s, rates.copy_4m_gb_s,
      rates.copy_64m_gb_s);
}

}  // namespace

double Roof::Rates::copy_gb_s(double bytes) const {
  if (bytes <= static_cast<double>(kib(1 << 10))) return copy_256k_gb_s;
  return bytes <= static_cast<double>(kib(16 << 10)) ? copy_4m_gb_s : copy_64m_gb_s;
}

Roof measure_roof(int threads) {
  const Paused paused;
  Roof roof;
  roof.threads = threads;
  roof.one = measure_rates(1);
  roof.all = threads == 1 ? roof.one : measure_rates(threads);
  set_num_threads(threads);
  release_cached_memory();
  return roof;
}

Roof highest(const Roof& before, const Roof& after) {
  return {before.threads, highest(before.one, after.one), highest(before.all, after.all)};
}

double share_of_roof(const Measured& measured, const Roof& roof) {
  const FlopCount& flops = measured.flops;
  const double ideal_ms =
      1e-6 * (flops.f32 / roof.all.sgemm_gflops + flops.f64 / roof.all.dgemm_gflops +
              flops.convolution / roof.all.convolution_gflops +
              (flops.bf16 > 0 ? flops.bf16 / roof.all.bf16_gflops : 0));
  return ideal_ms / measured.time.best_ms(roof.threads);
}

nlohmann::ordered_json to_json(const Roof& before, const Roof& after) {
  const Roof best = highest(before, after);
  nlohmann::ordered_json json = {{"threads", best.threads},
                                 {"one_thread", to_json(best.one)},
                                 {"all_threads", to_json(best.all)}};
  json["before"] = {{"one_thread", to_json(before.one)}, {"all_threads", to_json(before.all)}};
  json["after"] = {{"one_thread", to_json(after.one)}, {"all_threads", to_json(after.all)}};
  return json;
}

std::string to_text(const Roof& roof) {
  return line(roof.one, 1) + (roof.threads == 1 ? "" : line(roof.all, roof.threads));
}

}  // namespace isotape
