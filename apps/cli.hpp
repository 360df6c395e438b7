#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <isotape/apps/options.hpp>

namespace isotape {

/// Help or version: to be printed, and that is all.
struct TextRequest {
  std::string text;
};

using CommandOptions =
    std::variant<TextRequest, TrainOptions, EvalOptions, AuditOptions, CertifyOptions,
                 ExportOptions, VerifyOptions, ModelsOptions, LayersOptions, DatasetsOptions,
                 BenchOptions, StudyOptions, DoctorOptions>;

/// Reads the arguments of the command, without the program's name. A file given to --config is read
/// too; flags override it.
///
/// @param commands  the subcommands that are offered, in the order of the help
/// @throws UsageError  naming the flag and what it expects
CommandOptions parse_command_line(const std::vector<std::string>& arguments,
                                  const std::vector<std::string_view>& commands);

}  // namespace isotape
