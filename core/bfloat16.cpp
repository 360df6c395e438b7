#include <isotape/core/bfloat16.hpp>

#include <isotape/core/isa.hpp>

namespace isotape {

ISOTAPE_CLONES void round_to_bf16(std::int64_t n, const float* x, BFloat16* y) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = BFloat16(x[i]);
}

}  // namespace isotape
