#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <isotape/core/tensor.hpp>
#include <isotape/optim/attack.hpp>

namespace isotape {

/// Of all inputs offered for each image, the first that is misclassified; while there is none, the
/// one with the least margin. An attack that keeps it cannot lose by a step too many.
class LowestMargin {
 public:
  /// Starts with the images themselves, classified right.
  /// @param clean  their logits, [N, C]
  /// @param ends   whether an image is done with the first that is misclassified; else none is, and
  ///               the input with the least margin of all is kept
  LowestMargin(const AttackTask& task, const Tensor& clean, bool ends = true);

  /// @param rows    images that the rows of y stand for
  /// @param logits  of y
  void offer(std::span<const std::int64_t> rows, const Tensor& y, const Tensor& logits);

  /// Images that are not done.
  std::vector<std::int64_t> unbroken() const;
  bool is_broken(std::int64_t row) const { return broken_[static_cast<std::size_t>(row)] != 0; }
  const Tensor& x() const { return x_; }

 private:
  Tensor x_;
  std::vector<std::int32_t> labels_;
  std::vector<double> margin_;
  std::vector<std::uint8_t> broken_;
  bool ends_;
};

/// Of all misclassified inputs offered for each image, the nearest in a norm.
class NearestWrong {
 public:
  NearestWrong(const AttackTask& task, BallNorm norm);

  /// @param rows    images that the rows of y stand for
  /// @param logits  of y
  /// @return        whether each row of y is misclassified
  std::vector<std::uint8_t> offer(std::span<const std::int64_t> rows, const Tensor& y,
                                  const Tensor& logits);

  /// Distance of the best input of an image; infinity if there is none.
  double distance(std::int64_t row) const { return distance_[static_cast<std::size_t>(row)]; }
  /// Images that something was found for.
  std::vector<std::int64_t> found() const;
  /// The best inputs, and the image itself where there is none.
  const Tensor& x() const { return x_; }

  /// Goes back from each best input towards its image as far as the class allows: halves the
  /// segment between right and wrong `halvings` times. The distance then exceeds that to the border
  /// along the segment by at most 2^-halvings of it, if the segment meets the border once.
  void refine(const Victim& victim, int halvings);

 private:
  BallNorm norm_;
  PixelRange range_;
  Tensor images_;
  std::vector<std::int32_t> labels_;
  Tensor x_;
  std::vector<double> distance_;
};

}  // namespace isotape
