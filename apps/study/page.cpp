#include <isotape/apps/study/page.hpp>

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include <isotape/apps/assets.hpp>
#include <isotape/apps/html.hpp>
#include <isotape/version.hpp>

namespace isotape {
namespace {

using html::escaped;
using Json = nlohmann::ordered_json;

std::string header(const StudyPage& page) {
  std::string text = fmt::format(
      "<header>\n<h1>{}</h1>\n<p class=\"lead\">{}</p>\n<code class=\"command\">{}</code>\n",
      escaped(page.title), escaped(page.lead), escaped(page.command));
  for (const std::string& note : page.notes) {
    text += fmt::format("<p class=\"note\">{}</p>\n", escaped(note));
  }
  return text + "</header>\n";
}

std::string pairs(std::string_view kind,
                  const std::vector<std::pair<std::string, std::string>>& entries) {
  if (entries.empty()) return "";
  std::string text = fmt::format("<dl class=\"{}\">\n", kind);
  for (const auto& [name, value] : entries) text += html::figure(escaped(name), escaped(value));
  return text + "</dl>\n";
}

std::string table_of(const StudyTable& table) {
  std::vector<std::string> head;
  for (const std::string& cell : table.head) head.push_back(escaped(cell));
  std::vector<std::vector<std::string>> rows;
  for (const auto& row : table.rows) {
    rows.emplace_back();
    for (const std::string& cell : row) rows.back().push_back(escaped(cell));
  }
  const std::string text = html::table(table.caption, head, rows, table.words);
  return table.summary.empty() ? text : html::details(escaped(table.summary), text);
}

std::string section_of(const StudySection& section) {
  if (section.plots.empty() && section.tables.empty()) return "";
  std::string text = fmt::format("<section>\n<h2>{}</h2>\n", escaped(section.title));
  for (const std::string& paragraph : section.text) {
    text += fmt::format("<p>{}</p>\n", escaped(paragraph));
  }
  if (!section.plots.empty()) text += "<div class=\"pair\">\n";
  for (const StudyPlot& plot : section.plots) {
    text += html::plot(escaped(plot.id), escaped(plot.title), escaped(plot.subtitle),
                       escaped(plot.caption));
  }
  if (!section.plots.empty()) text += "</div>\n";
  for (const StudyTable& table : section.tables) text += table_of(table);
  return text + "</section>\n";
}

// The points of all series over one axis; null where a series has none.
Json plot_json(const StudyPlot& plot) {
  std::set<double> all;
  for (const StudySeries& series : plot.series) {
    for (const auto& [x, y] : series.points) all.insert(x);
  }
  Json json = {{"id", plot.id},     {"x_label", plot.x},
               {"y_label", plot.y}, {"logarithmic", plot.logarithmic},
               {"x", all},          {"series", Json::array()}};
  for (const StudySeries& series : plot.series) {
    Json values = Json::array();
    for (const double x : all) {
      const auto found = std::find_if(series.points.begin(), series.points.end(),
                                      [x](const auto& point) { return point.first == x; });
      const bool shown = found != series.points.end() && std::isfinite(found->second) &&
                         (!plot.logarithmic || found->second > 0);
      values.push_back(shown ? Json(found->second) : Json());
    }
    json["series"].push_back({{"label", series.label}, {"y", values}});
  }
  return json;
}

}  // namespace

std::string to_html(const StudyPage& page) {
  std::string body = header(page) + pairs("figures", page.figures) + pairs("facts", page.facts);
  Json json = {{"plots", Json::array()}};
  for (const StudySection& section : page.sections) {
    body += section_of(section);
    for (const StudyPlot& plot : section.plots) json["plots"].push_back(plot_json(plot));
  }
  body += fmt::format(
      "<footer><p>A <em>bound</em> is proved: an upper bound, rounding included. A "
      "<em>measured</em> value is not a proof. Written by isotape {}; the page loads nothing. "
      "Plots by uPlot (MIT licence).</p></footer>\n",
      version);
  const std::string data =
      html::script_safe(json.dump(-1, ' ', true, Json::error_handler_t::replace));
  return html::page(page.title, body, data, assets::study_js);
}

}  // namespace isotape
