#include <isotape/ops/broadcast.hpp>

#include <algorithm>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

constexpr std::int64_t shortest_row = 16;     // accumulators of one pass: fills vector registers
constexpr std::int64_t chunk_size = 1 << 15;  // elements worth a thread
constexpr std::int64_t most_chunks = 64;

bool is_broadcastable(const Shape& a, const Shape& b) {
  return b.size() == 1 ||
         (b.rank() <= a.rank() && std::equal(b.begin(), b.end(), a.end() - b.rank()));
}

// sums_j = sum of x_i over i = j mod width
template <class T>
void sum_columns(const T* x, std::int64_t count, std::int64_t width, double* sums) {
  std::fill_n(sums, width, 0.0);
  for (; count >= width; x += width, count -= width) {
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) sums[j] += static_cast<double>(x[j]);
  }
  for (std::int64_t j = 0; j < count; ++j) sums[j] += static_cast<double>(x[j]);
}

}  // namespace

void require_broadcastable(std::string_view op, const Tensor& a, const Tensor& b) {
  require<ShapeError>(is_broadcastable(a.shape(), b.shape()), op, ": expected b of shape ",
                      a.shape(), ", of its trailing axes or of one element, got ", b.shape());
  require<ShapeError>(a.dtype() == b.dtype(), op, ": expected equal element types, got ", a.dtype(),
                      " and ", b.dtype());
}

Tensor sum_to(const Tensor& x, const Shape& shape, double factor) {
  if (x.shape() == shape && factor == 1) return x;
  const std::int64_t n = shape.size();
  const std::int64_t count = x.size();
  require<ShapeError>(n > 0 ? count % n == 0 : count == 0, "sum_to: expected a shape that ",
                      x.shape(), " repeats, got ", shape);
  if (n == 0) return Tensor(shape, x.dtype());
  // Short rows are summed several at a time, as one wide row that is folded at the end.
  const std::int64_t width = n * ((shortest_row + n - 1) / n);
  const std::int64_t wide_rows = (count + width - 1) / width;
  const std::int64_t chunks =
      std::clamp<std::int64_t>(std::min(count / chunk_size, wide_rows), 1, most_chunks);
  Tensor partial({chunks, width}, DType::f64);
  Tensor y(shape, x.dtype());
  dispatch_float(x.dtype(), "sum_to", [&]<class T>() {
    const T* source = x.data<T>();
    auto* sums = partial.write<double>();
    parallel_for(chunks, 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t chunk = first; chunk < last; ++chunk) {
        const std::int64_t begin = wide_rows * chunk / chunks * width;
        const std::int64_t end = std::min(wide_rows * (chunk + 1) / chunks * width, count);
        sum_columns(source + begin, end - begin, width, sums + chunk * width);
      }
    });
    T* target = y.write<T>();
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::int64_t i = j; i < chunks * width; i += n) sum += sums[i];
      target[j] = static_cast<T>(factor * sum);
    }
  });
  return y;
}

}  // namespace isotape
