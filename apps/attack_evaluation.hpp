#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/apps/eps.hpp>
#include <isotape/apps/evaluation.hpp>
#include <isotape/optim/make_attack.hpp>

namespace isotape {

/// What one attack did to the images.
struct AttackOutcome {
  std::string label;  ///< "pgd", or "pgd 2" for a second one
  std::string name;
  NotedSettings::Effective settings;
  BallNorm norm = BallNorm::l2;
  AttackGoal goal = AttackGoal::within_eps;
  /// Of the nearest input of another class that was found for each image, in the attack's norm; 0
  /// for an image that is misclassified, infinity if none was found.
  std::vector<double> distance;
  std::vector<double> accuracy;  ///< percent of the images left right, by eps
};

/// An input of another class within the certified radius of its image: the certificate is wrong.
struct BrokenCertificate {
  std::int64_t image = 0;  ///< of the test set
  std::int32_t label = 0;
  std::int32_t found_class = 0;
  std::string attack;  ///< label
  double l2 = 0;
  double radius = 0;
  Tensor original;  ///< [H, W, C]
  Tensor adversarial;
};

/// Robust accuracy in one norm by eps, in percent: certified <= true <= attacked.
struct Sandwich {
  BallNorm norm = BallNorm::l2;
  std::vector<double> certified;
  std::vector<double> attacked;  ///< after all attacks in this norm
};

struct AttackEvaluation {
  std::int64_t images = 0;  ///< the first so many of the test set
  std::uint64_t seed = 0;
  PixelRange range;
  double clean_accuracy = 0;
  std::vector<AttackOutcome> outcomes;
  std::vector<Sandwich> sandwiches;  ///< of the norms that were attacked in
  std::vector<BrokenCertificate> broken;
  /// Inputs within a certified radius whose class changes in f32 but not in f64: rounding, not
  /// counted as found.
  std::int64_t only_rounding = 0;
};

struct AttackEvaluationOptions {
  std::int64_t images = 0;  ///< the first so many; at most all
  std::int64_t batch = 500;
  std::uint64_t seed = 0;
  /// Called after each batch: what is done, images so far and in all, and how many of them broke.
  struct Progress {
    std::string what;
    std::int64_t done = 0;
    std::int64_t total = 0;
    std::int64_t images = 0;  ///< of this batch
    std::int64_t broken = 0;  ///< so far
  };
  std::function<void(const Progress&)> progress = {};
};

/// Attacks the first images of a split with every attack: those that look within eps at every eps,
/// smaller ones first, and only images that are not yet broken; those that look for the nearest
/// input once. Whatever they find within the certified radius of its image is confirmed by the
/// folded net in f64, and is then a broken certificate.
///
/// A certified l2 radius r certifies r / sqrt(d) in linf, d entries per image.
/// @param evaluation  of the split, with its radii
/// @param eps         in units of the input, in each attack's norm
/// @throws NumericError  for a NaN logit
AttackEvaluation evaluate_attacks(Model& model, const Split& split, const Evaluation& evaluation,
                                  const std::vector<NamedAttack>& attacks,
                                  const std::vector<Eps>& eps,
                                  const AttackEvaluationOptions& options);

/// [0, 1] if all pixels are in it, else no range.
PixelRange pixel_range(const Split& split);

}  // namespace isotape
