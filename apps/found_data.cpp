#include <isotape/apps/found_data.hpp>

#include <isotape/apps/table.hpp>
#include <isotape/core/error.hpp>

namespace isotape {
namespace {

FoundData look(const DatasetInfo& info, const std::string& folder) {
  FoundData found;
  found.name = info.name;
  found.is_made = info.is_made;
  if (info.is_made) {
    found.train = info.train;
    found.test = info.test;
    return found;
  }
  try {
    const Dataset dataset = load_dataset(info.name, {.folder = folder});
    found.folder = dataset.folder.string();
    found.train = dataset.train.size();
    found.test = dataset.test.size();
    found.warnings = dataset.warnings;
  } catch (const DataError& error) {
    found.error = error.what();
  }
  return found;
}

}  // namespace

std::string FoundData::state() const {
  if (!error.empty()) return error;
  const std::string images = with_commas(train) + " + " + with_commas(test) + " samples";
  return is_made ? images + ", made from a seed" : images + " in " + folder;
}

std::vector<FoundData> find_data(const std::string& folder) {
  std::vector<FoundData> list;
  for (const DatasetInfo& info : dataset_infos()) list.push_back(look(info, folder));
  return list;
}

}  // namespace isotape
