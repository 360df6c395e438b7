#pragma once

#include <cstdint>
#include <vector>

#include <isotape/core/tensor.hpp>
#include <isotape/optim/ball.hpp>
#include <isotape/optim/victim.hpp>

namespace isotape {

/// A batch of images to attack, in raw pixel units: what the net does to pixels belongs to the net.
struct AttackTask {
  Tensor x;                          ///< [N, ...], f32 or f64, entries in the range
  std::vector<std::int32_t> labels;  ///< N classes
  double eps = 0;                    ///< > 0, in the attack's norm; infinity: anywhere
  PixelRange range;
  RowRngs rngs;   ///< N generators: what is drawn for an image does not depend on its batch
  Tensor starts;  ///< [M, ...], images to start from far away, or absent: noise is
};

/// The best input found for each image.
struct AttackResult {
  Tensor x;                           ///< [N, ...]; the image itself where nothing better was found
  std::vector<std::uint8_t> success;  ///< whether its predicted class is not the label
  std::vector<double> margin;         ///< f_y - max_{j != y} f_j there, in units of the logits
  std::vector<double> l2;             ///< its distance from the image, rounded up
  std::vector<double> linf;
};

/// What an attack looks for.
enum class AttackGoal : std::uint8_t {
  within_eps,  ///< any input within eps that is misclassified
  nearest,     ///< the nearest input that is misclassified, whatever eps
};

/// Optimisation over inputs against a classifier.
class Attack {
 public:
  virtual ~Attack() = default;

  virtual BallNorm norm() const = 0;
  virtual AttackGoal goal() const = 0;
  /// Whether it must see all images at once: it looks for one perturbation of them all.
  virtual bool is_universal() const { return false; }

  /// Attacks the images that are classified right; the others have succeeded, at distance 0.
  /// Success, margin and distances are measured on what is returned, by a forward pass of their
  /// own. An input of a `nearest` attack that rounding keeps right there is pushed out a little, by
  /// 1e-6 to 1e-3 of its distance.
  /// @throws ShapeError, ValueError  if the task does not fit; NumericError for a NaN logit
  AttackResult run(const Victim& victim, const AttackTask& task) const;

 protected:
  Attack() = default;
  Attack(const Attack&) = default;
  Attack(Attack&&) = default;
  Attack& operator=(const Attack&) = default;
  Attack& operator=(Attack&&) = default;

 private:
  /// Of images that are all classified right.
  /// @return  as task.x: the best input found for each image, in the range and, for `within_eps`,
  ///          in the ball; the image itself where none is better
  virtual Tensor search(const Victim& victim, const AttackTask& task) const = 0;
};

/// The part of a task that concerns some of its images, in the given order.
AttackTask part_of(const AttackTask& task, std::span<const std::int64_t> rows);

/// The images whose entry is not 0.
std::vector<std::int64_t> rows_where(const std::vector<std::uint8_t>& flags);

/// The ball of a task.
Ball ball_of(const AttackTask& task, BallNorm norm);

/// A generator for each image, by number: of its restarts, say.
RowRngs streams(const RowRngs& rngs, std::uint64_t index);

/// Whether each row's predicted class is not its label.
std::vector<std::uint8_t> misclassified(const Tensor& logits, std::span<const std::int32_t> labels);

}  // namespace isotape
