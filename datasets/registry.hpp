#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/core/shape.hpp>
#include <isotape/datasets/dataset.hpp>

namespace isotape {

/// What is known of a data set before it is opened.
struct DatasetInfo {
  std::string name;
  Shape image;  ///< [H, W, C]
  int classes;
  std::int64_t train;  ///< images of the complete set
  std::int64_t test;
  std::string description;
  bool is_made;  ///< from a seed, without files
};

/// Every data set by its name: mnist, fashion-mnist, cifar10, glyphs, moons, rings, clusters.
const std::vector<DatasetInfo>& dataset_infos();

struct DatasetOptions {
  std::filesystem::path folder = {};  ///< searched first; empty: only the usual places
  std::uint64_t seed = 0;             ///< of the sets that are made: glyphs, moons, rings, clusters
};

/// Opens a data set, train and test, and checks all of it.
///
/// Files are looked for in `folder`, $ISOTAPE_DATA, ./data and the distribution's folder, in that
/// order; in each under torchvision's names (MNIST/raw, FashionMNIST/raw, cifar-10-batches-bin) and
/// directly. The first folder that holds any of the files is the one that is read.
///
/// @throws ValueError  for an unknown name
/// @throws DataError   for missing data: names every folder and file looked for and the script that
///                     fetches them; for corrupt data: path, offset, expected, found
Dataset load_dataset(std::string_view name, const DatasetOptions& options = {});

}  // namespace isotape
