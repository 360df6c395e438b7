#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace isotape {

/// How many values lie in each of a number of bins of equal width, from the least to the largest.
struct Histogram {
  double lower = 0;
  double upper = 0;
  std::vector<std::int64_t> counts;  ///< the last bin includes `upper`; equal values: the first
};

/// @throws ValueError  unless there is a value, all are finite, and bins >= 1
Histogram histogram(std::span<const double> values, int bins = 40);

}  // namespace isotape
