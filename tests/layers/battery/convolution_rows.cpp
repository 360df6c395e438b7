#include <algorithm>

#include <isotape/core/error.hpp>

#include "battery.hpp"

namespace isotape::battery {
namespace {

bool strides_do_not_close(const Cell& c) {
  return c.input[0] % c.stride != 0 || c.input[1] % c.stride != 0;
}

// What Conv2d says, in the order in which it looks.
const std::vector<Refusal> conv_refusals = {
    {[](const Cell& c) { return c.input[2] % c.groups != 0 || c.out % c.groups != 0; },
     [](const Cell& c) {
       return message("conv2d: expected groups that divide the channels ", c.input[2], " -> ",
                      c.out, ", got ", c.groups);
     }},
    {[](const Cell& c) { return !c.zero_padding && strides_do_not_close(c); },
     [](const Cell& c) {
       return message("conv2d: expected an image whose sides the stride ", c.stride,
                      " divides, and an output no larger, got input ", c.input);
     }},
};

bool does_not_wrap(const Cell& c, std::int64_t border) {
  return !c.zero_padding && std::min(c.input[0], c.input[1]) < border;
}

const std::vector<Refusal> dilated_refusals = {
    conv_refusals[0],
    {[](const Cell& c) { return does_not_wrap(c, 2 * (c.kernel / 2)); },
     [](const Cell& c) {
       const std::int64_t border = 2 * (c.kernel / 2);
       return message("conv2d: expected an image of at least ", border, " x ", border,
                      " to wrap, got input ", c.input);
     }},
    conv_refusals[1],
};

const std::vector<Refusal> svcm_refusals = {
    {[](const Cell& c) { return c.kernel > c.input[0] || c.kernel > c.input[1]; },
     [](const Cell& c) {
       return message("layer (svcm): expected a kernel no larger than the image, got ", c.kernel,
                      " and ", c.input);
     }},
    conv_refusals[0],
};

const std::vector<Refusal> aoc_refusals = {
    {[](const Cell& c) { return c.input[2] % c.groups != 0 || c.out % c.groups != 0; },
     [](const Cell& c) {
       return message("aoc: expected groups that divide the channels ", c.input[2], " -> ", c.out,
                      ", got ", c.groups);
     }},
    {[](const Cell& c) { return c.stride > c.kernel; },
     [](const Cell& c) {
       return message("aoc: expected a stride in 1..", c.kernel, ", the kernel, got ", c.stride);
     }},
    {strides_do_not_close,
     [](const Cell& c) {
       return message("aoc: expected an image whose sides are multiples of the stride ", c.stride,
                      ", got ", c.input);
     }},
};

const std::vector<Refusal> dilated_aoc_refusals = {
    aoc_refusals[0],
    aoc_refusals[1],
    {[](const Cell& c) { return c.stride > 1; },
     [](const Cell& c) {
       return message("aoc: expected a dilation >= 1, and of 1 at a stride, got 2 at stride ",
                      c.stride);
     }},
    {[](const Cell& c) { return does_not_wrap(c, 2 * (c.kernel / 2)); },
     [](const Cell& c) {
       return message("aoc: expected sides of at least ", 2 * (c.kernel / 2), " to wrap, got ",
                      c.input);
     }},
};

const std::vector<Refusal> bcop_refusals = {
    {[](const Cell& c) { return c.kernel % c.stride != 0; },
     [](const Cell& c) {
       return message("bcop: expected a stride that divides the kernel ", c.kernel, ", got ",
                      c.stride);
     }},
    {[](const Cell& c) { return c.groups > 1; }, [](const Cell&) { return "got 'groups'"; }},
    {[](const Cell& c) { return c.zero_padding; }, [](const Cell&) { return "got 'padding'"; }},
    {strides_do_not_close,
     [](const Cell& c) {
       return message("bcop: expected an image whose sides are multiples of the stride ", c.stride,
                      ", got ", c.input);
     }},
};

// What the layers on images of one size say.
std::vector<Refusal> torus_refusals(const std::string& op) {
  return {
      {strides_do_not_close,
       [op](const Cell& c) {
         return message(op, ": expected an image whose sides are multiples of the stride ",
                        c.stride, ", got ", c.input);
       }},
  };
}

// What layers say that unshuffle pixels by their stride.
std::vector<Refusal> unshuffling_refusals(const std::string& type) {
  return {
      {[](const Cell& c) { return c.input[2] % c.groups != 0 || c.out % c.groups != 0; },
       [type](const Cell& c) {
         return message(type, ": expected groups that divide the channels ", c.input[2], " -> ",
                        c.out, ", got ", c.groups);
       }},
      {strides_do_not_close,
       [type](const Cell& c) {
         return message(type, ": expected an image whose sides are multiples of the stride ",
                        c.stride, ", got ", c.input);
       }},
      {[](const Cell& c) {
         const std::int64_t reach = (c.kernel + c.stride - 1) / c.stride / 2;
         return !c.zero_padding && reach * c.stride > std::min(c.input[0], c.input[1]);
       },
       [type](const Cell& c) {
         const std::int64_t reach = (c.kernel + c.stride - 1) / c.stride / 2;
         return message(type, ": expected sides of at least ", reach * c.stride, " to wrap, got ",
                        c.input);
       }},
  };
}

// The same at a dilation of 2.
std::vector<Refusal> spread_refusals(const std::string& type) {
  return {
      unshuffling_refusals(type)[0],
      {[](const Cell& c) { return c.stride > 1; },
       [type](const Cell& c) {
         return message(type, ": expected a dilation >= 1, and of 1 at a stride, got 2 at stride ",
                        c.stride);
       }},
      {[](const Cell& c) { return does_not_wrap(c, 2 * (c.kernel / 2)); },
       [type](const Cell& c) {
         return message(type, ": expected sides of at least ", 2 * (c.kernel / 2), " to wrap, got ",
                        c.input);
       }},
  };
}

std::vector<Refusal> soc_refusals(std::vector<Refusal> list) {
  list.insert(list.begin() + 1, {[](const Cell& c) { return c.stride == 1 && c.kernel % 2 == 0; },
                                 [](const Cell& c) {
                                   return message("layer (soc): expected an odd kernel, got ",
                                                  c.kernel);
                                 }});
  return list;
}

std::vector<Row> reshaped_rows() {
  using enum LayerProperty;
  return {
      {.type = "conv", .property = bounded, .refusals = conv_refusals},
      {.type = "conv",
       .options = {{"constraint", std::string("cayley")}},
       .property = one_lipschitz,
       .refusals = conv_refusals},
      {.type = "conv",
       .options = {{"constraint", std::string("cholesky-qr")}},
       .property = one_lipschitz,
       .refusals = conv_refusals},
      {.type = "conv",
       .options = {{"constraint", std::string("spectral-norm")}},
       .property = bounded,
       .refusals = conv_refusals},
      {.type = "linear-residual", .property = bounded, .inputs = {{5, 4, 3}, {1, 1, 2}}},
      {.type = "linear-residual",
       .options = {{"kernel", std::int64_t{4}}, {"padding", std::string("zero")}, {"gain", 1.0}},
       .property = bounded,
       .inputs = {{6, 5, 2}, {2, 2, 1}}},
      {.type = "rko", .property = one_lipschitz, .refusals = conv_refusals},
      {.type = "rko",
       .options = {{"dilation", std::int64_t{2}}},
       .property = one_lipschitz,
       .refusals = dilated_refusals},
      {.type = "l2ne", .property = one_lipschitz, .refusals = conv_refusals},
      {.type = "ossn", .property = bounded, .refusals = conv_refusals},
      {.type = "svcm", .property = bounded, .refusals = svcm_refusals},
  };
}

std::vector<Row> orthogonal_rows() {
  using enum LayerProperty;
  return {
      {.type = "aoc", .refusals = aoc_refusals},
      {.type = "aoc",
       .options = {{"dilation", std::int64_t{2}}, {"bias", false}},
       .refusals = dilated_aoc_refusals},
      {.type = "shift", .inputs = {{3, 4, 5}, {1, 1, 6}, {4, 2, 12}}},
      {.type = "bcop", .refusals = bcop_refusals},
      {.type = "bcop", .options = {{"projectors", std::string("tall")}}, .refusals = bcop_refusals},
      {.type = "bcop", .options = {{"doubled", true}}, .refusals = bcop_refusals},
      {.type = "bcop", .options = {{"frozen", true}}, .refusals = bcop_refusals},
      {.type = "cayley-conv", .refusals = torus_refusals("fourier-conv")},
      {.type = "lot", .refusals = torus_refusals("fourier-conv")},
      {.type = "sandwich-conv",
       .property = one_lipschitz,
       .refusals = torus_refusals("sandwich-conv"),
       .is_affine = false},
      {.type = "sandwich-conv",
       .options = {{"activation", std::string("softplus")}},
       .property = one_lipschitz,
       .refusals = torus_refusals("sandwich-conv"),
       .is_affine = false},
  };
}

std::vector<Row> rescaled_rows() {
  using enum LayerProperty;
  return {
      // Taps that only ever see zeros stay zero, on kinks of the Gram kernel.
      {.type = "aol",
       .property = one_lipschitz,
       .refusals = unshuffling_refusals("aol"),
       .stays_on_kinks =
           [](const Cell& c) {
             return c.zero_padding && c.kernel > std::min(c.input[0], c.input[1]);
           }},
      {.type = "aol",
       .options = {{"dilation", std::int64_t{2}}},
       .property = one_lipschitz,
       .refusals = spread_refusals("aol"),
       .stays_on_kinks =
           [](const Cell& c) {
             return c.zero_padding && 2 * c.kernel - 1 > std::min(c.input[0], c.input[1]);
           }},
      {.type = "cpl",
       .property = one_lipschitz,
       .refusals = unshuffling_refusals("cpl"),
       .is_affine = false},
      {.type = "cpl",
       .options = {{"dilation", std::int64_t{2}}},
       .property = one_lipschitz,
       .refusals = spread_refusals("cpl"),
       .is_affine = false},
      {.type = "sll",
       .property = one_lipschitz,
       .refusals = unshuffling_refusals("sll"),
       .is_affine = false},
      {.type = "sll",
       .options = {{"inner", std::int64_t{4}}},
       .property = one_lipschitz,
       .refusals = unshuffling_refusals("sll"),
       .is_affine = false},
      {.type = "sll",
       .options = {{"dilation", std::int64_t{2}}},
       .property = one_lipschitz,
       .refusals = spread_refusals("sll"),
       .is_affine = false},
      // A series in its folded weight.
      {.type = "soc",
       .refusals = soc_refusals(unshuffling_refusals("soc")),
       .is_homogeneous = false},
      {.type = "soc",
       .options = {{"dilation", std::int64_t{2}}},
       .refusals = soc_refusals(spread_refusals("soc")),
       .is_homogeneous = false},
  };
}

}  // namespace

std::vector<Row> convolution_rows() {
  return joined({reshaped_rows(), orthogonal_rows(), rescaled_rows()});
}

}  // namespace isotape::battery
