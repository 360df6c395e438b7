#include <isotape/core/blas_kernels.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace isotape::blas {
namespace {

// Kernels by the vectors that they need, as OpenBLAS names them (driver/others/dynamic.c).
constexpr std::array<std::pair<std::string_view, Vectors>, 24> known = {
    {{"Katmai", Vectors::sse},       {"Coppermine", Vectors::sse},  {"Northwood", Vectors::sse},
     {"Prescott", Vectors::sse},     {"Banias", Vectors::sse},      {"Atom", Vectors::sse},
     {"Core2", Vectors::sse},        {"Penryn", Vectors::sse},      {"Dunnington", Vectors::sse},
     {"Nehalem", Vectors::sse},      {"Athlon", Vectors::sse},      {"Opteron", Vectors::sse},
     {"Opteron_SSE3", Vectors::sse}, {"Barcelona", Vectors::sse},   {"Nano", Vectors::sse},
     {"Bobcat", Vectors::sse},       {"Sandybridge", Vectors::avx}, {"Bulldozer", Vectors::avx},
     {"Piledriver", Vectors::avx},   {"Steamroller", Vectors::avx}, {"Haswell", Vectors::avx2},
     {"Zen", Vectors::avx2},         {"Excavator", Vectors::avx2},  {"SkylakeX", Vectors::avx512}}};

}  // namespace

Vectors processor_vectors() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return Vectors::avx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Vectors::avx2;
  if (__builtin_cpu_supports("avx")) return Vectors::avx;
#endif
  return Vectors::sse;
}

std::string_view wider_kernels(std::string_view kernels, Vectors offered) {
  const auto* const found = std::find_if(known.begin(), known.end(),
                                         [&](const auto& entry) { return entry.first == kernels; });
  if (found == known.end() || found->second >= offered) return "";
  switch (offered) {
    case Vectors::avx512:
      return "SkylakeX";
    case Vectors::avx2:
      return "Haswell";
    case Vectors::avx:
      return "Sandybridge";
    case Vectors::sse:
      break;
  }
  return "";
}

}  // namespace isotape::blas
