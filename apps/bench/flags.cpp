#include <isotape/apps/bench/flags.hpp>

#include <CLI/CLI.hpp>

#include <isotape/apps/bench/op_cases.hpp>
#include <isotape/apps/bench/orthogonalize.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/flags.hpp>

namespace isotape {
namespace {

constexpr auto group = "Options";

CLI::App& subcommand(CLI::App& app, const char* name, const char* description, const char* footer) {
  CLI::App* sub = app.add_subcommand(name, description);
  sub->group("Commands");
  sub->footer(footer);
  return *sub;
}

void add_count(CLI::App& app, const std::string& name, std::int64_t& value, const std::string& help,
               const Limits& limits = a_count) {
  app.add_option_function<std::string>(
         name,
         [name, &value, limits](const std::string& text) {
           value = parse_integer(name, text, limits);
         },
         help + " [" + std::to_string(value) + "]")
      ->type_name("N")
      ->group(group);
}

void add_repetitions(CLI::App& app, std::int64_t& value) {
  add_count(app, "--repetitions", value, "of each measurement, in turn with the others");
}

// The settings of a training run that shape a step.
void add_model(CLI::App& app, TrainOptions& train) {
  add_setting(
      app,
      {"model", "NAME|FILE", "see `isotape models`, or a model file FILE.toml [bcop-small]", group},
      train.model);
  add_setting(app,
              {"dataset", "NAME",
               "gives shape and classes of random images; no file is read [fashion-mnist]", group},
              train.dataset);
}

constexpr auto step_footer =
    "weights: made from the raw parameters; forward: with the loss; backward: with the weights' "
    "own "
    "part\nbeside it; optimizer: with the retraction.\n"
    "GFLOP counts what ran: products, factorisations (eigenvectors 14/3 n^3, thin SVD 8 m n^2 + "
    "4/3 "
    "n^3,\nLU 2/3 n^3, ...) and convolutions, in f32, f64 and bf16; elementwise passes count "
    "nothing. "
    "The "
    "share of the\nroof is the time these take at the rates of sgemm, dgemm and a 3x3 convolution, "
    "over the time taken.";

void add_step_settings(CLI::App& app, TrainOptions& train) {
  add_model(app, train);
  add_setting(app, {"batch", "N", "images per step [128]", group, a_batch}, train.batch);
  add_setting(app,
              {"orthogonal-update",
               "",
               "orthogonal weights: remade from free ones, or moved on their manifold "
               "[reparametrize]",
               group,
               {},
               {"reparametrize", "retract"}},
              train.orthogonal_update);
  add_setting(
      app,
      {"precision", "", "of convolutions and large dense layers [f32]", group, {}, {"f32", "bf16"}},
      train.precision);
  add_setting(app, {"seed", "N", "of weights and images [0]", group, a_seed}, train.seed);
}

void add_warmup(CLI::App& app, std::int64_t& value) {
  add_count(app, "--warmup", value,
            "steps before, which make the weights what training makes of them");
}

void add_step(CLI::App& app, BenchStepOptions& step) {
  add_step_settings(app, step.train);
  add_threads(app, step.train.threads);
  add_warmup(app, step.warmup);
  add_repetitions(app, step.repetitions);
  add_json(app, step.json);
}

// A flag with a text that parse() reads, and a default that the help names.
template <class T, class Parse>
void add_parsed(CLI::App& app, const std::string& name, T& value, const char* type,
                const std::string& help, Parse parse) {
  app.add_option_function<std::string>(
         name, [name, &value, parse](const std::string& text) { value = parse(name, text); }, help)
      ->type_name(type)
      ->group(group);
}

void add_words(CLI::App& app, const std::string& name, std::vector<std::string>& value,
               const std::vector<std::string_view>& words, const char* what = "of",
               const char* otherwise = "all") {
  std::string help = what;
  for (const std::string_view word : words) {
    help += (word == words.front() ? " " : ", ") + std::string(word);
  }
  add_parsed(
      app, name, value, "NAME,...", help + " [" + otherwise + ']',
      [words](const auto& flag, const auto& text) { return parse_words(flag, text, words); });
}

void add_integers(CLI::App& app, const std::string& name, std::vector<std::int64_t>& value,
                  const char* help, const Limits& limits) {
  add_parsed(app, name, value, "N,...", help, [limits](const auto& flag, const auto& text) {
    return parse_integers(flag, text, limits);
  });
}

void add_ops(CLI::App& app, BenchOpsOptions& options) {
  add_words(app, "--ops", options.ops, op_names());
  add_words(app, "--precision", options.precisions, {"f32", "bf16"},
            "of conv2d and affine, each of", "f32");
  add_count(app, "--batch", options.batch, "images", a_batch);
  add_threads(app, options.threads);
  add_repetitions(app, options.repetitions);
  add_json(app, options.json);
}

void add_orthogonalize(CLI::App& app, BenchOrthogonalizeOptions& options) {
  add_parsed(app, "--matrices", options.matrices, "MxN,BxMxN,...",
             "matrices, or several of one shape [32x32 to 1024x1024, 100x1568, 512x4096, 5x64x64, "
             "3x256x256]",
             [](const auto& flag, const auto& text) { return parse_matrices(flag, text); });
  add_words(app, "--methods", options.methods, orthogonalization_names());
  add_parsed(app, "--kappa", options.kappa, "X",
             "largest by smallest singular value, which fall geometrically [10]",
             [](const auto& flag, const auto& text) {
               return parse_number(flag, text, {1, 1e6, false, "a number in 1..1e6"});
             });
  add_threads(app, options.threads);
  add_repetitions(app, options.repetitions);
  add_json(app, options.json);
}

void add_eval(CLI::App& app, BenchEvalOptions& options) {
  add_model(app, options.train);
  add_integers(app, "--batches", options.batches, "images at a time [1,32,256]", a_batch);
  add_setting(app, {"seed", "N", "of the weights [0]", group, a_seed}, options.train.seed);
  add_threads(app, options.train.threads);
  add_repetitions(app, options.repetitions);
  add_json(app, options.json);
}

void add_scaling(CLI::App& app, BenchScalingOptions& options) {
  add_step_settings(app, options.train);
  add_parsed(app, "--work", options.work, "step|evaluation",
             "what is repeated; evaluation: of one batch, by folded weights [step]",
             [](const auto& flag, const auto& text) {
               return parse_word(flag, text, {"step", "evaluation"});
             });
  add_integers(app, "--threads", options.threads,
               "numbers of threads, compared with the first [1,2]", a_thread_count);
  add_warmup(app, options.warmup);
  add_repetitions(app, options.repetitions);
  add_json(app, options.json);
}

}  // namespace

void BenchFlags::add(CLI::App& app) {
  app_ = &app;
  app.require_subcommand(0, 1);
  add_step(app, default_step_);
  add_step(subcommand(app, "step", "a training step in its parts", step_footer), step_);
  add_ops(
      subcommand(app, "ops", "the hot operations at the shapes of the models",
                 "Rates in GFLOP/s where the limit is arithmetic, as `bench step --help` counts "
                 "it; in GB/s\n(operands read and written once) where it is the memory, against "
                 "a copy of about the size."),
      ops_);
  add_orthogonalize(
      subcommand(
          app, "orthogonalize", "polar factors and Cayley transforms with their gradients",
          "polar: as layers use it; exact: by the spectrum in f64; fast: by the iteration, "
          "where it\nconverges; bjorck-20: exactly 20 steps of order 1 [Anil 2019]; cayley."),
      orthogonalize_);
  add_eval(subcommand(app, "eval", "images per second through the folded network", ""), eval_);
  add_scaling(subcommand(app, "scaling", "time, speed-up and efficiency by number of threads",
                         "Times are those that passed: measure on an idle machine."),
              scaling_);
}

BenchOptions BenchFlags::take() {
  const auto given = app_->get_subcommands();
  if (given.empty()) return {std::move(default_step_)};
  const std::string name = given.front()->get_name();
  for (const CLI::Option* option : app_->get_options()) {
    require<UsageError>(option->count() == 0, "bench: expected flags behind '", name, "', got ",
                        option->get_name(), " before it");
  }
  if (name == "step") return {std::move(step_)};
  if (name == "ops") return {std::move(ops_)};
  if (name == "orthogonalize") return {std::move(orthogonalize_)};
  if (name == "eval") return {std::move(eval_)};
  return {std::move(scaling_)};
}

}  // namespace isotape
