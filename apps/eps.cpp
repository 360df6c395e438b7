#include <isotape/apps/eps.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/apps/argument.hpp>
#include <isotape/apps/errors.hpp>

namespace isotape {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

Eps parse_eps(std::string_view name, std::string_view text) {
  const std::string_view word = trimmed(text);
  const std::size_t slash = word.find('/');
  const auto numerator = to_number(word.substr(0, slash));
  const auto denominator =
      slash == std::string_view::npos ? std::optional(1.0) : to_number(word.substr(slash + 1));
  const double value = numerator.value_or(NAN) / denominator.value_or(NAN);
  require<UsageError>(std::isfinite(value) && value > 0 && *denominator > 0, name,
                      ": expected radii > 0 such as 0.3 or 36/255, got '", text, "'");
  return {std::string(word), value};
}

std::vector<Eps> parse_eps_list(std::string_view name, std::string_view text) {
  std::vector<Eps> list;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    list.push_back(parse_eps(name, text.substr(begin, end - begin)));
    begin = end + 1;
  }
  for (auto eps = list.begin(); eps != list.end(); ++eps) {
    const bool seen =
        std::any_of(list.begin(), eps, [&](const Eps& e) { return e.text == eps->text; });
    require<UsageError>(!seen, name, ": expected different radii, got '", eps->text, "' twice");
  }
  return list;
}

std::vector<double> values(const std::vector<Eps>& eps) {
  std::vector<double> list(eps.size());
  std::transform(eps.begin(), eps.end(), list.begin(), [](const Eps& e) { return e.value; });
  return list;
}

}  // namespace isotape
