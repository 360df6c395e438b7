#pragma once

#include <CLI/CLI.hpp>
#include <memory>

namespace isotape {

/// How the help of the command and its subcommands is set: two columns, descriptions broken into
/// lines of a page's width.
std::shared_ptr<CLI::Formatter> help_formatter();

}  // namespace isotape
