#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include <isotape/apps/cli.hpp>
#include <isotape/apps/commands.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/core/blas.hpp>
#include <isotape/core/blas_kernels.hpp>

namespace {

using namespace isotape;

template <class Options, int (*run)(const Options&)>
int call(const CommandOptions& options) {
  return run(std::get<Options>(options));
}

struct Command {
  std::string_view name;
  std::size_t alternative;  // of CommandOptions
  int (*run)(const CommandOptions&);
};

template <class Options, int (*run)(const Options&)>
Command command(std::string_view name) {
  return {name, CommandOptions(Options{}).index(), call<Options, run>};
}

// What the program offers, in the order of the help.
const std::vector<Command>& commands() {
  static const std::vector<Command> list = {
      command<TrainOptions, run_train>("train"),
      command<EvalOptions, run_eval>("eval"),
      command<AuditOptions, run_audit>("audit"),
      command<CertifyOptions, run_certify>("certify"),
      command<StudyOptions, run_study>("study"),
      command<BenchOptions, run_bench>("bench"),
      command<ExportOptions, run_export>("export"),
      command<VerifyOptions, run_verify>("verify"),
      command<ModelsOptions, run_models>("models"),
      command<LayersOptions, run_layers>("layers"),
      command<DatasetsOptions, run_datasets>("datasets"),
      command<DoctorOptions, run_doctor>("doctor"),
  };
  return list;
}

int run(const std::vector<std::string>& arguments) {
  std::vector<std::string_view> names;
  for (const Command& command : commands()) names.push_back(command.name);
  const CommandOptions options = parse_command_line(arguments, names);
  if (const auto* request = std::get_if<TextRequest>(&options)) {
    std::fputs(request->text.c_str(), stdout);
    return exit_ok;
  }
  for (const Command& command : commands()) {
    if (command.alternative == options.index()) return command.run(options);
  }
  throw UsageError("expected a command");
}

// libgomp reads its wait policy when it is loaded, and by default its threads spin while they wait,
// which on a machine shared with others costs a multiple of the work.
bool set_passive_waiting() {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) {
    return false;
  }
  return setenv("OMP_WAIT_POLICY", "passive", 1) == 0;
}

// OpenBLAS chooses its kernels when it is loaded, too.
bool set_wider_kernels() {
  if (std::getenv("OPENBLAS_CORETYPE") != nullptr) return false;
  const std::string name(blas::wider_kernels(blas::kernels(), blas::processor_vectors()));
  return !name.empty() && setenv("OPENBLAS_CORETYPE", name.c_str(), 1) == 0;
}

// What was chosen in the environment stands; else the program starts itself once more with what is
// better, which takes some 10 ms.
void choose_for_libraries(char** argv) {
  const bool waits = set_passive_waiting();
  const bool widens = set_wider_kernels();
  if (waits || widens) execv("/proc/self/exe", argv);
  // Where it cannot, it goes on as it is: slower, and right all the same.
}

}  // namespace

int main(int argc, char** argv) {
  choose_for_libraries(argv);
  try {
    const int code = run({argv + 1, argv + argc});
    require<IoError>(std::fflush(stdout) == 0 && std::ferror(stdout) == 0,
                     "standard output: cannot be written");
    return code;
  } catch (...) {
    return report_exception(std::cerr);
  }
}
