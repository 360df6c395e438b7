#pragma once

#include <string_view>

namespace isotape::blas {

// Which kernels OpenBLAS runs. It chooses them when it is loaded, by the model of the processor, or
// by the variable OPENBLAS_CORETYPE. One that is older than the processor may take it for the
// oldest there is: 0.3.21 runs kernels of SSE3 on a Xeon with AMX, a sixth as fast.

/// Vector instructions of x86-64 for which OpenBLAS has kernels.
enum class Vectors { sse, avx, avx2, avx512 };

/// The widest that this processor and its system offer.
Vectors processor_vectors();

/// The value of OPENBLAS_CORETYPE with which OpenBLAS uses wider vectors than its kernels of this
/// name do; empty if it uses the widest, or if nothing is known of the name.
std::string_view wider_kernels(std::string_view kernels, Vectors offered);

}  // namespace isotape::blas
