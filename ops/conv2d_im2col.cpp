#include <algorithm>

#include <isotape/core/blas.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/conv2d_kernel.hpp>
#include <isotape/ops/product_bf16.hpp>

// The patch of an output pixel is what the filters of a group multiply there: kh kw C/groups values
// in the order of w. With one row per pixel, the patches P of some images turn the convolution and
// its transposes into products: y = P w^T, P' = dy w, dw = dy^T P.

namespace isotape {
namespace {

constexpr std::int64_t block_elements = 1 << 17;  // of P: within a core's cache

std::int64_t pixels(const Conv2dGeometry& g) { return g.out_height * g.out_width; }

std::int64_t patch(const Conv2dGeometry& g) {
  return g.kernel_height * g.kernel_width * g.group_channels();
}

// Where every pixel is its own patch, x itself is P.
bool is_pointwise(const Conv2dGeometry& g) {
  return g.kernel_height == 1 && g.kernel_width == 1 && g.stride == 1 && g.padding == 0;
}

// The range of taps 0..taps-1 that fall into the image, 0..extent-1, from `start`.
struct Taps {
  std::int64_t begin, end;
  Taps(std::int64_t start, std::int64_t taps, std::int64_t dilation, std::int64_t extent)
      : begin(start < 0 ? (-start + dilation - 1) / dilation : 0),
        end(std::clamp<std::int64_t>((extent - start + dilation - 1) / dilation, 0, taps)) {
    begin = std::min(begin, end);
  }
};

// Calls inside(patch, image, n) for each run of n contiguous values that lie both in the patch and
// in the image, and outside(patch, n) for those in the padding; both are given as offsets.
template <class Inside, class Outside>
void walk_patch(const Conv2dGeometry& g, std::int64_t i, std::int64_t j, Inside&& inside,
                Outside&& outside) {
  const std::int64_t c = g.group_channels();
  const std::int64_t row = i * g.stride - g.padding;
  const std::int64_t column = j * g.stride - g.padding;
  const Taps rows(row, g.kernel_height, g.dilation, g.height);
  const Taps columns(column, g.kernel_width, g.dilation, g.width);
  const bool contiguous = g.dilation == 1 && g.groups == 1;
  for (std::int64_t a = 0; a < g.kernel_height; ++a) {
    const std::int64_t line = a * g.kernel_width * c;
    if (a < rows.begin || a >= rows.end) {
      outside(line, g.kernel_width * c);
      continue;
    }
    outside(line, columns.begin * c);
    const std::int64_t run = contiguous ? columns.end - columns.begin : 1;
    for (std::int64_t b = columns.begin; b < columns.end; b += run) {
      const std::int64_t pixel = (row + a * g.dilation) * g.width + column + b * g.dilation;
      inside(line + b * c, pixel * g.channels, run * c);
    }
    outside(line + columns.end * c, (g.kernel_width - columns.end) * c);
  }
}

// P of some images, for the channels from x on.
template <class T>
void unfold(const Conv2dGeometry& g, std::int64_t images, const T* x, T* patches) {
  for (std::int64_t n = 0; n < images; ++n, x += g.height * g.width * g.channels) {
    for (std::int64_t i = 0; i < g.out_height; ++i) {
      for (std::int64_t j = 0; j < g.out_width; ++j, patches += patch(g)) {
        walk_patch(
            g, i, j,
            [&](auto to, auto from, auto count) { std::copy_n(x + from, count, patches + to); },
            [&](auto to, auto count) { std::fill_n(patches + to, count, T(0.0F)); });
      }
    }
  }
}

// The transpose of unfold: adds.
template <class T>
void fold(const Conv2dGeometry& g, std::int64_t images, const T* patches, T* dx) {
  for (std::int64_t n = 0; n < images; ++n, dx += g.height * g.width * g.channels) {
    for (std::int64_t i = 0; i < g.out_height; ++i) {
      for (std::int64_t j = 0; j < g.out_width; ++j, patches += patch(g)) {
        walk_patch(
            g, i, j,
            [&](auto from, auto to, auto count) {
              for (std::int64_t c = 0; c < count; ++c) dx[to + c] += patches[from + c];
            },
            [](auto, auto) {});
      }
    }
  }
}

// Images are taken in blocks whose patches fit into the cache.
std::int64_t images_per_block(const Conv2dGeometry& g) {
  const std::int64_t fitting = block_elements / (pixels(g) * patch(g));
  return std::clamp<std::int64_t>(fitting, 1, g.images);
}

template <class F>
void for_each_block(const Conv2dGeometry& g, F&& f) {
  const std::int64_t step = images_per_block(g);
  parallel_jobs((g.images + step - 1) / step, [&](std::int64_t block) {
    f(block * step, std::min(step, g.images - block * step));
  });
}

Tensor patch_buffer(const Conv2dGeometry& g, DType dtype) {
  if (is_pointwise(g)) return {};
  return Tensor({images_per_block(g) * pixels(g), patch(g)}, dtype);
}

// P, and its row stride.
template <class T>
struct Patches {
  const T* data;
  std::int64_t stride;
  Patches(const Conv2dGeometry& g, std::int64_t images, const T* x, T* buffer)
      : data(buffer), stride(patch(g)) {
    if (is_pointwise(g)) {
      data = x;
      stride = g.channels;
    } else {
      unfold(g, images, x, buffer);
    }
  }
};

Tensor forward(const Conv2dGeometry& g, const Tensor& x_tensor, const Tensor& w_tensor,
               const Tensor& bias) {
  Tensor y_tensor(g.y_shape(), x_tensor.dtype());
  dispatch_float(x_tensor.dtype(), "conv2d", [&]<class T>() {
    const T* x = x_tensor.data<T>();
    const T* w = w_tensor.data<T>();
    T* y = y_tensor.write<T>();
    for_each_block(g, [&](std::int64_t first, std::int64_t images) {
      Tensor buffer = patch_buffer(g, x_tensor.dtype());
      const std::int64_t rows = images * pixels(g);
      T* const out = y + first * g.y_shape().inner(0);
      if (bias) {
        for (std::int64_t r = 0; r < rows; ++r) {
          std::copy_n(bias.data<T>(), g.filters, out + r * g.filters);
        }
      }
      for (std::int64_t group = 0; group < g.groups; ++group) {
        const T* const in = x + first * g.x_shape().inner(0) + group * g.group_channels();
        const Patches<T> patches(g, images, in, buffer ? buffer.write<T>() : nullptr);
        blas::gemm<T>(false, true, rows, g.group_filters(), patch(g), 1, patches.data,
                      patches.stride, w + group * g.group_filters() * patch(g), patch(g),
                      bias ? T{1} : T{0}, out + group * g.group_filters(), g.filters);
      }
    });
  });
  return y_tensor;
}

Tensor grad_x(const Conv2dGeometry& g, const Tensor& dy_tensor, const Tensor& w_tensor) {
  Tensor dx_tensor = Tensor::zeros(g.x_shape(), dy_tensor.dtype());
  dispatch_float(dy_tensor.dtype(), "conv2d", [&]<class T>() {
    const T* dy = dy_tensor.data<T>();
    const T* w = w_tensor.data<T>();
    T* dx = dx_tensor.write<T>();
    for_each_block(g, [&](std::int64_t first, std::int64_t images) {
      Tensor buffer = patch_buffer(g, dy_tensor.dtype());
      const std::int64_t rows = images * pixels(g);
      for (std::int64_t group = 0; group < g.groups; ++group) {
        T* const out = dx + first * g.x_shape().inner(0) + group * g.group_channels();
        T* const patches = buffer ? buffer.write<T>() : out;
        blas::gemm<T>(false, false, rows, patch(g), g.group_filters(), 1,
                      dy + first * g.y_shape().inner(0) + group * g.group_filters(), g.filters,
                      w + group * g.group_filters() * patch(g), patch(g), 0, patches,
                      buffer ? patch(g) : g.channels);
        if (buffer) fold(g, images, patches, out);
      }
    });
  });
  return dx_tensor;
}

// dw += dy^T P for bf16 operands of some images, one group.
void add_rounded_product(const Conv2dGeometry& g, const Tensor& x, const Tensor& dy, Tensor& dw) {
  const std::int64_t rows = x.dim(0) * pixels(g);
  Tensor patches = x;
  if (!is_pointwise(g)) {
    patches = Tensor({rows, patch(g)}, DType::bf16);
    unfold(g, x.dim(0), x.data<BFloat16>(), patches.write<BFloat16>());
  }
  const Tensor product = multiply_bf16({g.filters, patch(g), rows, true, false}, dy, patches);
  add_in_place(dw, product.reshaped(g.w_shape()));
}

// Every thread adds up the products of its images in a dw of its own.
Tensor rounded_grad_w(const Conv2dGeometry& g, const Tensor& x, const Tensor& dy) {
  const std::int64_t step = images_per_block(g);
  const std::int64_t blocks = (g.images + step - 1) / step;
  const std::int64_t parts = std::min<std::int64_t>(num_threads(), blocks);
  Tensors partial(static_cast<std::size_t>(parts));
  parallel_jobs(parts, [&](std::int64_t part) {
    Tensor dw = Tensor::zeros(g.w_shape());
    for (std::int64_t block = blocks * part / parts; block < blocks * (part + 1) / parts; ++block) {
      const std::int64_t first = block * step;
      const std::int64_t end = std::min(first + step, g.images);
      add_rounded_product(g, x.rows(first, end), dy.rows(first, end), dw);
    }
    partial[part] = std::move(dw);
  });
  for (std::size_t part = 1; part < partial.size(); ++part) add_in_place(partial[0], partial[part]);
  return partial[0];
}

// Every thread adds up the products of its images in a dw of its own.
Tensor grad_w(const Conv2dGeometry& g, const Tensor& x_tensor, const Tensor& dy_tensor) {
  if (x_tensor.dtype() == DType::bf16) return rounded_grad_w(g, x_tensor, dy_tensor);
  const DType dtype = x_tensor.dtype();
  const std::int64_t step = images_per_block(g);
  const std::int64_t blocks = (g.images + step - 1) / step;
  const std::int64_t parts = std::min<std::int64_t>(num_threads(), blocks);
  Tensors partial(static_cast<std::size_t>(parts));
  dispatch_float(dtype, "conv2d", [&]<class T>() {
    const T* x = x_tensor.data<T>();
    const T* dy = dy_tensor.data<T>();
    parallel_jobs(parts, [&](std::int64_t part) {
      Tensor buffer = patch_buffer(g, dtype);
      Tensor dw_tensor = Tensor::zeros(g.w_shape(), dtype);
      T* const dw = dw_tensor.write<T>();
      for (std::int64_t block = blocks * part / parts; block < blocks * (part + 1) / parts;
           ++block) {
        const std::int64_t first = block * step;
        const std::int64_t images = std::min(step, g.images - first);
        for (std::int64_t group = 0; group < g.groups; ++group) {
          const T* const in = x + first * g.x_shape().inner(0) + group * g.group_channels();
          const Patches<T> patches(g, images, in, buffer ? buffer.write<T>() : nullptr);
          blas::gemm<T>(true, false, g.group_filters(), patch(g), images * pixels(g), 1,
                        dy + first * g.y_shape().inner(0) + group * g.group_filters(), g.filters,
                        patches.data, patches.stride, 1, dw + group * g.group_filters() * patch(g),
                        patch(g));
        }
      }
      partial[part] = std::move(dw_tensor);
    });
  });
  for (std::size_t part = 1; part < partial.size(); ++part) add_in_place(partial[0], partial[part]);
  return partial[0];
}

}  // namespace

const Conv2dKernel conv2d_im2col{forward, grad_x, grad_w};

}  // namespace isotape
