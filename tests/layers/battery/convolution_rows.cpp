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

const std::vector<Refusal> svcm_refusals = {
    {[](const Cell& c) { return c.kernel > c.input[0] || c.kernel > c.input[1]; },
     [](const Cell& c) {
       return message("layer (svcm): expected a kernel no larger than the image, got ", c.kernel,
                      " and ", c.input);
     }},
    conv_refusals[0],
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

}  // namespace

std::vector<Row> convolution_rows() {
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
       .refusals = conv_refusals,
       .parameter_gradient = false},
      {.type = "rko", .property = one_lipschitz, .refusals = conv_refusals},
      {.type = "l2ne", .property = one_lipschitz, .refusals = conv_refusals},
      // The vector of the iteration is a constant to the gradient.
      {.type = "ossn", .property = bounded, .refusals = conv_refusals, .parameter_gradient = false},
      {.type = "svcm", .property = bounded, .refusals = svcm_refusals},
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

}  // namespace isotape::battery
