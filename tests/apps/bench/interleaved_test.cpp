#include <doctest/doctest.h>
#include <string>
#include <vector>

#include <isotape/apps/bench/interleaved.hpp>
#include <isotape/core/blas.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/bench/interleaved");

TEST_CASE("measure_interleaved: tasks take turns, each call prepared and both phases in order") {
  std::string calls;
  const auto note = [&](char c) { return [&calls, c] { calls += c; }; };
  // sample_ms = 0: one call per sample.
  const auto results =
      measure_interleaved({{note('a'), note('f'), note('b')}, {{}, note('g'), {}}}, 3, 0);
  CHECK(calls == "afbafbggafbgafbgafbg");
  REQUIRE(results.size() == 2);
  CHECK(results[0].calls == 1);
  CHECK(results[0].both.time.cpu_ms.min >= results[0].forward.time.cpu_ms.min);
  CHECK(results[1].backward.time.cpu_ms.median == 0);
}

TEST_CASE("measure_interleaved: flops are those of one call of a phase") {
  const std::vector<double> a(100, 1.0);
  std::vector<double> c(100);
  const auto product = [&](std::int64_t n) {
    return [&, n] {
      blas::gemm<double>(false, false, n, n, n, 1, a.data(), n, a.data(), n, 0, c.data(), n);
    };
  };
  const auto results = measure_interleaved({{{}, product(10), product(5)}}, 2, 0.1);
  CHECK(results[0].calls > 1);
  CHECK(results[0].forward.flops.f64 == doctest::Approx(2000));
  CHECK(results[0].backward.flops.f64 == doctest::Approx(250));
  CHECK(results[0].both.flops.total() == doctest::Approx(2250));
  CHECK(results[0].both.flops.f32 == 0);
}

TEST_SUITE_END();
