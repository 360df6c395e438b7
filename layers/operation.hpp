#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <isotape/layers/model_spec.hpp>
#include <isotape/layers/spectrum.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/group_sort.hpp>

namespace isotape {

// A folded network as a list of operations: what it computes and what is proved of each, in the
// terms of docs/certificate.md, which another program can check from the file of weights alone.

struct Operation;
using Operations = std::vector<Operation>;

/// One operation of a folded network on one sample.
struct Operation {
  std::string name;  ///< as in checkpoints: "conv1", "block1.fc"
  std::string op;    ///< "linear", "conv", "sort", ...: a row of the table in docs/certificate.md
  Shape input;       ///< [H, W, C] or [n]
  Shape output;
  std::vector<std::pair<std::string, OptionValue>> options = {};
  /// Role and key of the tensors in the file: {"weight", "conv1.weight"}.
  std::vector<std::pair<std::string, std::string>> tensors = {};
  Tensor weight = {};      ///< of linear, [out, in]; of a convolution, [O, h, w, I / groups]
  Padding border = {};     ///< of a convolution
  Enclosure sigma = {};    ///< of a linear map: all singular values of the smaller side
  double bound = 1;        ///< proved Lipschitz constant in l2
  double added = 0;        ///< >= the norm of what is added, over all outputs
  double absolute = 0;     ///< of a linear map: >= the norm of that with |weights|
  std::int64_t terms = 0;  ///< products or summands of one output; branches: their number
  std::vector<Operations> branches = {};  ///< of sum, concat, split, and the one of convex
};

/// The bound of a chain: the product, rounded up.
double chain_bound(const Operations& operations);

/// The bound of sum, concat, split or convex from those of its branches, rounded up.
double joined_bound(const Operation& operation);

/// y = W x + b. @param weight [out, in], f32; bias [out] or absent
Operation linear_operation(const std::string& prefix, const Tensor& weight, const Tensor& bias,
                           const Enclosure& sigma);

/// @param kernel   [O, h, w, I / groups], f32; its key is `<prefix>weight`
/// @param options  stride, groups, dilation, border
Operation conv_operation(const std::string& prefix, const Tensor& kernel, const Tensor& bias,
                         const Conv2dOptions& options, const Shape& input, const Shape& output,
                         const Enclosure& sigma);

/// y = x + b, b for each channel. Its key is `<prefix>bias`.
Operation bias_operation(const std::string& prefix, const Tensor& bias, const Shape& shape);

/// An operation without weights, of bound 1.
Operation plain_operation(const std::string& prefix, std::string op, const Shape& input,
                          const Shape& output,
                          std::vector<std::pair<std::string, OptionValue>> options = {});

/// Appends a pixel unshuffle `<prefix>unshuffle`, unless s is 1. @return the unshuffled shape
Shape append_unshuffle(const std::string& prefix, const Shape& image, int s, Operations& to);

/// "split", "adjacent".
std::string pairing_word(Pairing pairing);

/// >= |b|_2, rounded up. An absent tensor counts as zeros. @throws NumericError unless finite
double norm_bound(const Tensor& b);

}  // namespace isotape
