#include <isotape/apps/verify/product.hpp>

#include <algorithm>
#include <cstring>

// Compiled for several instruction sets, of which the loader picks the best. As products and sums
// are not contracted (-ffp-contract=off), all of them give the same bits.
#if defined(__x86_64__) && defined(__ELF__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define VERIFY_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VERIFY_CLONES
#endif

namespace isotape::verify {
namespace {

// Eight numbers as the compiler's vector type, which it maps to the registers that there are.
using Vector = double __attribute__((vector_size(64)));
static_assert(2 * sizeof(Vector) == lanes * sizeof(double));

template <int count>
inline __attribute__((always_inline)) void multiply_rows(std::int64_t m, const double* rows,
                                                         const double* panel, double* out) {
  Vector sums[count][2] = {};
  for (std::int64_t k = 0; k < m; ++k) {
    Vector entries[2];
    std::memcpy(entries, panel + k * lanes, sizeof entries);
    for (int r = 0; r < count; ++r) {
      sums[r][0] += rows[r * m + k] * entries[0];
      sums[r][1] += rows[r * m + k] * entries[1];
    }
  }
  std::memcpy(out, sums, sizeof sums);
}

}  // namespace

VERIFY_CLONES void multiply(std::int64_t n, std::int64_t m, const double* rows, const double* panel,
                            double* out) {
  constexpr int tile = 4;
  std::int64_t r = 0;
  for (; r + tile <= n; r += tile) multiply_rows<tile>(m, rows + r * m, panel, out + r * lanes);
  for (; r < n; ++r) multiply_rows<1>(m, rows + r * m, panel, out + r * lanes);
}

std::vector<double> outer_product(std::int64_t n, std::int64_t m, const std::vector<double>& x,
                                  const std::vector<double>& y, bool symmetric) {
  std::vector<double> result(static_cast<std::size_t>(n * n));
  std::vector<double> panel(static_cast<std::size_t>(m * lanes));
  std::vector<double> sums(static_cast<std::size_t>(n * lanes));
  for (std::int64_t first = 0; first < n; first += lanes) {
    const std::int64_t width = std::min(lanes, n - first);
    for (std::int64_t l = 0; l < width; ++l) {
      for (std::int64_t k = 0; k < m; ++k) panel[k * lanes + l] = y[(first + l) * m + k];
    }
    const std::int64_t height = symmetric ? first + width : n;
    multiply(height, m, x.data(), panel.data(), sums.data());
    for (std::int64_t i = 0; i < height; ++i) {
      for (std::int64_t l = 0; l < width; ++l) {
        result[i * n + first + l] = sums[i * lanes + l];
        if (symmetric) result[(first + l) * n + i] = sums[i * lanes + l];
      }
    }
  }
  return result;
}

}  // namespace isotape::verify
