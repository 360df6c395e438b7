#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace isotape {

/// A radius in l2, in the units of the raw input ([0, 1] pixels): its value, and the text it was
/// given as, under which results are reported.
struct Eps {
  std::string text;
  double value = 0;
  friend bool operator==(const Eps&, const Eps&) = default;
};

/// Reads "1.58" or "36/255".
/// @param name  of the flag or key, for the message
/// @throws UsageError  `--eps: expected radii > 0 such as 0.3 or 36/255, got '36/0'`
Eps parse_eps(std::string_view name, std::string_view text);

/// Reads a list separated by commas. @throws UsageError  also for one given twice
std::vector<Eps> parse_eps_list(std::string_view name, std::string_view text);

/// Their values, in order.
std::vector<double> values(const std::vector<Eps>& eps);

}  // namespace isotape
