#pragma once

#include <string_view>

namespace isotape::assets {

// Files of this folder, part of the program: see embed.cmake.
extern const std::string_view report_html;
extern const std::string_view report_css;
extern const std::string_view chart_js;
extern const std::string_view report_js;
extern const std::string_view study_js;
extern const std::string_view uplot_css;
extern const std::string_view uplot_js;

}  // namespace isotape::assets
