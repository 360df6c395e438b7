// A program of somebody else, built on isotape in both ways that tests/consumer/ tries.
#include <iostream>

#include <isotape/core/blas.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/version.hpp>

int main() {
  isotape::Rng rng(1);
  const auto sigma = isotape::singular_values(isotape::random_orthogonal(rng, {6, 4}));
  std::cout << "isotape " << isotape::version << ": " << sigma.size() << " singular values in ["
            << sigma.back() << ", " << sigma.front() << "], OpenMP BLAS "
            << isotape::blas::uses_openmp() << '\n';
}
