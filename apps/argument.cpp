#include <isotape/apps/argument.hpp>

#include <algorithm>
#include <charconv>

#include <isotape/apps/errors.hpp>
#include <isotape/apps/suggestion.hpp>

namespace isotape {
namespace {

template <class T>
std::optional<T> whole(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The words between commas.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

template <class T>
T checked(std::string_view name, std::string_view text, const Limits& limits) {
  const std::optional<T> value = whole<T>(text);
  require<UsageError>(value && limits.contain(static_cast<double>(*value)), name, ": expected ",
                      limits.words, ", got '", text, "'");
  return *value;
}

}  // namespace

bool Limits::contain(double value) const {
  return (low_excluded ? value > low : value >= low) && value <= high;
}

std::optional<double> to_number(std::string_view text) { return whole<double>(text); }

std::optional<std::int64_t> to_integer(std::string_view text) { return whole<std::int64_t>(text); }

double parse_number(std::string_view name, std::string_view text, const Limits& limits) {
  return checked<double>(name, text, limits);
}

std::int64_t parse_integer(std::string_view name, std::string_view text, const Limits& limits) {
  return checked<std::int64_t>(name, text, limits);
}

std::vector<std::int64_t> parse_integers(std::string_view name, std::string_view text,
                                         const Limits& limits) {
  std::vector<std::int64_t> values;
  for (const std::string_view word : split(text)) {
    values.push_back(parse_integer(name, word, limits));
  }
  return values;
}

std::string parse_word(std::string_view name, std::string_view text,
                       const std::vector<std::string_view>& words) {
  require<UsageError>(!text.empty(), name, ": expected a value, got ''");
  if (!words.empty() && std::find(words.begin(), words.end(), text) == words.end()) {
    std::string expected;
    for (const std::string_view word : words) {
      if (!expected.empty()) expected += word == words.back() ? " or " : ", ";
      expected += word;
    }
    throw UsageError(message(name, ": expected ", expected, ", got '", text, "'",
                             did_you_mean(text, {words.begin(), words.end()})));
  }
  return std::string(text);
}

std::vector<std::string> parse_words(std::string_view name, std::string_view text,
                                     const std::vector<std::string_view>& words) {
  std::vector<std::string> chosen;
  for (const std::string_view word : split(text)) chosen.push_back(parse_word(name, word, words));
  return chosen;
}

std::vector<std::int64_t> parse_extents(std::string_view name, std::string_view text) {
  std::vector<std::int64_t> extents;
  bool good = true;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('x', begin), text.size());
    const auto extent = to_integer(text.substr(begin, end - begin));
    good = good && extent && *extent >= 1 && *extent <= 1'000'000;
    extents.push_back(extent.value_or(0));
    begin = end + 1;
  }
  require<UsageError>(good && extents.size() <= 6, name,
                      ": expected extents >= 1 such as 28x28x1, got '", text, "'");
  return extents;
}

std::vector<std::vector<std::int64_t>> parse_matrices(std::string_view name,
                                                      std::string_view text) {
  std::vector<std::vector<std::int64_t>> list;
  for (const std::string_view word : split(text)) {
    list.push_back(parse_extents(name, word));
    require<UsageError>(list.back().size() == 2 || list.back().size() == 3, name,
                        ": expected matrices such as 64x64 or 8x64x64, got '", word, "'");
  }
  return list;
}

}  // namespace isotape
