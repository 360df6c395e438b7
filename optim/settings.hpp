#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace isotape {

/// A name with options as a command line or a configuration file spells it,
///
///     name[:key=value[,key=value]...]       "sgd:momentum=0.9,nesterov=1"
///
/// Options are taken one by one, each with its default; done() then throws for those that nobody
/// took. A list of numbers is separated by slashes: "aggmo:betas=0/0.9/0.99".
class Settings {
 public:
  /// @throws ValueError  on an option that is not key=value, and on a key given twice
  explicit Settings(std::string_view text);

  const std::string& name() const { return name_; }
  bool has(std::string_view key) const;

  /// The value of an option, or `fallback` where it is not given.
  /// @throws ValueError  `name: expected a number for key, got value`, and the like
  double number(std::string_view key, double fallback);
  bool flag(std::string_view key, bool fallback);
  std::vector<double> numbers(std::string_view key, std::vector<double> fallback);
  /// One of the given words.
  std::string word(std::string_view key, const std::vector<std::string>& words,
                   std::string_view fallback);

  /// Any text.
  std::string text(std::string_view key, std::string_view fallback);

  /// @throws ValueError  for an option that was not taken; names those that can be
  void done() const;

 private:
  const std::string* take(std::string_view key);
  std::string name_;
  std::vector<std::pair<std::string, std::string>> options_;
  std::vector<std::string> known_;
};

/// The words, separated by commas: "sgd, adam".
std::string listed(const std::vector<std::string>& words);

/// The shortest decimal form that reads back as the same number: "0.001".
std::string spelled(double value);

}  // namespace isotape
