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

/// A headline figure: its name above its value, both HTML already. To stand in <dl
/// class="figures">.
std::string figure(std::string_view label, std::string_view value);

/// The place of a plot, which a script fills by its id "plot-ID". Texts are HTML already.
std::string plot(std::string_view id, std::string_view title, std::string_view unit,
                 std::string_view caption);

/// Content that opens when its summary is clicked; both HTML already.
std::string details(std::string_view summary, std::string_view content);

/// A whole page that loads nothing: styles, plots, data and scripts are inside.
/// @param title   text
/// @param body    HTML
/// @param json    script_safe() already
/// @param script  draws the plots of `json`, by chart.js
std::string page(std::string_view title, std::string_view body, std::string_view json,
                 std::string_view script);

}  // namespace isotape::html
