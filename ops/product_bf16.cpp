#include <isotape/ops/product_bf16.hpp>

#include <isotape/core/error.hpp>
#include <isotape/ops/conv2d.hpp>

namespace isotape {

void require_bf16(std::string_view op) {
  require<ValueError>(cpu_has_bf16(), op, ": expected a CPU with AVX512-BF16 or AMX for products ",
                      "in bf16, got ", onednn_description());
}

}  // namespace isotape
