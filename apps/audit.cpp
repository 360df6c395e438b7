// isotape audit: what every layer of a run claims, what is proved of it, what is measured.

#include <algorithm>
#include <iostream>

#include <isotape/apps/audit_text.hpp>
#include <isotape/apps/commands.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/run_directory.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/loss.hpp>

namespace isotape {
namespace {

constexpr std::int64_t batch = 128;  // of test images, for the gradients

BatchLoss loss_of(const RunConfig& config) {
  if (config.loss == "cross-entropy") return softmax_cross_entropy;
  return [margin = config.margin](const Var& logits, std::span<const std::int32_t> labels) {
    return multi_margin(logits, labels, margin);
  };
}

}  // namespace

int run_audit(const AuditOptions& options) {
  const RunFiles files = open_run(options.run);
  const RunConfig config = read_run_config(files.config());
  set_num_threads(static_cast<int>(options.threads.value_or(config.threads)));
  Model model = load_run_model(files);
  const Dataset data = load_run_data(config, options.dataset, options.data);
  require<ShapeError>(data.image_shape() == model.input && data.classes() == model.classes,
                      "audit: expected images ", model.input, " of ", model.classes,
                      " classes, which the model was built for, got ", data.name, " with ",
                      data.image_shape(), " and ", data.classes());
  const std::int64_t count = std::min(batch, data.test.size());
  const AuditReport report = audit_model(
      model, data.test.pixels(0, count),
      std::span(data.test.labels).first(static_cast<std::size_t>(count)), loss_of(config));
  std::cout << (options.json ? to_json(report) + '\n' : to_text(report));
  require_claims(report);
  return exit_ok;
}

}  // namespace isotape
