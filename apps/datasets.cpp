#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sstream>

#include <isotape/apps/commands.hpp>
#include <isotape/apps/found_data.hpp>
#include <isotape/apps/table.hpp>

namespace isotape {
namespace {

std::string extents(const Shape& shape) {
  return fmt::format("{}", fmt::join(shape.begin(), shape.end(), "x"));
}

void print_json(const std::vector<FoundData>& found) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < found.size(); ++i) {
    const DatasetInfo& info = dataset_infos()[i];
    nlohmann::ordered_json entry = {{"name", info.name},
                                    {"description", info.description},
                                    {"image", std::vector(info.image.begin(), info.image.end())},
                                    {"classes", info.classes},
                                    {"made", info.is_made},
                                    {"available", found[i].error.empty()},
                                    {"train", found[i].train},
                                    {"test", found[i].test}};
    if (!found[i].folder.empty()) entry["folder"] = found[i].folder;
    if (!found[i].error.empty()) entry["error"] = found[i].error;
    if (!found[i].warnings.empty()) entry["warnings"] = found[i].warnings;
    list.push_back(entry);
  }
  fmt::print("{}\n", list.dump(2));
}

void print_text(const std::vector<FoundData>& found) {
  std::vector<std::vector<std::string>> rows = {
      {"data set", "image", "classes", "train", "test", "where", "what"}};
  for (std::size_t i = 0; i < found.size(); ++i) {
    const DatasetInfo& info = dataset_infos()[i];
    const FoundData& data = found[i];
    const std::string where = !data.error.empty() ? "missing" : data.is_made ? "made" : data.folder;
    rows.push_back({info.name, extents(info.image), std::to_string(info.classes),
                    with_commas(data.train), with_commas(data.test), where, info.description});
  }
  fmt::print("{}", table(rows));
  for (const FoundData& data : found) {
    if (!data.error.empty()) fmt::print("\n{}\n", data.error);
    for (const std::string& warning : data.warnings) fmt::print("\n{}\n", warning);
  }
}

}  // namespace

int run_datasets(const DatasetsOptions& options) {
  const std::vector<FoundData> found = find_data(options.data);
  options.json ? print_json(found) : print_text(found);
  return 0;
}

}  // namespace isotape
