#pragma once

#include <string>
#include <utility>
#include <vector>

namespace isotape {

/// A line through points; where y is no finite number, or not positive on a logarithmic scale, it
/// has a gap.
struct StudySeries {
  std::string label;
  std::vector<std::pair<double, double>> points;  ///< x ascending
};

struct StudyPlot {
  std::string id;  ///< letters and '-'; unique on the page
  std::string title;
  std::string subtitle;
  std::string caption;
  std::string x;  ///< labels of the axes
  std::string y;
  bool logarithmic = false;  ///< y
  std::vector<StudySeries> series;
};

/// Cells are text; columns after the first `words` hold numbers.
struct StudyTable {
  std::string summary;  ///< what it opens under; empty: it stands open
  std::string caption;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
  std::size_t words = 1;
};

/// Plots two by two, then tables. Without either it is left out.
struct StudySection {
  std::string title;
  std::vector<std::string> text;
  std::vector<StudyPlot> plots;
  std::vector<StudyTable> tables;
};

/// What a study's report shows; all of it is text, none of it HTML.
struct StudyPage {
  std::string title;
  std::string lead;
  std::string command;
  std::vector<std::string> notes;                            ///< what a reader must know first
  std::vector<std::pair<std::string, std::string>> figures;  ///< headline
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<StudySection> sections;
};

/// The report as one page that loads nothing. Plots need JavaScript, tables do not.
std::string to_html(const StudyPage& page);

}  // namespace isotape
