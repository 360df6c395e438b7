#include <isotape/apps/flags.hpp>

namespace isotape {
namespace {

std::string with_dashes(std::string_view name) { return "--" + std::string(name); }

std::string placeholder(const Setting& setting) {
  if (setting.choices.empty()) return std::string(setting.placeholder);
  std::string words;
  for (const std::string_view choice : setting.choices) {
    words += (words.empty() ? "" : "|") + std::string(choice);
  }
  return words;
}

// The flag, whose text read(name, text) turns into the value.
template <class T, class Read>
void add(CLI::App& app, const Setting& setting, std::optional<T>& value, Read read) {
  const std::string name = with_dashes(setting.name);
  const auto assign = [name, read, &value](const std::string& text) { value = read(name, text); };
  app.add_option_function<std::string>(name, assign, std::string(setting.help))
      ->type_name(placeholder(setting))
      ->group(std::string(setting.group));
}

}  // namespace

void add_setting(CLI::App& app, const Setting& setting, std::optional<double>& value) {
  add(app, setting, value, [limits = setting.limits](const auto& name, const auto& text) {
    return parse_number(name, text, limits);
  });
}

void add_setting(CLI::App& app, const Setting& setting, std::optional<std::int64_t>& value) {
  add(app, setting, value, [limits = setting.limits](const auto& name, const auto& text) {
    return parse_integer(name, text, limits);
  });
}

void add_setting(CLI::App& app, const Setting& setting, std::optional<std::vector<Eps>>& value) {
  add(app, setting, value,
      [](const auto& name, const auto& text) { return parse_eps_list(name, text); });
}

void add_setting(CLI::App& app, const Setting& setting, std::optional<std::string>& value) {
  add(app, setting, value, [choices = setting.choices](const auto& name, const auto& text) {
    return parse_word(name, text, choices);
  });
}

void add_json(CLI::App& app, bool& json) { app.add_flag("--json", json, "print JSON"); }

void add_threads(CLI::App& app, std::optional<std::int64_t>& threads) {
  add_setting(app, {"threads", "N", "[$OMP_NUM_THREADS, cores]", "Options", a_thread_count},
              threads);
}

}  // namespace isotape
