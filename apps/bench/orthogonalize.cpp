// isotape bench orthogonalize: polar factors and Cayley transforms, forward and backward.

#include <isotape/apps/bench/orthogonalize.hpp>

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include <isotape/apps/bench/commands.hpp>
#include <isotape/apps/bench/report.hpp>
#include <isotape/apps/table.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/cayley.hpp>
#include <isotape/ops/matmul.hpp>

namespace isotape {
namespace {

std::vector<Shape> shapes_of(const BenchOrthogonalizeOptions& options) {
  std::vector<Shape> shapes;
  for (const auto& extents : options.matrices) shapes.emplace_back(extents);
  if (!shapes.empty()) return shapes;
  for (const std::int64_t n : {32, 64, 128, 256, 512, 1024}) shapes.push_back({n, n});
  // The dense layers of bcop-small and bcop-large, and the raw matrices of a BCOP layer.
  for (const Shape& shape : {Shape{100, 1568}, {512, 4096}, {5, 64, 64}, {3, 256, 256}}) {
    shapes.push_back(shape);
  }
  return shapes;
}

// One method on one shape: its matrices, and the tape between the two phases of a call.
struct Case {
  const Orthogonalization& method;
  Shape shape;
  Tensor w;
  Tensor dy;
  std::unique_ptr<Tape> tape = {};
  Var y = {};

  Var apply(const Var& matrices, BjorckReport* report = nullptr) const {
    return method.bjorck ? bjorck(matrices, *method.bjorck, report) : cayley(matrices);
  }
  Task task() {
    return {[this] {
              y = {};
              tape.reset();
              tape = std::make_unique<Tape>();
            },
            [this] { y = apply(tape->leaf(w)); }, [this] { tape->backward(y, dy); }};
  }
};

std::vector<std::unique_ptr<Case>> cases_of(const BenchOrthogonalizeOptions& options) {
  std::vector<std::unique_ptr<Case>> cases;
  for (const Shape& shape : shapes_of(options)) {
    Rng rng = Rng(0).stream(message(shape));
    const Tensor w = random_conditioned(rng, shape, options.kappa);
    const Tensor dy = random_normal(rng, shape);
    for (const Orthogonalization& method : orthogonalizations()) {
      const auto& chosen = options.methods;
      if (!chosen.empty() && std::find(chosen.begin(), chosen.end(), method.name) == chosen.end()) {
        continue;
      }
      cases.push_back(std::make_unique<Case>(Case{method, shape, w, dy}));
    }
  }
  return cases;
}

std::string extents_text(const Shape& shape) {
  return fmt::format("{}", fmt::join(shape.begin(), shape.end(), "x"));
}

const char* path_name(BjorckPath path) { return path == BjorckPath::fast ? "fast" : "exact"; }

// What the method did to these matrices, measured once, apart from the timing.
BjorckReport inspect(const Case& measured) {
  BjorckReport report;
  if (measured.method.bjorck) {
    measured.apply(measured.w, &report);
  } else {
    const Tensor q = measured.apply(measured.w).value();
    const bool tall = q.dim(-2) >= q.dim(-1);
    Tensor gram = matmul(q, q, {.trans_a = tall, .trans_b = !tall}).value();
    const std::int64_t n = gram.dim(-1);
    auto* const entries = gram.write<float>();
    for (std::int64_t i = 0; i < gram.size(); ++i) entries[i] -= i % n == i / n % n ? 1.0F : 0.0F;
    report.defect = max_abs(gram);
  }
  return report;
}

void print_json(const BenchOrthogonalizeOptions& options,
                const std::vector<std::unique_ptr<Case>>& cases,
                const std::vector<TaskResult>& results, const BenchConditions& conditions) {
  const Roof roof = highest(conditions.before, conditions.after);
  nlohmann::ordered_json json = {{"benchmark", "orthogonalize"}, {"kappa", options.kappa}};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Case& one = *cases[i];
    const TaskResult& result = results[i];
    const BjorckReport report = inspect(one);
    nlohmann::ordered_json row = {{"method", one.method.name},
                                  {"shape", extents_text(one.shape)},
                                  {"forward_ms", result.forward.time.best_ms(roof.threads)},
                                  {"backward_ms", result.backward.time.best_ms(roof.threads)},
                                  {"forward_backward_ms", result.both.time.best_ms(roof.threads)},
                                  {"forward", to_json(result.forward, roof)},
                                  {"backward", to_json(result.backward, roof)},
                                  {"forward_backward", to_json(result.both, roof)},
                                  {"defect", report.defect}};
    if (one.method.bjorck) {
      row["path"] = path_name(report.path);
      row["iterations"] = report.iterations;
    }
    json["results"].push_back(std::move(row));
  }
  print_json(std::move(json), conditions);
}

void print_text(const BenchOrthogonalizeOptions& options,
                const std::vector<std::unique_ptr<Case>>& cases,
                const std::vector<TaskResult>& results, const BenchConditions& conditions) {
  const Roof roof = highest(conditions.before, conditions.after);
  std::vector<std::vector<std::string>> rows = {{"matrices", "method", "forward", "backward",
                                                 "both", "GFLOP", "GFLOP/s", "of roof", "path",
                                                 "steps", "defect"}};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Case& one = *cases[i];
    const TaskResult& result = results[i];
    const BjorckReport report = inspect(one);
    const std::vector<std::string> cells = measured_cells(result.both, roof);
    rows.push_back({extents_text(one.shape), std::string(one.method.name),
                    ms_text(result.forward.time.best_ms(roof.threads)),
                    ms_text(result.backward.time.best_ms(roof.threads)),
                    ms_text(result.both.time.best_ms(roof.threads)), cells[4], cells[5], cells[6],
                    one.method.bjorck ? path_name(report.path) : "",
                    one.method.bjorck ? std::to_string(report.iterations) : "",
                    fmt::format("{:.0e}", report.defect)});
  }
  const std::string title =
      fmt::format("orthogonalization of f32 matrices with kappa {:g}, {} thread{}; ms\n\n",
                  options.kappa, roof.threads, roof.threads == 1 ? "" : "s");
  print_text(title + table(rows), conditions);
}

}  // namespace

