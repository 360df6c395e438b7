#include <isotape/apps/bench/process_memory.hpp>

#include <malloc.h>
#include <fstream>
#include <string>

namespace isotape {

double peak_resident_mb() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) * 1024 * 1e-6;  // in KiB
  }
  return 0;
}

bool reset_peak_resident() {
  ::malloc_trim(0);
  std::ofstream file("/proc/self/clear_refs");
  file << "5";  // the high-water mark alone, proc(5)
  file.flush();
  return static_cast<bool>(file);
}

}  // namespace isotape
