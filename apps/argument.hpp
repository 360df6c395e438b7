#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace isotape {

/// The numbers that a flag or a key of a configuration accepts, and how to say so.
struct Limits {
  double low = std::numeric_limits<double>::lowest();
  double high = std::numeric_limits<double>::max();
  bool low_excluded = false;
  std::string_view words = "a finite number";

  bool contain(double value) const;  ///< false for NaN
};

/// The whole text as a decimal number; nothing for any other text. Infinity and NaN are numbers.
std::optional<double> to_number(std::string_view text);
std::optional<std::int64_t> to_integer(std::string_view text);

/// @param name  of the flag or key, for the message
/// @throws UsageError  `--lr: expected a number > 0, got 'nan'`
double parse_number(std::string_view name, std::string_view text, const Limits& limits);
std::int64_t parse_integer(std::string_view name, std::string_view text, const Limits& limits);
/// "1,2,4": one or more integers.
std::vector<std::int64_t> parse_integers(std::string_view name, std::string_view text,
                                         const Limits& limits);
/// One of the words; any but the empty one if there are none.
std::string parse_word(std::string_view name, std::string_view text,
                       const std::vector<std::string_view>& words);
/// "exact,fast": one or more of the words.
std::vector<std::string> parse_words(std::string_view name, std::string_view text,
                                     const std::vector<std::string_view>& words);
/// "28x28x1" or "2": one to six extents >= 1.
std::vector<std::int64_t> parse_extents(std::string_view name, std::string_view text);
/// "64x64,8x32x32": one or more matrices, [m, n] or several of one shape, [b, m, n].
std::vector<std::vector<std::int64_t>> parse_matrices(std::string_view name, std::string_view text);

}  // namespace isotape
