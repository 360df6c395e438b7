#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include <isotape/apps/study/study.hpp>
#include <isotape/layers/model.hpp>

namespace isotape {

/// Percent of rows whose largest logit is their label's.
double percent_right(const Tensor& logits, const std::vector<std::int32_t>& labels);

/// Activations of a net behind one of its layers, on training and test images.
struct Representation {
  Tensor train;  ///< [n, m], at most so many rows that they take 200 MB
  Tensor test;   ///< [N, m]
  std::vector<std::int32_t> train_labels;
  std::vector<std::int32_t> test_labels;
};
Representation representation(const Model& model, std::string_view layer, const Dataset& data);

/// Of one net's representation behind a layer, in figures:
///
///     norm        mean |a|
///     variance    shares of the first k singular values in the sum of squares, k = 1..50
///     truncation  [k, accuracy]: a moved to the first k principal components of training
///     embedding   [k, accuracy, margin]: of a wide-margin classifier on k components; the margin
///     is
///                 the median distance to the nearest border over the root mean square of the
///                 points
///     cushion     mean |W a| / (|W|_F |a|) of the last dense layer [Arora 2018], if it comes next
StudyJson measure_representation(const Model& model, std::string_view layer,
                                 const Representation& seen,
                                 const std::function<void()>& check_interrupt);

/// What a linear classifier on all activations of a layer does in place of the layers behind it:
/// its accuracy, its parameters and theirs.
StudyJson measure_head(const Model& model, std::string_view layer, const Representation& seen,
                       const std::function<void()>& check_interrupt);

/// [first coordinate, second coordinate, label] of the first test images in the first two
/// components of training.
StudyJson picture(const Representation& seen, std::int64_t count);

}  // namespace isotape
