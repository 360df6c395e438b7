#include <isotape/apps/histogram.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>

namespace isotape {

Histogram histogram(std::span<const double> values, int bins) {
  require<ValueError>(!values.empty() && bins >= 1,
                      "histogram: expected at least one value and one bin, got ", values.size(),
                      " and ", bins);
  for (const double value : values) {
    require<ValueError>(std::isfinite(value), "histogram: expected finite values, got ", value);
  }
  const auto [least, largest] = std::minmax_element(values.begin(), values.end());
  Histogram result{*least, *largest, std::vector<std::int64_t>(static_cast<std::size_t>(bins), 0)};
  const double width = (result.upper - result.lower) / bins;
  for (const double value : values) {
    const double place = width > 0 ? (value - result.lower) / width : 0;
    ++result.counts[std::min(static_cast<std::size_t>(place), result.counts.size() - 1)];
  }
  return result;
}

}  // namespace isotape
