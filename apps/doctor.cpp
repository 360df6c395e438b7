#include <isotape/apps/doctor.hpp>

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include <isotape/apps/commands.hpp>
#include <isotape/apps/found_data.hpp>
#include <isotape/core/blas.hpp>
#include <isotape/core/blas_kernels.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/product_bf16.hpp>
#include <isotape/version.hpp>

namespace isotape {
namespace {

// "value" of the first line "key : value" of /proc/cpuinfo.
std::string processor_entry(std::string_view key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with(key) && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "";
}

std::vector<std::string> instruction_sets() {
  const std::string flags = ' ' + processor_entry("flags") + ' ';
  std::vector<std::string> found;
  for (const char* name :
       {"sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16"}) {
    if (flags.find(fmt::format(" {} ", name)) != std::string::npos) found.emplace_back(name);
  }
  return found;
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

// Paths of the loaded libraries whose file name begins with one of the names.
std::vector<std::string> loaded(std::initializer_list<std::string_view> names) {
  std::set<std::string> paths;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::size_t slash = line.find('/');
    if (slash == std::string::npos) continue;
    const std::string path = line.substr(slash);
    const std::string_view file = std::string_view(path).substr(path.rfind('/') + 1);
    const bool wanted =
        std::any_of(names.begin(), names.end(), [&](auto name) { return file.starts_with(name); });
    if (wanted) paths.insert(path);
  }
  return {paths.begin(), paths.end()};
}

std::vector<std::pair<std::string, std::string>> environment() {
  std::vector<std::pair<std::string, std::string>> found;
  for (const char* name :
       {"ISOTAPE_DATA", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES",
        "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "DNNL_MAX_CPU_ISA", "DNNL_VERBOSE"}) {
    if (const char* value = std::getenv(name)) found.emplace_back(name, value);
  }
  return found;
}

bool waits_passively(const Diagnosis& d) {
  return std::any_of(d.environment.begin(), d.environment.end(), [](const auto& entry) {
    return entry.first == "OMP_WAIT_POLICY" &&
           (entry.second == "passive" || entry.second == "PASSIVE");
  });
}

std::string joined(const std::vector<std::string>& words) {
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, " "));
}

void print_text(const Diagnosis& d, const std::vector<FoundData>& data) {
  const auto line = [](std::string_view name, std::string_view value) {
    fmt::print("{:<18}{}\n", name, value);
  };
  for (const auto& [name, value] : d.versions) line(name, value);
  line("processor", d.processor);
  line("instruction sets", joined(d.instruction_sets));
  line("bf16",
       d.has_bf16 ? "there, for train --precision bf16" : "not there: needs AVX512-BF16 or AMX");
  line("cores", fmt::format("{}, load {:.1f}", d.cores, d.load));
  line("memory", fmt::format("{:.1f} GiB", d.memory_gib));
  line("threads", std::to_string(d.threads));
  for (const auto& [name, value] : d.environment) line(name, value);
  fmt::print("\ndata sets\n");
  for (const FoundData& found : data) line("  " + found.name, found.state());
  const std::vector<std::string> list = warnings(d);
  fmt::print("\n{}\n", list.empty() ? "no warnings" : "warnings");
  for (const std::string& warning : list) fmt::print("  {}\n", warning);
}

void print_json(const Diagnosis& d, const std::vector<FoundData>& data) {
  nlohmann::ordered_json json;
  for (const auto& [name, value] : d.versions) json["versions"][name] = value;
  json["processor"] = d.processor;
  json["instruction_sets"] = d.instruction_sets;
  json["bf16"] = d.has_bf16;
  json["cores"] = d.cores;
  json["load"] = d.load;
  json["memory_gib"] = d.memory_gib;
  json["threads"] = d.threads;
  json["environment"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : d.environment) json["environment"][name] = value;
  for (const FoundData& found : data) json["datasets"][found.name] = found.state();
  json["warnings"] = warnings(d);
  fmt::print("{}\n", json.dump(2));
}

}  // namespace

Diagnosis diagnose() {
  Diagnosis d;
  d.versions = {{"isotape", std::string(version)},
                {"oneDNN", onednn_description()},
                {"OpenBLAS",
                 blas::description() + (blas::uses_openmp() ? ", OpenMP" : ", threads of its own")},
                {"compiler", __VERSION__}};
  d.processor = processor_entry("model name");
  d.instruction_sets = instruction_sets();
  d.has_bf16 = cpu_has_bf16();
  d.cores = usable_cores();
  d.threads = num_threads();
  if (::getloadavg(&d.load, 1) != 1) d.load = 0;
  d.memory_gib = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
                 static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 30);
  d.environment = environment();
  d.blas_uses_openmp = blas::uses_openmp();
  d.blas_kernels = blas::kernels();
  d.wider_blas_kernels = blas::wider_kernels(d.blas_kernels, blas::processor_vectors());
  d.openmp_runtimes = loaded({"libgomp", "libomp", "libiomp"});
  d.blas_libraries = loaded({"libopenblas", "libblas", "libmkl", "libblis", "libatlas"});
  return d;
}

std::vector<std::string> warnings(const Diagnosis& d) {
  std::vector<std::string> list;
  if (!d.blas_uses_openmp) {
    list.emplace_back(
        "OpenBLAS has threads of its own beside those of OpenMP, which slow each other down: "
        "install libopenblas-openmp-dev and build again");
  }
  if (!d.wider_blas_kernels.empty()) {
    list.push_back(fmt::format(
        "OpenBLAS runs its kernels {}, which leave vector instructions of this processor "
        "unused: export OPENBLAS_CORETYPE={}",
        d.blas_kernels, d.wider_blas_kernels));
  }
  if (d.blas_libraries.size() > 1) {
    list.push_back("more than one BLAS is loaded: " + joined(d.blas_libraries));
  }
  if (d.openmp_runtimes.size() > 1) {
    list.push_back("more than one OpenMP runtime is loaded: " + joined(d.openmp_runtimes));
  }
  if (d.threads > d.cores) {
    list.push_back(fmt::format("{} threads share {} cores: set OMP_NUM_THREADS or --threads to {}",
                               d.threads, d.cores, d.cores));
  }
  // One runnable process beside ours is enough to make spinning threads wait for each other.
  if (d.threads > 1 && d.load > 0.5 * d.cores && !waits_passively(d)) {
    list.push_back(
        fmt::format("others use the cores (load {:.1f} on {}), and idle threads spin: export "
                    "OMP_WAIT_POLICY=passive",
                    d.load, d.cores));
  }
  return list;
}

int run_doctor(const DoctorOptions& options) {
  if (options.threads) set_num_threads(static_cast<int>(*options.threads));
  const Diagnosis diagnosis = diagnose();
  const std::vector<FoundData> data = find_data(options.data);
  options.json ? print_json(diagnosis, data) : print_text(diagnosis, data);
  return 0;
}

}  // namespace isotape
