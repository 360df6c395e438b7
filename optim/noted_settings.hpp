#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <isotape/optim/settings.hpp>

namespace isotape {

/// The numbers that an option accepts.
struct Interval {
  double low = 0;
  double high = 0;
  bool low_excluded = false;
};

/// Settings whose options are checked as they are taken, and noted with the values in effect:
/// defaults too.
class NotedSettings {
 public:
  /// @throws ValueError  as Settings
  explicit NotedSettings(std::string_view text) : settings_(text) {}
  const std::string& name() const { return settings_.name(); }

  /// @throws ValueError  `pgd: expected alpha > 0, got -1`, and the like
  double number(std::string_view key, double fallback, const Interval& accepted);
  /// Absent where it is not given; `formula` tells what is done then.
  std::optional<double> number_or(std::string_view key, std::string_view formula,
                                  const Interval& accepted);
  std::int64_t integer(std::string_view key, std::int64_t fallback, std::int64_t low,
                       std::int64_t high);
  /// One of the words. @return  its place among them
  std::size_t word(std::string_view key, const std::vector<std::string>& words,
                   std::string_view fallback);
  /// One of the words, or an integer in 0..high. @return  the text
  std::string word_or_integer(std::string_view key, const std::vector<std::string>& words,
                              std::string_view fallback, std::int64_t high);
  /// @throws ValueError  for an option that was not taken; names those that can be
  void done() const { settings_.done(); }

  using Effective = std::vector<std::pair<std::string, std::string>>;
  /// Key and value of every option, in the order they were taken.
  const Effective& effective() const { return effective_; }
  /// "steps=50,norm=2|inf": every option, with the other words that it accepts.
  const std::string& synopsis() const { return synopsis_; }

 private:
  void note(std::string_view key, std::string value, const std::string& others = "");
  Settings settings_;
  Effective effective_;
  std::string synopsis_;
};

}  // namespace isotape
