#include <doctest/doctest.h>

#include <isotape/core/blas.hpp>
#include <isotape/core/blas_kernels.hpp>

using namespace isotape;
using blas::Vectors;
using blas::wider_kernels;

TEST_SUITE_BEGIN("core/blas_kernels");

TEST_CASE("blas_kernels: a processor that OpenBLAS does not know gets kernels of its width") {
  // OpenBLAS 0.3.21 on a Xeon of the fifth generation.
  CHECK(wider_kernels("Prescott", Vectors::avx512) == "SkylakeX");
  CHECK(wider_kernels("Prescott", Vectors::avx2) == "Haswell");
  CHECK(wider_kernels("Nehalem", Vectors::avx) == "Sandybridge");
  CHECK(wider_kernels("Haswell", Vectors::avx512) == "SkylakeX");
  CHECK(wider_kernels("Zen", Vectors::avx512) == "SkylakeX");
}

TEST_CASE("blas_kernels: a good choice stands, and so does one that is not known") {
  CHECK(wider_kernels("SkylakeX", Vectors::avx512).empty());
  CHECK(wider_kernels("Haswell", Vectors::avx2).empty());
  CHECK(wider_kernels("Zen", Vectors::avx2).empty());
  CHECK(wider_kernels("Sandybridge", Vectors::avx).empty());
  CHECK(wider_kernels("Prescott", Vectors::sse).empty());
  CHECK(wider_kernels("Cooperlake", Vectors::avx512).empty());
  CHECK(wider_kernels("Neoversen1", Vectors::avx512).empty());
}

TEST_CASE("blas_kernels: the library describes itself by the name of its kernels") {
  CHECK_FALSE(blas::kernels().empty());
  CAPTURE(blas::description());
  CHECK(blas::description().find(blas::kernels()) != std::string::npos);
}
