#include <isotape/apps/run_config.hpp>

#include <fmt/format.h>
#include <algorithm>

#include <isotape/apps/suggestion.hpp>
#include <isotape/apps/toml_file.hpp>
#include <isotape/apps/train_settings.hpp>
#include <isotape/core/atomic_file.hpp>

namespace isotape {
namespace {

template <class T>
constexpr bool is_optional = false;
template <class T>
constexpr bool is_optional<std::optional<T>> = true;

// The setting's value from its node; name is its place in the file and its key, for messages.
void convert(const std::string& name, const Setting& setting, const toml::node& node,
             double& value) {
  const std::optional<double> number = node.value<double>();
  require<UsageError>(node.is_number() && setting.limits.contain(*number), name, ": expected ",
                      setting.limits.words, ", got ", toml::node_view(node));
  value = *number;
}

void convert(const std::string& name, const Setting& setting, const toml::node& node,
             std::int64_t& value) {
  const toml::value<std::int64_t>* integer = node.as_integer();
  require<UsageError>(
      integer != nullptr && setting.limits.contain(static_cast<double>(integer->get())), name,
      ": expected ", setting.limits.words, ", got ", toml::node_view(node));
  value = integer->get();
}

void convert(const std::string& name, const Setting& setting, const toml::node& node,
             std::string& value) {
  const toml::value<std::string>* word = node.as_string();
  require<UsageError>(word != nullptr, name, ": expected a word in quotes, got ",
                      toml::node_view(node));
  // No folder: the usual places.
  value = setting.name == "data" ? word->get() : parse_word(name, word->get(), setting.choices);
}

void convert(const std::string& name, const Setting& /*setting*/, const toml::node& node,
             std::vector<Eps>& value) {
  std::string list;
  const auto append = [&](const toml::node& entry) {
    require<UsageError>(entry.is_string() || entry.is_number(), name,
                        ": expected a list of radii, got ", toml::node_view(node));
    list += (list.empty() ? "" : ",");
    list += entry.is_string() ? **entry.as_string() : fmt::format("{}", *entry.value<double>());
  };
  if (const toml::array* array = node.as_array()) {
    for (const toml::node& entry : *array) append(entry);
  } else {
    append(node);
  }
  value = parse_eps_list(name, list);
}

// Refuses a key that is no setting.
void check_keys(const TomlFile& file) {
  std::vector<std::string> names = {"layer"};
  TrainOptions any;
  for_each_setting(any, [&](const Setting& setting, auto&) { names.emplace_back(setting.name); });
  for (const auto& [key, value] : file.root()) {
    if (std::find(names.begin(), names.end(), key.str()) == names.end()) {
      file.fail(key.source(), "expected a setting of `isotape train`, got '", key.str(), "'",
                did_you_mean(key.str(), names));
    }
  }
}

template <class Options>
void read_settings(const TomlFile& file, Options& options) {
  check_keys(file);
  for_each_setting(options, [&](const Setting& setting, auto& member) {
    using Member = std::remove_reference_t<decltype(member)>;
    const toml::node* node = file.root().get(setting.name);
    if constexpr (is_optional<Member>) {
      if (node == nullptr) return;
      typename Member::value_type value{};
      convert(file.place(node->source()) + ": " + std::string(setting.name), setting, *node, value);
      if (!member) member = std::move(value);
    } else {
      if (node == nullptr) {
        file.fail(file.root().source(), "expected a value of ", setting.name, ", got none");
      }
      convert(file.place(node->source()) + ": " + std::string(setting.name), setting, *node,
              member);
    }
  });
}

std::string spelled(double value) { return to_toml(OptionValue(value)); }
std::string spelled(std::int64_t value) { return to_toml(OptionValue(value)); }
std::string spelled(const std::string& value) { return to_toml(OptionValue(value)); }
std::string spelled(const std::vector<Eps>& value) {
  std::string list;
  for (const Eps& eps : value) list += (list.empty() ? "" : ", ") + spelled(eps.text);
  return '[' + list + ']';
}

}  // namespace

std::string to_toml(const RunConfig& config) {
  std::string text = "# The effective configuration of a run of isotape.\n";
  std::string_view group;
  for_each_setting(config, [&](const Setting& setting, const auto& value) {
    if (setting.group != group) text += "\n# " + std::string(setting.group) + '\n';
    group = setting.group;
    text += std::string(setting.name) + " = " + spelled(value) + '\n';
  });
  return text + to_toml(config.layers);
}

void write_run_config(const std::filesystem::path& path, const RunConfig& config) {
  write_file(path, to_toml(config));
}

RunConfig read_run_config(const std::filesystem::path& path) {
  try {
    const TomlFile file(path);
    RunConfig config;
    read_settings(file, config);
    config.layers = file.layers();
    return config;
  } catch (const UsageError& error) {
    throw DataError(error.what());
  }
}

void read_config(const std::filesystem::path& path, TrainOptions& options) {
  const TomlFile file(path);
  if (!options.model) options.layers = file.layers();
  read_settings(file, options);
  require<UsageError>(options.layers.empty() || options.model, path.string(),
                      ": expected a model, the name of the layers below, got none");
}

}  // namespace isotape
