#pragma once

#include <cstdint>

#include <isotape/datasets/dataset.hpp>

namespace isotape {

struct ClusterOptions {
  std::int64_t train = 6'000;  ///< points
  std::int64_t test = 2'000;
  int classes = 10;
  int per_class = 4;     ///< clusters that make up a class
  std::int64_t d = 64;   ///< dimensions
  double spread = 0.55;  ///< standard deviation of each coordinate of the clusters' centres
  double noise = 0.6;    ///< of each coordinate of a point about its centre
  std::uint64_t seed = 0;
};

/// Normal clouds about centres drawn at random, several of them to a class, in turn: a problem that
/// is not linear, in as many dimensions as images have features, made in no time. Points are stored
/// as images [N, 1, 1, d] of f32, so that every model and the loader take them; train and test have
/// the same centres.
///
/// @throws ValueError  for fewer than one point, class, cluster or dimension, or a negative
/// deviation
Dataset make_clusters(const ClusterOptions& options = {});

}  // namespace isotape
