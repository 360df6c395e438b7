#include <isotape/apps/cli.hpp>

#include <CLI/CLI.hpp>
#include <algorithm>

#include <isotape/apps/attack_report.hpp>
#include <isotape/apps/bench/flags.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/flags.hpp>
#include <isotape/apps/help_formatter.hpp>
#include <isotape/apps/run_config.hpp>
#include <isotape/apps/study/studies.hpp>
#include <isotape/apps/suggestion.hpp>
#include <isotape/apps/train_settings.hpp>
#include <isotape/optim/training_loss.hpp>
#include <isotape/version.hpp>

namespace isotape {
namespace {

// Options of all subcommands: CLI11 fills those of the one that is given.
struct AllOptions {
  TrainOptions train;
  std::string config;  // of train
  EvalOptions eval;
  AuditOptions audit;
  CertifyOptions certify;
  ExportOptions export_;
  VerifyOptions verify;
  ModelsOptions models;
  LayersOptions layers;
  DatasetsOptions datasets;
  DoctorOptions doctor;
  BenchFlags bench;
  StudyOptions study;
};

// Options that several subcommands share.
void add_run(CLI::App& app, std::string& run, const char* what = "folder of a run") {
  app.add_option("RUN", run, what)->required()->type_name("");
}
void add_dataset(CLI::App& app, std::optional<std::string>& dataset,
                 std::optional<std::string>& data) {
  add_setting(app, {"dataset", "NAME", "[the run's]", "Options"}, dataset);
  add_setting(app, {"data", "DIR", "folder searched first for its files [the run's]", "Options"},
              data);
}

std::string losses_text() {
  std::string text =
      "\nLosses, with R = margin / sqrt(2) in units of the input; others but cross-entropy want a "
      "net whose\nLipschitz constant is bounded:\n";
  for (const LossInfo& info : loss_infos()) {
    text += "  " + std::string(info.name) +
            (info.options.empty() ? "" : ":" + std::string(info.options)) + "\n      " +
            std::string(info.description) + '\n';
  }
  return text;
}

void add_train(CLI::App& app, AllOptions& all) {
  TrainOptions& train = all.train;
  for_each_setting(train,
                   [&](const Setting& setting, auto& value) { add_setting(app, setting, value); });
  const auto invocation = "This invocation";
  app.add_option("--config", all.config,
                 "settings by the names of the flags above, which override them; the config.toml "
                 "of a run is one")
      ->type_name("FILE.toml")
      ->group(invocation);
  app.add_option("--out", train.out, "folder of the run [runs/MODEL-DATASET-N]")
      ->type_name("RUN")
      ->group(invocation);
  app.add_option("--resume", train.resume, "continue an interrupted run as it was configured")
      ->type_name("RUN")
      ->group(invocation);
  add_setting(
      app,
      {"max-steps", "N", "save and stop after N steps; --resume continues", invocation, a_count},
      train.max_steps);
  app.add_flag("--quiet", train.quiet, "no progress")->group(invocation);
  app.add_flag("--json", train.json, "print the last figures as JSON")->group(invocation);
  app.footer(app.get_footer() + losses_text());
}

void add_eval(CLI::App& app, AllOptions& all) {
  EvalOptions& eval = all.eval;
  add_run(app, eval.run);
  add_dataset(app, eval.dataset, eval.data);
  add_setting(app, {"eps", "X,...", "l2 radii to certify, as in 0.3,36/255 [the run's]", "Options"},
              eval.eps);
  add_setting(app, {"batch", "N", "images at a time [500]", "Options", a_batch}, eval.batch);
  add_threads(app, eval.threads);
  add_json(app, eval.json);
  const auto attacks = "Attacks";
  add_setting(app,
              {"attack", "A;...",
               "attacks by name with options, as in 'pgd:steps=200;fgsm'; exit 3 "
               "if one succeeds within a certified radius",
               attacks},
              eval.attack);
  add_setting(app, {"attack-images", "N", "attack the first N test images [all]", attacks, a_count},
              eval.attack_images);
  add_setting(app, {"attack-seed", "N", "of random starts and directions [0]", attacks, a_seed},
              eval.attack_seed);
  app.footer(app.get_footer() + attacks_help());
}

void add_audit(CLI::App& app, AllOptions& all) {
  AuditOptions& audit = all.audit;
  add_run(app, audit.run);
  add_dataset(app, audit.dataset, audit.data);
  add_threads(app, audit.threads);
  add_json(app, audit.json);
  app.add_flag("--html", audit.html, "write RUN/report.html anew");
  app.add_flag("--lipsdp", audit.lipsdp,
               "bound a small net of dense layers and relu by diagonal multipliers, too");
}

void add_certify(CLI::App& app, AllOptions& all) {
  CertifyOptions& certify = all.certify;
  add_run(app, certify.run);
  app.add_option("--out", certify.out, "certificate to write")->required()->type_name("CERT");
  add_dataset(app, certify.dataset, certify.data);
  add_setting(app,
              {"eps", "X,...", "l2 radii of the table, as in 0.3,36/255 [the run's]", "Options"},
              certify.eps);
  add_setting(app, {"images", "N", "the first N test images [all]", "Options", a_count},
              certify.images);
  add_threads(app, certify.threads);
  add_json(app, certify.json);
}

void add_export(CLI::App& app, AllOptions& all) {
  ExportOptions& options = all.export_;
  add_run(app, options.run, "folder of a run, or a file that holds a model");
  const auto set_format = [&options](const std::string& text) {
    options.to = parse_word("--to", text, {"safetensors"});
  };
  app.add_option_function<std::string>("--to", set_format, "format of the file")
      ->required()
      ->type_name("safetensors");
  app.add_option("--out", options.out, "file to write")->required()->type_name("FILE");
  add_json(app, options.json);
}

void add_verify(CLI::App& app, AllOptions& all) {
  VerifyOptions& verify = all.verify;
  app.add_option("CERT", verify.certificate, "certificate")->required()->type_name("");
  app.add_option("--weights", verify.weights, "the safetensors file that it is about")
      ->required()
      ->type_name("FILE");
  app.add_option("--data", verify.data,
                 "folder of the test images: recompute their logits, too, in minutes")
      ->type_name("DIR");
  add_json(app, verify.json);
}

void add_models(CLI::App& app, AllOptions& all) {
  ModelsOptions& models = all.models;
  app.add_option("NAME", models.name, "print the layers of this model (or model file)")
      ->type_name("NAME|FILE");
  const auto set_input = [&models](const std::string& text) {
    models.input = parse_extents("--input", text);
  };
  app.add_option_function<std::string>("--input", set_input, "shape of an image [28x28x1]")
      ->type_name("HxWxC");
  const auto set_classes = [&models](const std::string& text) {
    models.classes = parse_integer("--classes", text, a_count);
  };
  app.add_option_function<std::string>("--classes", set_classes, "number of logits [10]")
      ->type_name("N");
  app.add_flag("--toml", models.toml, "print NAME as a model file, to copy and change");
  add_json(app, models.json);
}

void add_bench(CLI::App& app, AllOptions& all) { all.bench.add(app); }

std::string studies_text() {
  std::string text = "\nStudies:\n";
  for (const Study* study : studies()) {
    text += message("  ", study->name, ": ", study->description, "\n", study->help, "\n\n");
  }
  return text;
}

void add_study(CLI::App& app, AllOptions& all) {
  StudyOptions& study = all.study;
  app.add_option("NAME", study.name, "of a study, see below")->type_name("");
  app.add_option("--out", study.out,
                 "folder for results.jsonl and report.html; goes on with what it holds [runs/NAME]")
      ->type_name("DIR");
  app.add_option("--resume", study.resume, "continue the study of this folder as it was begun")
      ->type_name("DIR");
  app.add_flag("--full", study.full, "the scale of the papers: hours");
  add_setting(app, {"dataset", "NAME", "[the study's]", "Options"}, study.dataset);
  add_setting(app, {"data", "DIR", "folder searched first for its files", "Options"}, study.data);
  add_setting(app, {"seed", "N", "[0]", "Options", a_seed}, study.seed);
  add_threads(app, study.threads);
  add_json(app, study.json);
  app.footer(app.get_footer() + studies_text());
}

void add_layers(CLI::App& app, AllOptions& all) { add_json(app, all.layers.json); }

void add_datasets(CLI::App& app, AllOptions& all) {
  app.add_option("--data", all.datasets.data, "folder searched first for files")->type_name("DIR");
  add_json(app, all.datasets.json);
}

void add_doctor(CLI::App& app, AllOptions& all) {
  app.add_option("--data", all.doctor.data, "folder searched first for data sets")
      ->type_name("DIR");
  add_threads(app, all.doctor.threads);
  add_json(app, all.doctor.json);
}

struct Command {
  std::string_view name;
  std::string_view description;
  std::string_view footer;
  void (*add)(CLI::App&, AllOptions&);
  CommandOptions (*take)(AllOptions&);
};

template <auto member>
CommandOptions take(AllOptions& all) {
  return std::move(all.*member);
}

// A run that is resumed keeps its settings; its data may have moved.
void check_resumed(const AllOptions& all) {
  std::string given = all.config.empty() ? all.train.out.empty() ? "" : "out" : "config";
  for_each_setting(all.train, [&](const Setting& setting, const auto& value) {
    if (value && setting.name != "data" && setting.name != "threads") given = setting.name;
  });
  require<UsageError>(given.empty(), "train: expected no --", given,
                      " with --resume, which continues a run as it was configured");
}

CommandOptions take_train(AllOptions& all) {
  TrainOptions& train = all.train;
  if (!train.resume.empty()) check_resumed(all);
  if (!all.config.empty()) read_config(all.config, train);
  return std::move(train);
}

constexpr Command known_commands[] = {
    {"train", "train a network into a run folder",
     "Example:\n  isotape train --model bcop-small --dataset mnist --data data --epochs 5\n"
     "The run folder holds config.toml, metrics.jsonl, model.safetensors, state.safetensors, "
     "env.json\nand report.html. Ctrl-C saves and exits 130; --resume RUN continues, bit for bit.",
     add_train, take_train},
    {"eval", "clean and certified accuracy of a run on the test images, and under attack",
     "Example:\n  isotape eval runs/bcop-small-mnist-1 --eps 0.3,1.58 --json\n"
     "  isotape eval runs/bcop-small-mnist-1 --attack 'pgd:steps=200;deepfool' --attack-images 100",
     add_eval, take<&AllOptions::eval>},
    {"audit", "singular values, bounds and gradient norms by layer",
     "Exits 3 if a layer breaks its claim.", add_audit, take<&AllOptions::audit>},
    {"certify", "what is proved of a run, in a file that others can check",
     "Example:\n  isotape certify runs/bcop-small-mnist-1 --out small.cert\n"
     "  isotape verify small.cert --weights runs/bcop-small-mnist-1/model.safetensors\n"
     "docs/certificate.md tells what the file holds and why it is a proof.",
     add_certify, take<&AllOptions::certify>},
    {"study", "an experiment on a grid of parameters, with a report",
     "Example:\n  isotape study robustness-law --out runs/law\n"
     "Each cell of the grid is a line of results.jsonl, written at once. Ctrl-C writes the report "
     "of what\nthere is and exits 130; the same command, or --resume DIR, goes on.",
     add_study, take<&AllOptions::study>},
    {"bench", "time, memory and work of training, evaluation and the parts of them",
     "Without a COMMAND it measures a training step. Flags follow the COMMAND.\n"
     "Example:\n  isotape bench step --model bcop-large --dataset cifar10 --threads 1 --json",
     add_bench, [](AllOptions& all) { return CommandOptions(all.bench.take()); }},
    {"export", "weights folded anew from the raw tensors, for other programs",
     "Example:\n  isotape export runs/bcop-small-mnist-1 --to safetensors --out "
     "weights.safetensors",
     add_export, take<&AllOptions::export_>},
    {"verify", "check a certificate against the weights that it is about",
     "Derives every line of the proof anew, with code of its own: digests, shapes, singular "
     "values, "
     "bounds,\nrounding errors, radii and tables; with --data also pixels, labels and logits, "
     "which "
     "are else taken as\nrecorded. Prints one line. Exits 0 if the certificate holds, 3 if a line "
     "of it "
     "fails, 4 if a file is missing.\n"
     "Example:\n  isotape verify mnist.cert --weights weights.safetensors --data data",
     add_verify, take<&AllOptions::verify>},
    {"models", "models known by name, and their layers",
     "Example:\n  isotape models bcop-small --toml > mine.toml\n  isotape train --model mine.toml",
     add_models, take<&AllOptions::models>},
    {"layers", "types of layers for model files, with their options", "", add_layers,
     take<&AllOptions::layers>},
    {"datasets", "data sets known by name, and where their files are", "", add_datasets,
     take<&AllOptions::datasets>},
    {"doctor", "versions, processor, threads and data, with warnings", "", add_doctor,
     take<&AllOptions::doctor>},
};

const Command& command_of(std::string_view name) {
  const auto* found = std::find_if(std::begin(known_commands), std::end(known_commands),
                                   [&](const Command& command) { return command.name == name; });
  require<UsageError>(found != std::end(known_commands), "expected a command, got '", name, "'");
  return *found;
}

std::vector<std::string> names_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const CLI::App* sub : app.get_subcommands({})) names.push_back(sub->get_name());
  return names;
}

