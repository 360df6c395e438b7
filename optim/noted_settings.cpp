#include <isotape/optim/noted_settings.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

constexpr double largest = std::numeric_limits<double>::max();

std::string words_of(const Interval& accepted) {
  const std::string low = spelled(accepted.low);
  if (accepted.high >= largest) return (accepted.low_excluded ? "> " : ">= ") + low;
  return "in " + std::string(accepted.low_excluded ? "(" : "[") + low + ", " +
         spelled(accepted.high) + "]";
}

}  // namespace

void NotedSettings::note(std::string_view key, std::string value, const std::string& others) {
  synopsis_ += (synopsis_.empty() ? "" : ",") + std::string(key) + '=' + value + others;
  effective_.emplace_back(key, std::move(value));
}

double NotedSettings::number(std::string_view key, double fallback, const Interval& accepted) {
  const double value = settings_.number(key, fallback);
  const bool above = accepted.low_excluded ? value > accepted.low : value >= accepted.low;
  require<ValueError>(std::isfinite(value) && above && value <= accepted.high, name(),
                      ": expected ", key, ' ', words_of(accepted), ", got ", spelled(value));
  note(key, spelled(value));
  return value;
}

std::optional<double> NotedSettings::number_or(std::string_view key, std::string_view formula,
                                               const Interval& accepted) {
  if (settings_.has(key)) return number(key, 0, accepted);
  static_cast<void>(settings_.number(key, 0));  // known from now on
  note(key, std::string(formula));
  return std::nullopt;
}

std::int64_t NotedSettings::integer(std::string_view key, std::int64_t fallback, std::int64_t low,
                                    std::int64_t high) {
  const double value = settings_.number(key, static_cast<double>(fallback));
  require<ValueError>(static_cast<double>(low) <= value && value <= static_cast<double>(high) &&
                          value == std::floor(value),
                      name(), ": expected an integer in ", low, "..", high, " for ", key, ", got ",
                      spelled(value));
  note(key, spelled(value));
  return static_cast<std::int64_t>(value);
}

std::size_t NotedSettings::word(std::string_view key, const std::vector<std::string>& words,
                                std::string_view fallback) {
  const std::string value = settings_.word(key, words, fallback);
  std::string others;
  for (const std::string& word : words) {
    if (word != value) others += '|' + word;
  }
  note(key, value, others);
  return static_cast<std::size_t>(std::find(words.begin(), words.end(), value) - words.begin());
}

std::string NotedSettings::word_or_integer(std::string_view key,
                                           const std::vector<std::string>& words,
                                           std::string_view fallback, std::int64_t high) {
  std::string value = settings_.text(key, fallback);
  std::int64_t number = -1;
  const auto [stop, failure] = std::from_chars(value.data(), value.data() + value.size(), number);
  const bool is_number = failure == std::errc() && stop == value.data() + value.size();
  require<ValueError>((is_number && 0 <= number && number <= high) ||
                          std::find(words.begin(), words.end(), value) != words.end(),
                      name(), ": expected ", key, " among ", listed(words), " or an integer in 0..",
                      high, ", got '", value, "'");
  std::string others;
  for (const std::string& word : words) {
    if (word != value) others += '|' + word;
  }
  note(key, value, others + "|N");
  return value;
}

}  // namespace isotape
