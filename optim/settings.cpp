#include <isotape/optim/settings.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<double> parsed(std::string_view text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, value);
  if (failure != std::errc() || stop != end) return std::nullopt;
  return value;
}

}  // namespace

Settings::Settings(std::string_view text) {
  const std::size_t colon = text.find(':');
  name_ = text.substr(0, colon);
  if (colon == std::string_view::npos) return;
  for (const std::string_view option : split(text.substr(colon + 1), ',')) {
    const std::size_t equals = option.find('=');
    require<ValueError>(equals != 0 && equals != std::string_view::npos, name_,
                        ": expected options as key=value, got '", option, "'");
    const std::string key(option.substr(0, equals));
    require<ValueError>(!has(key), name_, ": expected each option once, got ", key, " twice");
    options_.emplace_back(key, option.substr(equals + 1));
  }
}

bool Settings::has(std::string_view key) const {
  return std::any_of(options_.begin(), options_.end(),
                     [&](const auto& option) { return option.first == key; });
}

const std::string* Settings::take(std::string_view key) {
  known_.emplace_back(key);
  for (const auto& [name, value] : options_) {
    if (name == key) return &value;
  }
  return nullptr;
}

double Settings::number(std::string_view key, double fallback) {
  const std::string* const text = take(key);
  if (text == nullptr) return fallback;
  const std::optional<double> value = parsed(*text);
  require<ValueError>(value.has_value(), name_, ": expected a number for ", key, ", got '", *text,
                      "'");
  return *value;
}

bool Settings::flag(std::string_view key, bool fallback) {
  const std::string* const text = take(key);
  if (text == nullptr) return fallback;
  const bool on = *text == "1" || *text == "true";
  require<ValueError>(on || *text == "0" || *text == "false", name_,
                      ": expected true or false for ", key, ", got '", *text, "'");
  return on;
}

std::vector<double> Settings::numbers(std::string_view key, std::vector<double> fallback) {
  const std::string* const text = take(key);
  if (text == nullptr) return fallback;
  std::vector<double> values;
  for (const std::string_view part : split(*text, '/')) {
    const std::optional<double> value = parsed(part);
    require<ValueError>(value.has_value(), name_, ": expected numbers as 0/0.5/1 for ", key,
                        ", got '", *text, "'");
    values.push_back(*value);
  }
  return values;
}

std::string Settings::word(std::string_view key, const std::vector<std::string>& words,
                           std::string_view fallback) {
  const std::string* const text = take(key);
  if (text == nullptr) return std::string(fallback);
  require<ValueError>(std::find(words.begin(), words.end(), *text) != words.end(), name_,
                      ": expected ", key, " among ", listed(words), ", got '", *text, "'");
  return *text;
}

std::string Settings::text(std::string_view key, std::string_view fallback) {
  const std::string* const text = take(key);
  return text == nullptr ? std::string(fallback) : *text;
}

void Settings::done() const {
  for (const auto& [key, value] : options_) {
    const bool known = std::find(known_.begin(), known_.end(), key) != known_.end();
    require<ValueError>(known || !known_.empty(), name_, ": expected no option, got ", key);
    require<ValueError>(known, name_, ": expected an option among ", listed(known_), ", got ", key);
  }
}

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string spelled(double value) {
  std::array<char, 32> buffer{};
  const auto [end, failure] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), end};
}

}  // namespace isotape