// What CLI11 refuses, in our words.
[[noreturn]] void refuse(const CLI::App& app, const CLI::ParseError& error) {
  const bool top = app.get_parent() == nullptr;
  std::string path;  // "bench step"
  for (const CLI::App* at = &app; at->get_parent() != nullptr; at = at->get_parent()) {
    path.insert(0, at->get_name() + (path.empty() ? "" : " "));
  }
  const std::string name = top ? "" : path + ": ";
  const std::string see = "; see `isotape " + path + (top ? "" : " ") + "--help`";
  const std::vector<std::string> unknown = app.remaining();
  if (!unknown.empty()) {
    const std::string word = unknown.front().substr(0, unknown.front().find('='));
    const std::string_view kind = word.front() == '-' ? "flag" : top ? "command" : "argument";
    const std::string nearest = did_you_mean(word, names_of(app));
    throw UsageError(
        message(name, "unknown ", kind, " '", word, "'", nearest.empty() ? see : nearest));
  }
  if (top) throw UsageError("expected a command" + see);
  throw UsageError(name + error.what() + see);
}

}  // namespace

CommandOptions parse_command_line(const std::vector<std::string>& arguments,
                                  const std::vector<std::string_view>& commands) {
  AllOptions all;
  CLI::App app("Norm-preserving networks with provable bounds, on a CPU.", "isotape");
  app.formatter(help_formatter());
  app.set_help_flag("-h,--help", "print this and stop");
  app.set_version_flag("--version", "isotape " + std::string(version),
                       "print the version and stop");
  app.require_subcommand(1);
  app.footer(
      "`isotape COMMAND --help` tells the options of a command.\n"
      "Exit codes: 0 fine, 1 error at run time, 2 usage, 3 a check failed, 4 data missing or "
      "corrupt, 130 interrupted.");
  for (const std::string_view name : commands) {
    const Command& command = command_of(name);
    CLI::App* sub = app.add_subcommand(std::string(name), std::string(command.description));
    sub->footer(std::string(command.footer));
    sub->group("Commands");
    command.add(*sub, all);
  }

  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::CallForVersion& request) {
    return TextRequest{std::string(request.what()) + '\n'};
  } catch (const CLI::Success&) {
    return TextRequest{app.help()};
  } catch (const CLI::ParseError& error) {
    const CLI::App* given = &app;
    while (!given->get_subcommands().empty()) given = given->get_subcommands().front();
    refuse(*given, error);
  }
  return command_of(app.get_subcommands().front()->get_name()).take(all);
}

}  // namespace isotape
