#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <isotape/layers/model.hpp>

namespace isotape {

/// Writes a model as safetensors: `<layer>.raw`, `<layer>.weight` (folded, kernels [O, I, h, w]),
/// `<layer>.bias`, and what a power iteration remembers (`<layer>.u`, `<layer>.v`); the layers, the
/// input shape and the number of classes as metadata. The raw tensors are the truth, the folded
/// weights are for readers that know no constraints. A raw kernel is [O, I, h, w] too.
/// @throws IoError  if the file cannot be written; an earlier one is kept
void save_model(const std::filesystem::path& path, Model& model);

struct LoadOptions {
  /// Largest |stored - recomputed| entry of a folded weight; the rest is refused.
  double fold_tolerance = 1e-5;
  /// Whether stored folded weights are compared at all (a file without them is then accepted).
  bool check_folds = true;
};

struct LoadedModel {
  Model model;
  /// One per raw weight that had lost rank and was completed, and per constraint that does not
  /// hold, at sigma_min or sigma_max.
  std::vector<std::string> warnings;
};

/// Reads what save_model() wrote and folds the weights anew from the raw tensors.
/// @throws DataError  for a file that is none, was cut, holds other tensors or shapes, values that
///                    are not finite, or folded weights that differ from the recomputed ones
LoadedModel load_model(const std::filesystem::path& path, const LoadOptions& options = {});

}  // namespace isotape
