#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <isotape/core/tensor.hpp>

namespace isotape {

// What an attack makes large, by rows: functions of the logits f of an input with label y. With a
// target t, they draw towards that class; without, away from y. The order of the other logits is
// f_1 >= f_2 >= ..., all classes included.

enum class AttackObjective : std::uint8_t {
  /// max_{j != y} f_j - f_y, or f_t - f_y [Carlini 2017]: above 0 the class has changed. Its
  /// gradient does not saturate, whatever the scale of the logits.
  margin,
  /// Cross entropy: -log softmax(f)_y, or log softmax(f)_t.
  cross_entropy,
  /// Difference of logits ratio [Croce 2020]: margin / (f_1 - f_3), or with a target
  /// (f_t - f_y) / (f_1 - (f_3 + f_4) / 2): invariant to shift and scale of the logits.
  dlr,
};

/// No target: away from the label.
constexpr std::int32_t no_target = -1;

struct AttackLoss {
  std::vector<double> value;  ///< one per row
  /// dL/df, [n, C], f64; each row scaled so that its largest entry is 1 (or all are 0): steps use
  /// the direction only, and no direction is lost to underflow.
  Tensor seed;
};

/// @param logits   [n, C], f64
/// @param labels   n classes
/// @param targets  n classes or no_target; a row whose target is its label has none
/// @throws ValueError  if there are fewer classes than the objective needs: dlr 3, 4 with targets
AttackLoss attack_loss(AttackObjective objective, const Tensor& logits,
                       std::span<const std::int32_t> labels, std::span<const std::int32_t> targets);

/// Which class an attack draws towards: none, the one whose logit is least at the image itself
/// [Kurakin 2017], in turn each other class, from the runner-up on, restart by restart, or a given
/// one (images of that class are attacked without a target).
struct AttackTarget {
  enum class Kind : std::uint8_t { none, least_likely, each, fixed };
  Kind kind = Kind::none;
  std::int32_t fixed = 0;  ///< the class, if it is given
};

/// @param clean    logits of the images, [n, C]
/// @param restart  from 0
/// @return         for attack_loss(): a class or no_target for each row
/// @throws ValueError  for a class that there is not
std::vector<std::int32_t> targets_of(const AttackTarget& target, const Tensor& clean,
                                     std::span<const std::int32_t> labels,
                                     std::int64_t restart = 0);

/// f_y - max_{j != y} f_j of each row.
std::vector<double> margins(const Tensor& logits, std::span<const std::int32_t> labels);

/// The predicted class of each row: the lowest index of the largest logit.
std::vector<std::int32_t> predicted(const Tensor& logits);

/// The class of the rank-th largest logit but the label's, of each row: rank 0 is the runner-up,
/// C - 2 the least likely class.
std::vector<std::int32_t> ranked_class(const Tensor& logits, std::span<const std::int32_t> labels,
                                       std::int64_t rank);

}  // namespace isotape
