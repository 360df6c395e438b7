#pragma once

#include <string>

#include <isotape/apps/report.hpp>

namespace isotape {

/// What the page shows, as HTML: everything but the plots' lines, which the script draws from
/// report_json() into the figures of this body.
std::string report_body(const ReportData& data);

/// The data of the plots, as JSON that may stand in a script element.
std::string report_json(const ReportData& data);

}  // namespace isotape
