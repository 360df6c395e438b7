#include <isotape/layers/site.hpp>

#include <algorithm>

#include <isotape/core/error.hpp>

namespace isotape {

std::int64_t output_extent(Site& site) {
  const OptionValue* out = site.options.find("out");
  if (out != nullptr && *out == OptionValue(std::string("classes"))) return site.classes;
  require<ValueError>(out != nullptr && std::holds_alternative<std::int64_t>(*out), site.place(),
                      ": expected out to be a number of channels or \"classes\"");
  constexpr std::int64_t most = 1 << 20;
  const auto value = std::get<std::int64_t>(*out);
  require<ValueError>(1 <= value && value <= most, site.place(), ": expected out in 1..", most,
                      ", got ", value);
  return value;
}

int small_integer(Site& site, std::string_view key, std::int64_t fallback) {
  const std::int64_t value = site.options.integer(key, fallback);
  require<ValueError>(1 <= value && value <= 4096, site.place(), ": expected ", key,
                      " in 1..4096, got ", value);
  return static_cast<int>(value);
}

std::string choice(Site& site, std::string_view key, std::initializer_list<const char*> words) {
  std::string word = site.options.text(key, *words.begin());
  if (std::find(words.begin(), words.end(), word) != words.end()) return word;
  std::string names;
  for (const char* const* known = words.begin(); known != words.end(); ++known) {
    if (known != words.begin()) names += known + 1 == words.end() ? " or " : ", ";
    names += *known;
  }
  throw ValueError(message(site.place(), ": expected ", key, ' ', names, ", got '", word, "'"));
}

Pairing pairing_option(Site& site) {
  return choice(site, "pairing", {"split", "adjacent"}) == "split" ? Pairing::split
                                                                   : Pairing::adjacent;
}

PadMode padding_option(Site& site) {
  const std::string mode = site.options.text("padding", "circular");
  require<ValueError>(mode == "circular" || mode == "zero", site.place(),
                      ": expected padding circular or zero, got '", mode,
                      "'; no bound is proved for others");
  return mode == "zero" ? PadMode::zero : PadMode::circular;
}

std::int64_t input_channels(const Site& site) {
  require<ShapeError>(site.input.rank() == 3, site.place(), ": expected input [H, W, C], got ",
                      site.input);
  return site.input[2];
}

std::int64_t input_extent(const Site& site) {
  require<ShapeError>(site.input.rank() == 1, site.place(), ": expected input [n], got ",
                      site.input, "; put a layer of type flatten before it");
  return site.input[0];
}

}  // namespace isotape
