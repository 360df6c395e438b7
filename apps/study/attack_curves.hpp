#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include <isotape/apps/study/study.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/optim/ball.hpp>

namespace isotape {

/// Images to be attacked, or shaken.
struct AttackedImages {
  Tensor x;  ///< [N, ...]
  std::vector<std::int32_t> labels;
  PixelRange range;
  Rng rng;  ///< of starts and noise
};

/// The first images of a split.
AttackedImages attacked_images(const Split& split, std::int64_t count, const Rng& rng);

/// The attacks that curves are drawn of: "fgsm", "bim", "ill", "pgd", as StudyJson keys.
const std::vector<std::string>& attack_names();

/// Percent that `target` gets right of what attacks on `source` find, by attack and eps in linf:
/// {"fgsm": [[eps, accuracy], ...], ...}. All follow the cross entropy: one step; 10 steps from the
/// image; 10 towards the least likely class; 20 from a random start. On another net than the target
/// they take all their steps.
StudyJson attack_curves(const Model& source, const Model& target, const AttackedImages& images,
                        const std::vector<double>& eps,
                        const std::function<void()>& check_interrupt);

/// What is left right at one eps by 100 steps with the margin as the loss from 2 random starts, and
/// by random signs: {"strong": ..., "signs": ...}, in percent.
StudyJson attack_hard(const Model& model, const AttackedImages& images, double eps,
                      const std::function<void()>& check_interrupt);

/// The unit vectors along which DeepFool leaves each image's class, in l2, and how far, over |x|.
/// Zeros for an image that is misclassified.
struct DeepFoolWays {
  Tensor direction;         ///< as x
  std::vector<double> rho;  ///< |delta|_2 / |x|_2
};
DeepFoolWays deepfool_ways(const Model& source, const AttackedImages& images);
/// Random unit vectors in their place.
Tensor random_ways(const AttackedImages& images);

/// Steps of length rho |x| along given ways: what a net gets right there, and how far its
/// representation behind a layer moves,
///
///     {"accuracy": [[rho, percent], ...],
///      "stability": [[mean |delta|^2 / |x|^2, mean |f(x + delta) - f(x)|^2 / |f(x)|^2], ...]}
StudyJson along(const Tensor& ways, const Model& target, std::string_view layer,
                const AttackedImages& images, const std::function<void()>& check_interrupt);

/// Percent right when each entry, with probability p, gets normal noise: [[p, accuracy], ...].
StudyJson noise_curve(const Model& model, const AttackedImages& images, double deviation);

/// Percent of images that are right beyond the resolution of f32: 1 - p_y < 2^-24, so that a cross
/// entropy in f32 has lost its gradient.
double percent_saturated(const Model& model, const AttackedImages& images);

}  // namespace isotape
