// isotape audit: what every layer of a run claims, what is proved of it, what is measured.

#include <iostream>

#include <isotape/apps/audit_text.hpp>
#include <isotape/apps/commands.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/run_report.hpp>

namespace isotape {

int run_audit(const AuditOptions& options) {
  LoadedRun run = load_run(options.run, options.dataset, options.data, options.threads);
  AuditReport report = audit_run(run.config, run.model, run.data);
  if (options.lipsdp) report.multipliers = lipsdp(run.model.net);
  std::cout << (options.json ? to_json(report) + '\n' : to_text(report));
  if (options.html) {
    const Evaluation test = evaluate(run.model, run.data.test, values(run.config.eps));
    write_run_report(run.files, run.config, run.data, test, report);
    if (!options.json) std::cout << "report " << run.files.report().string() << '\n';
  }
  require_claims(report);
  return exit_ok;
}

}  // namespace isotape
