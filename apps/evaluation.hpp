#pragma once

#include <cstdint>
#include <vector>

#include <isotape/datasets/dataset.hpp>
#include <isotape/layers/model.hpp>

namespace isotape {

/// What a network does on labelled images, and what is proved about it.
struct Evaluation {
  std::int64_t images = 0;
  double clean_accuracy = 0;  ///< percent
  /// Percent certified at each radius asked for: margin > sqrt(2) L eps, L the bound below. A
  /// misclassified image, or one with a NaN logit, is not certified.
  std::vector<double> certified_accuracy;
  /// Mean over all images of margin / (sqrt(2) L); a misclassified one counts 0. In units of the
  /// input.
  double mean_certified_radius = 0;
  double lipschitz_bound = 1;         ///< of the whole net, proved
  std::vector<double> radii;          ///< certified radius of each image, 0 where misclassified
  std::vector<std::int32_t> classes;  ///< predicted class of each image
};

/// Evaluates the folded network.
/// @param eps  radii in l2, in units of the input (pixels in [0, 1])
/// @throws NumericError  if a logit is NaN or infinite, naming the image
Evaluation evaluate(Model& model, const Split& split, const std::vector<double>& eps,
                    std::int64_t batch = 500);

/// Certified radius of a prediction with the given logits, rounded down: (f_y - max f_j) / (sqrt(2)
/// L), 0 if the label does not win strictly.
double certified_radius(const double* logits, std::int64_t classes, std::int32_t label,
                        double lipschitz_bound);

/// Part of the images, in percent, whose radius is above eps.
double certified_percent(const std::vector<double>& radii, double eps);

}  // namespace isotape
