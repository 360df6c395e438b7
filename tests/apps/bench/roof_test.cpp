#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <isotape/apps/bench/process_memory.hpp>
#include <isotape/apps/bench/roof.hpp>
#include <isotape/core/memory.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/bench/roof");

TEST_CASE("roof: the higher of two measurements, rate by rate") {
  Roof before;
  before.threads = 2;
  before.one = {10, 5, 8, 15, 30, 20, 3};
  before.all = {20, 9, 16, 25, 60, 40, 4};
  Roof after = before;
  after.one.sgemm_gflops = 12;
  after.all.copy_64m_gb_s = 3;
  const Roof best = highest(before, after);
  CHECK(best.threads == 2);
  CHECK(best.one.sgemm_gflops == 12);
  CHECK(best.one.dgemm_gflops == 5);
  CHECK(best.one.bf16_gflops == 15);
  CHECK(best.all.copy_64m_gb_s == 4);
  CHECK(best.one.copy_gb_s(1 << 19) == 30);
  CHECK(best.one.copy_gb_s(1 << 23) == 20);
  CHECK(best.one.copy_gb_s(1 << 27) == 3);
  const nlohmann::json json = to_json(before, after);
  CHECK(json["one_thread"]["sgemm_gflops"] == 12);
  CHECK(json["before"]["one_thread"]["sgemm_gflops"] == 10);
  CHECK(json["all_threads"]["convolution_gflops"] == 16);
  CHECK(to_text(best).starts_with("roof, 1 thread: sgemm 12.0 GFLOP/s, dgemm 5.0"));
}

TEST_CASE("share_of_roof: the time at the roof over the time taken") {
  Roof roof;
  roof.all = {100, 50, 80, 0, 1, 1, 1};
  // At the roof: 1e6 / 100e9 s + 2e6 / 50e9 s + 4e6 / 80e9 s = 0.1 ms.
  Measured measured{timing_of({{0.4, 0.8}}), {1e6, 2e6, 4e6}};
  CHECK(share_of_roof(measured, roof) == doctest::Approx(0.25));
  roof.threads = 2;
  CHECK(share_of_roof(measured, roof) == doctest::Approx(0.125));
  // With bf16 8e6 / 200e9 s more.
  roof.all.bf16_gflops = 200;
  measured.flops.bf16 = 8e6;
  CHECK(share_of_roof(measured, roof) == doctest::Approx(0.175));
}

TEST_CASE("peak_resident_mb: the peak follows what is touched, from the last reset on") {
  const double before = peak_resident_mb();
  CHECK(before > 1);
  if (!reset_peak_resident()) return;
  CHECK(peak_resident_mb() <= before + 1);
  const double from = peak_resident_mb();
  {
    Storage block(std::size_t{64} << 20);
    for (std::size_t i = 0; i < (std::size_t{64} << 20); i += 4096) block.data()[i] = std::byte{1};
  }
  release_cached_memory();
  CHECK(peak_resident_mb() > from + 60);
  CHECK(peak_resident_mb() < from + 80);
}

TEST_SUITE_END();
