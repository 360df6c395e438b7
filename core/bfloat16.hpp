#pragma once

#include <cstdint>

#include <isotape/core/dtype.hpp>

namespace isotape {

/// y[i] = BFloat16(x[i]) for i = 0..n-1, in the widest instructions that the CPU has.
void round_to_bf16(std::int64_t n, const float* x, BFloat16* y);

}  // namespace isotape
