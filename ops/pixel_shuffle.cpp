#include <isotape/ops/pixel_shuffle.hpp>

#include <algorithm>
#include <ostream>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

const Op pixel_unshuffle_op("pixel_unshuffle");
const Op pixel_shuffle_op("pixel_shuffle");

constexpr std::int64_t elements_worth_a_thread = 1 << 15;

// Copies between the fine image [N, H s, W s, C] and the coarse one [N, H, W, C s^2]. One coarse
// row is s fine rows; within a pixel it is the transpose of an [s^2, C] matrix.
template <bool to_coarse, class T>
void rearrange(std::int64_t rows, std::int64_t width, std::int64_t channels, std::int64_t s,
               const T* source, T* target) {
  const std::int64_t row = width * channels * s * s;
  const std::int64_t grain = elements_worth_a_thread / std::max<std::int64_t>(row, 1) + 1;
  parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t pixel = begin * width; pixel < end * width; ++pixel) {
      const std::int64_t coarse = pixel * channels * s * s;
      for (std::int64_t a = 0; a < s; ++a) {
        // The s columns of fine row a lie one after the other, C channels each.
        const std::int64_t fine = ((pixel / width * s + a) * width + pixel % width) * s * channels;
        for (std::int64_t b = 0; b < s; ++b) {
          for (std::int64_t c = 0; c < channels; ++c) {
            const std::int64_t in_coarse = coarse + (c * s + a) * s + b;
            const std::int64_t in_fine = fine + b * channels + c;
            if constexpr (to_coarse) {
              target[in_coarse] = source[in_fine];
            } else {
              target[in_fine] = source[in_coarse];
            }
          }
        }
      }
    }
  });
}

Tensor unshuffled(const Tensor& x, std::int64_t s) {
  note_copy();
  const std::int64_t height = x.dim(1) / s;
  const std::int64_t width = x.dim(2) / s;
  Tensor y({x.dim(0), height, width, x.dim(3) * s * s}, x.dtype());
  dispatch_float(x.dtype(), "pixel_unshuffle", [&]<class T>() {
    rearrange<true>(x.dim(0) * height, width, x.dim(3), s, x.data<T>(), y.write<T>());
  });
  return y;
}

Tensor shuffled(const Tensor& x, std::int64_t s) {
  note_copy();
  const std::int64_t channels = x.dim(3) / (s * s);
  Tensor y({x.dim(0), x.dim(1) * s, x.dim(2) * s, channels}, x.dtype());
  dispatch_float(x.dtype(), "pixel_shuffle", [&]<class T>() {
    rearrange<false>(x.dim(0) * x.dim(1), x.dim(2), channels, s, x.data<T>(), y.write<T>());
  });
  return y;
}

}  // namespace

// Both are permutations: the transpose of one is the other.
Var pixel_unshuffle(const Var& x_var, int s) {
  const Tensor& x = x_var.value();
  require<ValueError>(s >= 1, "pixel_unshuffle: expected s >= 1, got ", s);
  require<ShapeError>(
      x.rank() == 4 && x.dim(1) % s == 0 && x.dim(2) % s == 0,
      "pixel_unshuffle: expected x of shape [N, H, W, C] with H and W multiples of ", s, ", got ",
      x.shape());
  return record(
      pixel_unshuffle_op, unshuffled(x, s), {x_var}, {},
      [s](const Tensor& dy, Needs) -> Grads<1> { return {shuffled(dy, s)}; },
      [s](const Tangents<1>& dx) { return unshuffled(dx[0], s); });
}

Var pixel_shuffle(const Var& x_var, int s) {
  const Tensor& x = x_var.value();
  require<ValueError>(s >= 1, "pixel_shuffle: expected s >= 1, got ", s);
  const std::int64_t area = std::int64_t{s} * s;
  require<ShapeError>(x.rank() == 4 && x.dim(3) % area == 0,
                      "pixel_shuffle: expected x of shape [N, H, W, C] with C a multiple of ", area,
                      ", got ", x.shape());
  return record(
      pixel_shuffle_op, shuffled(x, s), {x_var}, {},
      [s](const Tensor& dy, Needs) -> Grads<1> { return {unshuffled(dy, s)}; },
      [s](const Tangents<1>& dx) { return shuffled(dx[0], s); });
}

}  // namespace isotape
