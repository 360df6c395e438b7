#include <isotape/apps/html.hpp>

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <utility>

#include <isotape/apps/assets.hpp>

namespace isotape::html {
namespace {

// The template with every {{name}} replaced; what is put in is not searched again.
std::string filled(std::string_view page,
                   const std::vector<std::pair<std::string_view, std::string_view>>& parts) {
  std::string text;
  for (std::size_t begin = 0; begin < page.size();) {
    const std::size_t open = std::min(page.find("{{", begin), page.size());
    text += page.substr(begin, open - begin);
    if (open == page.size()) break;
    const std::size_t close = page.find("}}", open);
    const std::string_view name = page.substr(open + 2, close - open - 2);
    const auto part =
        std::find_if(parts.begin(), parts.end(), [&](const auto& p) { return p.first == name; });
    text += part->second;
    begin = close + 2;
  }
  return text;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string script_safe(std::string_view json) {
  std::string out;
  for (const char c : json) {
    // Within JSON these stand in strings only, where an escape means the same.
    if (c == '<') {
      out += "\\u003c";
    } else if (c == '>') {
      out += "\\u003e";
    } else if (c == '&') {
      out += "\\u0026";
    } else {
      out += c;
    }
  }
  return out;
}

std::string table(std::string_view caption, const std::vector<std::string>& head,
                  const std::vector<std::vector<std::string>>& rows, std::size_t words) {
  const auto row = [&](const std::vector<std::string>& cells, std::string_view tag) {
    std::string text = "<tr>";
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const bool names_row = tag == "td" && c == 0;
      text += fmt::format("<{0}{1}{2}>{3}</{0}>", names_row ? "th" : tag,
                          names_row     ? " scope=\"row\""
                          : tag == "th" ? " scope=\"col\""
                                        : "",
                          c < words ? "" : " class=\"n\"", cells[c]);
    }
    return text + "</tr>\n";
  };
  std::string text = fmt::format(
      "<figure>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"table\">"
      "<table>\n<thead>\n{}</thead>\n<tbody>\n",
      row(head, "th"));
  for (const auto& cells : rows) text += row(cells, "td");
  return text + fmt::format("</tbody>\n</table></div>\n<figcaption>{}</figcaption>\n</figure>\n",
                            escaped(caption));
}

std::string percent(double value) { return fmt::format("{:.2f} %", value); }

std::string near_one(double value) {
  const double distance = std::abs(value - 1);
  if (distance == 0) return "1";
  if (distance < 1e-3) return fmt::format("1 {} {:.1e}", value > 1 ? '+' : '-', distance);
  return fmt::format("{:.5g}", value);
}

std::string number(const std::optional<double>& value) {
  return value ? fmt::format("{:.4g}", *value) : "-";
}

std::string range_bar(double low, double high, double top) {
  constexpr double width = 120;
  const auto at = [&](double value) { return std::clamp(value / top, 0.0, 1.0) * width; };
  const double left = std::min(at(low), width - 2);
  const double length = std::max(at(high) - left, 2.0);  // equal values still show
  return fmt::format(
      "<svg class=\"range\" viewBox=\"0 0 {0} 12\" width=\"{0}\" height=\"12\" role=\"img\" "
      "aria-label=\"from {1:.4g} to {2:.4g}\"><line x1=\"0\" x2=\"{0}\" y1=\"6\" y2=\"6\"/>"
      "<line class=\"one\" x1=\"{3:.1f}\" x2=\"{3:.1f}\" y1=\"0\" y2=\"12\"/>"
      "<rect x=\"{4:.1f}\" y=\"3\" width=\"{5:.1f}\" height=\"6\" rx=\"1\"/></svg>",
      width, low, high, at(1), left, length);
}

std::string figure(std::string_view label, std::string_view value) {
  return fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", label, value);
}

std::string plot(std::string_view id, std::string_view title, std::string_view unit,
                 std::string_view caption) {
  return fmt::format(
      "<figure>\n<h3>{1} <span>{2}</span></h3>\n"
      "<div class=\"plot\" id=\"plot-{0}\" role=\"img\" aria-label=\"{1}\"></div>\n"
      "<p class=\"without-plots small\">The plot needs JavaScript; its numbers stand in the "
      "tables.</p>\n"
      "<figcaption>{3}</figcaption>\n</figure>\n",
      id, title, unit, caption);
}

std::string details(std::string_view summary, std::string_view content) {
  return fmt::format("<details><summary>{}</summary>\n{}</details>\n", summary, content);
}

std::string page(std::string_view title, std::string_view body, std::string_view json,
                 std::string_view script) {
  const std::string name = escaped(title);
  return filled(assets::report_html, {{"title", name},
                                      {"uplot_css", assets::uplot_css},
                                      {"css", assets::report_css},
                                      {"body", body},
                                      {"data", json},
                                      {"uplot_js", assets::uplot_js},
                                      {"chart_js", assets::chart_js},
                                      {"js", script}});
}

}  // namespace isotape::html
