#pragma once

#include <cstdint>
#include <string>

#include <isotape/core/random.hpp>
#include <isotape/layers/parameter.hpp>
#include <isotape/layers/registry.hpp>
#include <isotape/ops/conv2d.hpp>

namespace isotape {

/// One-sided spectral normalisation of a convolution on images of one size [Gouk 2018; Li 2019,
/// "OSSN"]: the kernel is divided by an estimate of its operator's norm there, if that is above 1.
///
/// The estimate is u^T A(kernel) v with u and v from a power iteration on the operator itself, with
/// its stride, groups and padding; v persists. It is linear in the kernel, hence held as a gradient
/// g and always taken of the kernel in use: never of the one before the last step. It is still low
/// by what the iteration lacks, and knows one image size, so that a bound is proved of the kernel.
class OneSidedNorm {
 public:
  /// Draws v for images [H, W, C] and follows it until it settles.
  /// @param iterations  per training step, >= 1
  OneSidedNorm(const Tensor& kernel, const Shape& image, int iterations,
               const Conv2dOptions& options, Rng& rng);
  /// Moves v and g on, by the iterations of one step.
  void advance(const Tensor& kernel);
  /// The kernel divided by max(<g, kernel>, 1), in the kernel's type.
  Var apply(const Var& kernel) const;

  std::uint64_t version() const { return version_; }
  void collect(const std::string& prefix, BufferList& buffers);

 private:
  void iterate(const Tensor& kernel, int iterations);
  int iterations_;
  Conv2dOptions options_;
  Tensor v_;  // [1, H, W, C]
  Tensor g_;  // of the kernel's shape
  std::uint64_t version_ = 0;
};

extern const LayerType ossn_type;

}  // namespace isotape
