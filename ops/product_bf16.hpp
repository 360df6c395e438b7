#pragma once

#include <cstdint>
#include <string_view>

#include <isotape/core/tensor.hpp>

namespace isotape {

/// Whether products of bf16 run on instructions of the CPU (AVX512-BF16 or AMX), as oneDNN sees it.
bool cpu_has_bf16();
/// @throws ValueError  `op: expected a CPU with AVX512-BF16 or AMX for products in bf16, got ...`
void require_bf16(std::string_view op);

/// Extents of a product op(a) op(b), op(a) = a or a^T: op(a) [m, k], op(b) [k, n].
struct Bf16Product {
  std::int64_t m, n, k;
  bool trans_a, trans_b;
};

/// op(a) op(b) + bias with a and b in bf16 and all sums in f32, on oneDNN.
///
/// @param a     [m, k], or [k, m] if trans_a, bf16
/// @param b     [k, n], or [n, k] if trans_b, bf16
/// @param bias  [n], f32, added to each row; or absent
/// @return      [m, n], f32
Tensor multiply_bf16(const Bf16Product& product, const Tensor& a, const Tensor& b,
                     const Tensor& bias = {});

}  // namespace isotape
