#pragma once

#include <string>
#include <utility>
#include <vector>

namespace isotape {

/// What decides the speed and the reproducibility of a run on this machine.
struct Diagnosis {
  std::vector<std::pair<std::string, std::string>> versions;  ///< of what, and which
  std::string processor;
  std::vector<std::string> instruction_sets;  ///< those that our kernels and libraries can use
  bool has_bf16 = false;  ///< whether oneDNN multiplies bf16 by instructions for it
  int cores = 0;          ///< that this process may use
  int threads = 0;
  double load = 0;                                               ///< mean of the last minute
  double memory_gib = 0;                                         ///< of the machine
  std::vector<std::pair<std::string, std::string>> environment;  ///< variables that have effect
  bool blas_uses_openmp = true;
  std::string blas_kernels;                  ///< as OpenBLAS names them
  std::string wider_blas_kernels;            ///< empty if none are
  std::vector<std::string> openmp_runtimes;  ///< paths of those loaded
  std::vector<std::string> blas_libraries;
};

/// Looks at this process and its machine.
Diagnosis diagnose();

/// What slows a run down or makes two runs differ, with what to do about it; none if all is well.
std::vector<std::string> warnings(const Diagnosis& diagnosis);

}  // namespace isotape
