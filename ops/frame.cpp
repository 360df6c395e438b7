#include <isotape/ops/frame.hpp>

#include <algorithm>

#include <isotape/core/bfloat16.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

constexpr std::int64_t elements_worth_a_thread = 1 << 15;

std::int64_t grain(std::int64_t row) {
  return elements_worth_a_thread / std::max<std::int64_t>(row, 1) + 1;
}

template <class T>
void copy_run(const T* from, std::int64_t n, T* to) {
  std::copy_n(from, n, to);
}
void copy_run(const float* from, std::int64_t n, BFloat16* to) { round_to_bf16(n, from, to); }

// One padded row from one row of the image.
template <class From, class To>
void pad_row(const Frame& f, const From* x, To* y) {
  const std::int64_t row = f.width * f.channels;
  const std::int64_t left = f.padding.left * f.channels;
  const std::int64_t right = f.padding.right * f.channels;
  copy_run(x, row, y + left);
  if (f.mode == PadMode::zero) {
    std::fill_n(y, left, To(0.0F));
    std::fill_n(y + left + row, right, To(0.0F));
  } else {
    std::copy_n(y + row, left, y);
    std::copy_n(y + left, right, y + left + row);
  }
}

template <class From, class To>
void frame_rows(const Frame& f, const From* x, To* y) {
  const std::int64_t row = f.width * f.channels;
  const std::int64_t padded_row = f.padded_width() * f.channels;
  parallel_for(f.images * f.padded_height(), grain(padded_row),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t r = begin; r < end; ++r) {
                   const std::int64_t image = r / f.padded_height();
                   std::int64_t i = r % f.padded_height() - f.padding.top;
                   To* const target = y + r * padded_row;
                   if (f.mode == PadMode::zero && (i < 0 || i >= f.height)) {
                     std::fill_n(target, padded_row, To(0.0F));
                     continue;
                   }
                   i += i < 0 ? f.height : i >= f.height ? -f.height : 0;
                   pad_row(f, x + (image * f.height + i) * row, target);
                 }
               });
}

// Padded rows in blocks of s x s pixels: row i is cut into runs of s pixels.
template <class T>
struct Blocks {
  const T* data;
  std::int64_t height, width, s, channels;

  // One row of the gradient of the image gets what padded row i holds: the middle is copied or
  // added, a circular border added.
  void fold_row(const Frame& f, std::int64_t image, std::int64_t i, bool first, T* dx) const {
    const std::int64_t run = s * channels;
    const bool is_there = i < height * s;
    const T* const line =
        is_there ? data + ((image * height + i / s) * width * s + i % s) * run : nullptr;
    const std::int64_t used = is_there ? std::min(width * s, f.padded_width()) : 0;
    const auto at = [&](std::int64_t j) { return line + j / s * s * run + j % s * channels; };
    const auto each_run = [&](std::int64_t begin, std::int64_t end, T* target, auto&& f_run) {
      for (std::int64_t j = begin; j < end;) {
        const std::int64_t next = s == 1 ? end : std::min(end, (j / s + 1) * s);
        const std::int64_t count = (next - j) * channels;
        f_run(at(j), count, target);
        target += count;
        j = next;
      }
    };
    const auto add = [](const T* from, std::int64_t n, T* to) {
      for (std::int64_t k = 0; k < n; ++k) to[k] += from[k];
    };
    const auto copy = [](const T* from, std::int64_t n, T* to) { std::copy_n(from, n, to); };

    const std::int64_t left = f.padding.left;
    const std::int64_t middle = std::clamp<std::int64_t>(used - left, 0, f.width);
    if (first) {
      each_run(left, left + middle, dx, copy);
      std::fill_n(dx + middle * channels, (f.width - middle) * channels, T{0});
    } else {
      each_run(left, left + middle, dx, add);
    }
    if (f.mode == PadMode::zero) return;
    each_run(0, std::min(left, used), dx + (f.width - left) * channels, add);
    each_run(left + f.width, std::max(used, left + f.width), dx, add);
  }
};

}  // namespace

Frame::Frame(const Shape& x, const Padding& padding_, PadMode mode_)
    : images(x[0]), height(x[1]), width(x[2]), channels(x[3]), padding(padding_), mode(mode_) {}

Tensor framed(const Frame& f, const Tensor& x, DType to) {
  note_copy();
  const bool rounds = x.dtype() == DType::f32 && to == DType::bf16;
  Tensor y(f.padded_shape(), rounds ? to : x.dtype());
  if (rounds) {
    frame_rows(f, x.data<float>(), y.write<BFloat16>());
  } else if (x.dtype() == DType::bf16) {
    frame_rows(f, x.data<BFloat16>(), y.write<BFloat16>());
  } else {
    dispatch_float(x.dtype(), "pad", [&]<class T>() { frame_rows(f, x.data<T>(), y.write<T>()); });
  }
  return y;
}

Tensor unframed(const Frame& f, const Tensor& dy, std::int64_t s) {
  note_copy();
  Tensor dx_tensor(f.shape(), dy.dtype());
  dispatch_float(dy.dtype(), "pad", [&]<class T>() {
    const Blocks<T> blocks{dy.data<T>(), dy.dim(1), dy.dim(2), s, f.channels};
    T* dx = dx_tensor.write<T>();
    const std::int64_t row = f.width * f.channels;
    parallel_for(f.images * f.height, grain(row), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const std::int64_t i = r % f.height;
        const auto fold = [&](std::int64_t padded_i, bool first) {
          blocks.fold_row(f, r / f.height, padded_i, first, dx + r * row);
        };
        fold(f.padding.top + i, true);
        if (f.mode == PadMode::zero) continue;
        if (i >= f.height - f.padding.top) fold(f.padding.top + i - f.height, false);
        if (i < f.padding.bottom) fold(f.padding.top + i + f.height, false);
      }
    });
  });
  return dx_tensor;
}

}  // namespace isotape