const std::vector<Orthogonalization>& orthogonalizations() {
  static const std::vector<Orthogonalization> list = {
      {"polar", BjorckOptions{}},
      {"exact", BjorckOptions{.path = BjorckPath::exact}},
      {"fast", BjorckOptions{.path = BjorckPath::fast}},
      {"bjorck-20", BjorckOptions{.iterations = 20}},
      {"cayley", std::nullopt}};
  return list;
}

std::vector<std::string_view> orthogonalization_names() {
  std::vector<std::string_view> names;
  for (const Orthogonalization& method : orthogonalizations()) names.push_back(method.name);
  return names;
}

Tensor random_conditioned(Rng& rng, const Shape& shape, double kappa) {
  const std::int64_t m = shape[-2];
  const std::int64_t n = shape[-1];
  const std::int64_t k = std::min(m, n);
  const std::int64_t count = shape.size() / (m * n);
  Tensor u = random_orthogonal(rng, {count, m, k});
  const Tensor v = random_orthogonal(rng, {count, k, n});
  auto* const columns = u.write<float>();
  for (std::int64_t i = 0; i < u.size(); ++i) {
    const double place = k == 1 ? 0 : static_cast<double>(i % k) / static_cast<double>(k - 1);
    columns[i] *= static_cast<float>(std::pow(kappa, -place));
  }
  return matmul(u, v).value().reshaped(shape);
}

int bench_orthogonalize(const BenchOrthogonalizeOptions& options) {
  const int threads = static_cast<int>(options.threads.value_or(num_threads()));
  set_num_threads(threads);
  const std::vector<std::unique_ptr<Case>> cases = cases_of(options);
  std::vector<Task> tasks;
  tasks.reserve(cases.size());
  for (const auto& one : cases) tasks.push_back(one->task());
  BenchConditions conditions;
  conditions.repetitions = options.repetitions;
  conditions.before = measure_roof(threads);
  const std::vector<TaskResult> results = measure_interleaved(tasks, options.repetitions);
  conditions.after = measure_roof(threads);
  for (const auto& one : cases) {
    one->y = {};
    one->tape.reset();
  }
  options.json ? print_json(options, cases, results, conditions)
               : print_text(options, cases, results, conditions);
  return 0;
}

}  // namespace isotape
