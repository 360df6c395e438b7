#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace isotape::html {

/// Text as it stands between tags or in a quoted attribute.
std::string escaped(std::string_view text);

/// JSON as it may stand in a script element: nothing in it ends the element.
std::string script_safe(std::string_view json);

/// A table whose cells are HTML already; columns after the first `words` hold numbers.
std::string table(std::string_view caption, const std::vector<std::string>& head,
                  const std::vector<std::vector<std::string>>& rows, std::size_t words);

/// 96.149 as "96.15 %".
std::string percent(double value);

/// A singular value or bound: what is near 1 as its distance, "1 - 2.1e-08".
std::string near_one(double value);

/// A number in four digits; "-" for none.
std::string number(const std::optional<double>& value);

/// A bar from low to high on a scale from 0 to `top`, with a tick at 1.
std::string range_bar(double low, double high, double top);

}  // namespace isotape::html
