#pragma once

#include <string>

#include <isotape/apps/audit_model.hpp>
#include <isotape/apps/report.hpp>

namespace isotape {

/// For people: a table of layers, a table of gradients by depth, and the proof of the net's bound,
/// line by line.
std::string to_text(const AuditReport& report);

/// For programs: one JSON object. What was not measured is null; the singular values are a
/// histogram.
std::string to_json(const AuditReport& report);

/// For the report page: fills layers, gradients, proof and bound.
void add_audit(ReportData& data, const AuditReport& report);

}  // namespace isotape
