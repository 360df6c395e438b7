#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/apps/bench/interleaved.hpp>

namespace isotape {

/// One hot operation on one set of operands: its passes, and what they move at least.
struct OpCase {
  std::string op;        ///< "conv2d"
  std::string operands;  ///< "128x15x15x4, 16x2x2x4", and where they come from
  std::string forward;   ///< names of the passes; empty: not reported
  std::string backward;
  /// Bytes of the operands read and written once, for passes whose limit is the memory; else 0.
  double forward_bytes = 0;
  double backward_bytes = 0;
  Task task = {};
};

/// The hot operations of training at the shapes of bcop-small (MNIST) and bcop-large (CIFAR-10):
/// conv2d, affine, max_min, bias_max_min, group_sort, pad, pixel_unshuffle, bcop_kernel, the losses
/// and Adam. Each case owns its operands.
/// @param precisions  conv2d and affine, which have the choice, in each of them
std::vector<OpCase> op_cases(std::int64_t batch,
                             const std::vector<Precision>& precisions = {Precision::full});

/// Names of the operations, in that order.
std::vector<std::string_view> op_names();

}  // namespace isotape
