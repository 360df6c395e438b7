#pragma once

#include <doctest/doctest.h>

#include <isotape/ops/product_bf16.hpp>

/// Whether to leave a test out, for want of instructions of the CPU; says so.
inline bool lacks_bf16() {
  if (isotape::cpu_has_bf16()) return false;
  MESSAGE("left out: this CPU has neither AVX512-BF16 nor AMX");
  return true;
}
