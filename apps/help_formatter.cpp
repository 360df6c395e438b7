#include <isotape/apps/help_formatter.hpp>

#include <CLI/CLI.hpp>
#include <sstream>

namespace isotape {
namespace {

class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool positional) const override {
    std::string left = "  " + make_option_name(option, positional) + make_option_opts(option);
    const std::string indent(indent_, ' ');
    std::string text;
    if (left.size() + 2 > indent_) {
      text = left + '\n';
      left.clear();
    }
    left.resize(indent_, ' ');
    std::istringstream words(make_option_desc(option));
    std::string line = left;
    for (std::string word; words >> word;) {
      if (line.size() + 1 + word.size() > width_) {
        text += line + '\n';
        line = indent;
      }
      line += (line.size() == indent_ ? "" : " ") + word;
    }
    return text + line + '\n';
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_name().empty() || option->get_positional()
               ? ""
               : " " + option->get_type_name();
  }
  // One blank line between groups is enough.
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    const std::string text = CLI::Formatter::make_help(app, std::move(name), mode);
    return CLI::detail::find_and_replace(text, "\n\n\n", "\n\n");
  }

 private:
  std::size_t indent_ = 34;
  std::size_t width_ = 100;
};

}  // namespace

std::shared_ptr<CLI::Formatter> help_formatter() {
  auto formatter = std::make_shared<HelpFormatter>();
  formatter->label("SUBCOMMAND", "COMMAND");
  return formatter;
}

}  // namespace isotape
