#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <isotape/apps/eps.hpp>
#include <isotape/apps/train_settings.hpp>

namespace isotape {

/// Adds the flag --NAME of a setting; giving it sets the value.
/// @throws UsageError  while parsing, naming the flag, what it expects and what it got
void add_setting(CLI::App& app, const Setting& setting, std::optional<double>& value);
void add_setting(CLI::App& app, const Setting& setting, std::optional<std::int64_t>& value);
void add_setting(CLI::App& app, const Setting& setting, std::optional<std::vector<Eps>>& value);
void add_setting(CLI::App& app, const Setting& setting, std::optional<std::string>& value);

/// Flags that several subcommands share: --json and --threads.
void add_json(CLI::App& app, bool& json);
void add_threads(CLI::App& app, std::optional<std::int64_t>& threads);

}  // namespace isotape
