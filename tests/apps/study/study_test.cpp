#include <doctest/doctest.h>
#include <fstream>
#include <support/captured_output.hpp>
#include <support/scratch_folder.hpp>

#include <isotape/apps/commands.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/study/studies.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/study");

namespace {

int measured = 0;     // cells, by the study below
int stopped_at = -1;  // the cell before which a person stops it
const StudySettings settings{"", 3, 1, false};

// Squares of 1, 2 and 3.
const Study squares = {
    "squares",
    "squares of numbers",
    "",
    "",
    [](const StudySettings&) {
      return std::vector<StudyJson>{{{"x", 1}}, {{"x", 2}}, {{"x", 3}}};
    },
    [](const StudyJson& cell, const StudyContext& context) {
      const int x = cell.at("x").get<int>();
      if (x == stopped_at) throw Interrupted("");
      ++measured;
      return StudyJson{{"y", x * x + static_cast<double>(context.settings.seed) / 7}};
    },
    [](const std::vector<StudyResult>& results, const StudySettings&) {
      StudyPage page;
      page.title = "Squares";
      StudyPlot plot{"squares", "Squares", "", "", "x", "y", false, {{"y", {}}}};
      for (const StudyResult& r : results) {
        plot.series[0].points.emplace_back(r.cell.at("x").get<double>(),
                                           r.result.at("y").get<double>());
      }
      page.sections.push_back({"All", {}, {plot}, {}});
      return page;
    }};

std::vector<StudyResult> run(const ScratchFolder& folder) {
  Progress progress(true);
  measured = 0;
  return run_grid(
      squares, settings, squares.cells(settings), open_study(squares, settings, folder.path()),
      [] { return Dataset(); }, "isotape study squares", progress);
}

// Without the times.
std::vector<std::string> lines(const ScratchFolder& folder) {
  std::vector<std::string> found;
  std::ifstream file(folder / "results.jsonl");
  for (std::string line; std::getline(file, line);) {
    found.push_back(line.substr(0, line.find(",\"time_s\"")));
  }
  return found;
}

}  // namespace

TEST_CASE("study: a line for each cell; a second run measures nothing and keeps every byte") {
  stopped_at = -1;
  const ScratchFolder folder;
  CHECK(run(folder).size() == 3);
  CHECK(measured == 3);
  CHECK(lines(folder).at(1).starts_with(R"({"cell":{"x":2},"result":{"y":4.)"));
  const std::string bytes = folder.get("results.jsonl");
  CHECK(run(folder).size() == 3);
  CHECK(measured == 0);
  CHECK(folder.get("results.jsonl") == bytes);
  const std::string report = folder.get("report.html");
  CHECK(report.find("<h1>Squares</h1>") != std::string::npos);
  CHECK(report.find("isotape study squares") != std::string::npos);
  CHECK(report.find("Not complete") == std::string::npos);
  CHECK(report.find("src=") == std::string::npos);
}

TEST_CASE("study: what a person stopped goes on to the same lines, with a report in between") {
  const ScratchFolder straight;
  stopped_at = -1;
  run(straight);
  const ScratchFolder folder;
  stopped_at = 3;
  CHECK_THROWS_WITH_AS(run(folder),
                       "stopped after 2 of 3 cells; the same command goes on: "
                       "isotape study squares",
                       Interrupted);
  CHECK(lines(folder).size() == 2);
  CHECK(folder.get("report.html").find("Not complete: 2 of 3 cells") != std::string::npos);
  stopped_at = -1;
  run(folder);
  CHECK(measured == 1);
  CHECK(lines(folder) == lines(straight));
}

TEST_CASE("study: a last line that was cut is measured anew, others are refused") {
  stopped_at = -1;
  const ScratchFolder folder;
  run(folder);
  const std::string whole = folder.get("results.jsonl");
  const std::vector<std::string> before = lines(folder);
  folder.put("results.jsonl", whole.substr(0, whole.size() - 9));
  run(folder);
  CHECK(measured == 1);
  CHECK(lines(folder) == before);
  folder.put("results.jsonl", "{\"cell\":{\"x\":9},\"result\":{}}\n" + whole);
  CHECK(folder.error<DataError>([&] { run(folder); }) ==
        "DIR/results.jsonl: line 1: expected a cell of this study in JSON, found "
        "'{\"cell\":{\"x\":9},\"result\":{}}'");
}

TEST_CASE("study: a folder of other settings or other results is refused") {
  stopped_at = -1;
  const ScratchFolder folder;
  run(folder);
  StudySettings other = settings;
  other.seed = 4;
  CHECK(folder.error<UsageError>([&] { open_study(squares, other, folder.path()); }) ==
        "--out: expected a folder for these settings, got DIR, which holds seed 3, asked for 4");
  const ScratchFolder strange;
  strange.put("results.jsonl", "");
  CHECK(strange.error<UsageError>([&] { open_study(squares, settings, strange.path()); }) ==
        "--out: expected a new folder or one of this study, got DIR, which holds other results");
}

TEST_CASE("study: the command names the studies, and what it does not take") {
  StudyOptions options;
  CHECK_THROWS_WITH_AS(run_study(options), "study: expected the NAME of a study, or --resume",
                       UsageError);
  options.name = "lawn";
  std::string names;
  for (const Study* study : studies()) {
    names += (names.empty() ? "" : ", ") + std::string(study->name);
  }
  CHECK_THROWS_WITH_AS(run_study(options),
                       ("study: expected one of " + names + ", got 'lawn'").c_str(), UsageError);
  options.name = "robustness-law";
  options.dataset = "mnist";
  CHECK_THROWS_WITH_AS(
      run_study(options),
      "robustness-law: expected no --dataset and no --data, as this study draws its own points",
      UsageError);
  const ScratchFolder folder;
  StudyOptions resumed;
  resumed.resume = folder.path().string();
  CHECK(folder.error<UsageError>([&] { run_study(resumed); }) ==
        "DIR: expected the folder of a study with study.json, found none");
  resumed.full = true;
  CHECK_THROWS_AS(run_study(resumed), UsageError);
}

TEST_SUITE_END();
