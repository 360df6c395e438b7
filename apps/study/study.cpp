#include <isotape/apps/study/study.hpp>

#include <fmt/format.h>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>

#include <isotape/apps/doctor.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/interrupt.hpp>
#include <isotape/apps/study/studies.hpp>
#include <isotape/core/atomic_file.hpp>

namespace isotape {
namespace {

namespace fs = std::filesystem;

StudyJson to_json(const Study& study, const StudySettings& settings) {
  return {{"study", study.name},
          {"dataset", settings.dataset},
          {"seed", settings.seed},
          {"threads", settings.threads},
          {"full", settings.full}};
}

// "threads 2 instead of 1": what differs first.
std::string difference(const StudyJson& found, const StudyJson& asked) {
  for (const auto& [key, value] : asked.items()) {
    const StudyJson held = found.contains(key) ? found.at(key) : StudyJson();
    if (held != value) return fmt::format("{} {}, asked for {}", key, held.dump(), value.dump());
  }
  return "other settings";
}

// The results that a file holds, and the lines themselves. A last line that was cut is left out.
struct Lines {
  std::vector<StudyResult> results;
  std::string text;
};

Lines read_lines(const fs::path& path, const std::vector<StudyJson>& cells) {
  Lines lines;
  std::ifstream file(path);
  std::size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    const StudyJson json = StudyJson::parse(line, nullptr, false);
    const bool cut = file.eof();
    if (cut) break;
    require<DataError>(json.is_object() && json.contains("cell") && json.contains("result") &&
                           std::find(cells.begin(), cells.end(), json.at("cell")) != cells.end(),
                       path.string(), ": line ", number,
                       ": expected a cell of this study in JSON, found '", line.substr(0, 60), "'");
    lines.results.push_back({json.at("cell"), json.at("result")});
    lines.text += line + '\n';
  }
  return lines;
}

bool holds(const std::vector<StudyResult>& results, const StudyJson& cell) {
  return std::any_of(results.begin(), results.end(),
                     [&](const StudyResult& result) { return result.cell == cell; });
}

// "bjorck maxmin 16": the parameters of a cell in a few words.
std::string words(const StudyJson& cell) {
  std::string text;
  for (const auto& [key, value] : cell.items()) {
    text +=
        (text.empty() ? "" : " ") + (value.is_string() ? value.get<std::string>() : value.dump());
  }
  return text;
}

void write_report(const Study& study, const StudySettings& settings, const StudyFiles& files,
                  const std::vector<StudyResult>& results, std::size_t cells,
                  const std::string& command) {
  StudyPage page = study.page(results, settings);
  page.command = command;
  if (results.size() < cells) {
    page.notes.insert(page.notes.begin(),
                      fmt::format("Not complete: {} of {} cells of the grid. The same command goes "
                                  "on with the others.",
                                  results.size(), cells));
  }
  if (!settings.dataset.empty()) page.facts.emplace_back("data set", settings.dataset);
  page.facts.emplace_back("seed", std::to_string(settings.seed));
  page.facts.emplace_back("threads", std::to_string(settings.threads));
  page.facts.emplace_back("cells", std::to_string(results.size()));
  const Diagnosis diagnosis = diagnose();
  page.facts.insert(page.facts.end(), diagnosis.versions.begin(), diagnosis.versions.end());
  page.facts.emplace_back("processor", diagnosis.processor);
  write_file(files.report(), to_html(page));
}

// One line per cell, flushed at once.
class ResultsLog {
 public:
  explicit ResultsLog(const fs::path& path) : path_(path), file_(path, std::ios::app) {
    require<IoError>(file_.good(), path.string(), ": expected a file that can be written");
  }
  void append(const StudyResult& result, double seconds) {
    const StudyJson json = {{"cell", result.cell}, {"result", result.result}, {"time_s", seconds}};
    file_ << json.dump() << std::endl;
    require<IoError>(file_.good(), path_.string(),
                     ": expected a file that can be written; is the disk full?");
  }

 private:
  fs::path path_;
  std::ofstream file_;
};

}  // namespace

std::pair<const Study*, StudySettings> settings_of(const fs::path& folder) {
  const StudyFiles files{folder};
  std::ifstream file(files.settings());
  const StudyJson found = StudyJson::parse(file, nullptr, false);
  try {
    return {&study_of(found.at("study").get<std::string>()),
            {found.at("dataset"), found.at("seed"), found.at("threads"), found.at("full")}};
  } catch (const nlohmann::json::exception&) {
    throw UsageError(
        message(folder.string(), ": expected the folder of a study with study.json, found none"));
  }
}

StudyFiles open_study(const Study& study, const StudySettings& settings, const fs::path& folder) {
  StudyFiles files{folder};
  const StudyJson asked = to_json(study, settings);
  std::error_code error;
  fs::create_directories(folder, error);
  require<IoError>(fs::is_directory(folder), folder.string(),
                   ": expected a folder that can be made: ", error.message());
  if (!fs::exists(files.settings())) {
    require<UsageError>(!fs::exists(files.results()),
                        "--out: expected a new folder or one of this "
                        "study, got ",
                        folder.string(), ", which holds other results");
    write_file(files.settings(), asked.dump(2) + "\n");
    return files;
  }
  std::ifstream file(files.settings());
  const StudyJson found = StudyJson::parse(file, nullptr, false);
  require<UsageError>(found == asked, "--out: expected a folder for these settings, got ",
                      folder.string(), ", which holds ",
                      found.is_object() ? difference(found, asked) : "no settings of a study");
  return files;
}

std::vector<StudyResult> run_grid(const Study& study, const StudySettings& settings,
                                  const std::vector<StudyJson>& cells, const StudyFiles& files,
                                  const std::function<Dataset()>& load, const std::string& command,
                                  Progress& progress) {
  const Lines lines = read_lines(files.results(), cells);
  std::vector<StudyResult> results = lines.results;
  write_file(files.results(), lines.text);
  ResultsLog log(files.results());
  std::optional<Dataset> data;
  const std::function<void()> check_interrupt = [] {
    if (is_interrupted()) throw Interrupted("");
  };
  const auto total = static_cast<std::int64_t>(cells.size());
  try {
    for (const StudyJson& cell : cells) {
      if (holds(results, cell)) continue;
      if (!data) {
        data = load();
        progress.pause();
      }
      check_interrupt();
      const auto start = std::chrono::steady_clock::now();
      results.push_back(
          {cell, study.measure(cell, {settings, *data, check_interrupt, files.folder})});
      const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
      log.append(results.back(), passed.count());
      progress.advance({std::string(study.name), static_cast<std::int64_t>(results.size()), total,
                        1, 0, words(cell)});
    }
  } catch (const Interrupted&) {
    progress.pause();
    write_report(study, settings, files, results, cells.size(), command);
    throw Interrupted(message("stopped after ", results.size(), " of ", total,
                              " cells; the same command goes on: ", command));
  }
  progress.pause();
  write_report(study, settings, files, results, cells.size(), command);
  return results;
}

}  // namespace isotape
