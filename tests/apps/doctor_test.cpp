#include <doctest/doctest.h>

#include <isotape/apps/doctor.hpp>

using namespace isotape;

namespace {

Diagnosis healthy() {
  Diagnosis d;
  d.cores = 4;
  d.threads = 4;
  d.load = 0.1;
  d.openmp_runtimes = {"/lib/libgomp.so.1"};
  d.blas_libraries = {"/lib/openblas-openmp/libopenblas.so.0"};
  return d;
}

}  // namespace

TEST_SUITE_BEGIN("apps/doctor");

TEST_CASE("doctor: finds nothing wrong with a healthy installation") {
  CHECK(warnings(healthy()).empty());
}

TEST_CASE("doctor: warns of every cause of slowness it knows") {
  const auto only_warning = [](const Diagnosis& d) {
    const auto list = warnings(d);
    REQUIRE(list.size() == 1);
    return list.front();
  };
  Diagnosis d = healthy();
  d.blas_uses_openmp = false;
  CHECK(only_warning(d).starts_with("OpenBLAS has threads of its own"));
  d = healthy();
  d.blas_kernels = "Prescott";
  d.wider_blas_kernels = "SkylakeX";
  CHECK(only_warning(d) ==
        "OpenBLAS runs its kernels Prescott, which leave vector instructions of this processor "
        "unused: export OPENBLAS_CORETYPE=SkylakeX");
  d = healthy();
  d.blas_libraries.emplace_back("/lib/libblas.so.3");
  CHECK(only_warning(d).starts_with("more than one BLAS is loaded"));
  d = healthy();
  d.openmp_runtimes.emplace_back("/lib/libomp.so.5");
  CHECK(only_warning(d).starts_with("more than one OpenMP runtime"));
  d = healthy();
  d.threads = 8;
  CHECK(only_warning(d) == "8 threads share 4 cores: set OMP_NUM_THREADS or --threads to 4");
  d = healthy();
  d.load = 3;
  CHECK(only_warning(d).starts_with("others use the cores (load 3.0 on 4)"));
  d.environment = {{"OMP_WAIT_POLICY", "passive"}};
  CHECK(warnings(d).empty());
}

TEST_CASE("doctor: this very process has one BLAS and one OpenMP runtime") {
  const Diagnosis d = diagnose();
  CHECK(d.cores >= 1);
  CHECK(d.blas_libraries.size() == 1);
  CHECK(d.openmp_runtimes.size() == 1);
  for (const auto& version : d.versions) {
    CAPTURE(version.first);
    CHECK_FALSE(version.second.empty());
  }
}

TEST_SUITE_END();
