#pragma once

#include <cstdint>
#include <string_view>

#include <isotape/layers/site.hpp>
#include <isotape/ops/frame.hpp>

namespace isotape {

struct Operation;

/// Makes a layer of any extents out of a map f from C channels to C on images of one size, with
/// C = max(c_in s^2, c_out): pixels are unshuffled by the stride s, zero channels appended up to C,
/// and after f the first c_out channels kept. With groups the same is done in each, so that f has
/// as many groups of C / groups channels. All are 1-Lipschitz; entering keeps norms, leaving those
/// of gradients. Vectors [n] are images of one pixel.
struct Square {
  std::int64_t c_in = 0;
  std::int64_t c_out = 0;
  int stride = 1;
  bool is_flat = false;  ///< takes and gives vectors
  int groups = 1;        ///< of images; divides c_in and c_out
  int dilation = 1;      ///< of images at stride 1: distance of the taps of f's kernel

  std::int64_t unshuffled() const { return c_in * stride * stride; }
  std::int64_t channels() const { return unshuffled() > c_out ? unshuffled() : c_out; }
  Var enter(const Var& x) const;  ///< [N, H, W, c_in] to [N, H/s, W/s, C], [N, n] to [N, 1, 1, C]
  Var leave(const Var& y) const;  ///< back, with c_out channels
  /// The image that f sees, for one sample.
  /// @throws ShapeError  naming the layer, for inputs that are not accepted
  Shape inner_shape(std::string_view layer, const Shape& input) const;
  Shape output_shape(std::string_view layer, const Shape& input) const;
  /// The operations of enter(). @return [H/s, W/s, C] or [C]
  Shape append_entry(const std::string& prefix, const Shape& input,
                     std::vector<Operation>& operations) const;
  /// The operations of leave(), from what append_entry() returned.
  void append_exit(const std::string& prefix, const Shape& inner,
                   std::vector<Operation>& operations) const;
  /// Pixels before and after an image that keep its size under a kernel k of f.
  Padding border(int k) const;
  /// The image that f sees, as inner_shape().
  /// @throws ShapeError  if a border that goes around it is larger
  void check_border(std::string_view layer, const Shape& input, int k, PadMode padding) const;
  /// @throws ValueError  if extents are below 1, groups do not divide the channels, or there is a
  ///                     dilation at a stride
  void check(std::string_view layer) const;
  /// " 3 -> 8, stride 2".
  std::string describe() const;

 private:
  Var by_group(const Var& x, std::int64_t channels) const;
};

/// Reads out (the number of input channels by default), stride, groups and dilation, for inputs
/// [H, W, C]; of those out alone for [n].
Square square_options(Site& site);

/// The option `kernel`, and of it what is left on unshuffled pixels, ceil(kernel / stride): 1 for
/// vectors.
int square_kernel(Site& site, const Square& square);

}  // namespace isotape
