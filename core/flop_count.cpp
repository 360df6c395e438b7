#include <isotape/core/flop_count.hpp>

#include <atomic>

namespace isotape {
namespace {

// Whole numbers up to 2^53 add exactly; a program that counts further loses units of nothing.
std::atomic<double> f32_flops{0};
std::atomic<double> f64_flops{0};
std::atomic<double> convolution_flops{0};
std::atomic<double> bf16_flops{0};

std::atomic<double>& flops_of(DType dtype) {
  if (dtype == DType::bf16) return bf16_flops;
  return dtype == DType::f64 ? f64_flops : f32_flops;
}

}  // namespace

FlopCount operator-(const FlopCount& a, const FlopCount& b) {
  return {a.f32 - b.f32, a.f64 - b.f64, a.convolution - b.convolution, a.bf16 - b.bf16};
}

FlopCount operator+(const FlopCount& a, const FlopCount& b) {
  return {a.f32 + b.f32, a.f64 + b.f64, a.convolution + b.convolution, a.bf16 + b.bf16};
}

FlopCount flop_count() { return {f32_flops, f64_flops, convolution_flops, bf16_flops}; }

void count_flops(DType dtype, double flops) {
  flops_of(dtype).fetch_add(flops, std::memory_order_relaxed);
}

void count_convolution_flops(double flops) {
  convolution_flops.fetch_add(flops, std::memory_order_relaxed);
}

}  // namespace isotape
