#pragma once

/// Compiles a function for several instruction sets, of which the loader picks the best that the
/// processor has: for the innermost loops, in files of kernels. What the function calls is compiled
/// with it only where it is inlined. Rounding does not depend on the choice as long as products and
/// sums are not contracted: compile such files with -ffp-contract=off.
///
/// Absent where the compiler or the system cannot, and under sanitizers, whose runtime is not yet
/// up when the loader asks.
#if defined(__x86_64__) && defined(__ELF__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define ISOTAPE_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define ISOTAPE_CLONES
#endif
