#include <isotape/apps/table.hpp>

#include <algorithm>

namespace isotape {
namespace {

bool is_numeric(const std::string& cell) {
  return cell.find_first_not_of("0123456789.,+-e%") == std::string::npos;
}

}  // namespace

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::size_t columns = 0;
  for (const auto& row : rows) columns = std::max(columns, row.size());
  std::vector<std::size_t> widths(columns, 0);
  std::vector<bool> right(columns, rows.size() > 1);
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      widths[c] = std::max(widths[c], row[c].size());
      if (&row != &rows.front() && !is_numeric(row[c])) right[c] = false;
    }
  }

  std::string text;
  const auto print = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string fill(widths[c] - row[c].size(), ' ');
      line += (c == 0 ? "" : "  ") + (right[c] ? fill + row[c] : row[c] + fill);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  };
  for (const auto& row : rows) {
    print(row);
    if (&row != &rows.front()) continue;
    std::vector<std::string> rules;
    rules.reserve(columns);
    for (const std::size_t width : widths) rules.emplace_back(width, '-');
    print(rules);
  }
  return text;
}

std::string with_commas(std::int64_t number) {
  std::string text = std::to_string(number);
  const std::size_t first = number < 0 ? 1 : 0;
  for (std::size_t at = text.size(); at > first + 3;) text.insert(at -= 3, 1, ',');
  return text;
}

}  // namespace isotape
