#include <doctest/doctest.h>
#include <vector>

#include <isotape/core/isa.hpp>

TEST_SUITE_BEGIN("core/isa");

namespace {

ISOTAPE_CLONES void add(std::size_t n, const float* x, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] += x[i];
}

}  // namespace

TEST_CASE("isa: a function compiled for several instruction sets is one function to its caller") {
  for (const std::size_t n : {0, 1, 7, 8, 100}) {
    const std::vector<float> x(n, 0.5F);
    std::vector<float> y(n, 1.0F);
    add(n, x.data(), y.data());
    CHECK(y == std::vector<float>(n, 1.5F));
  }
}

TEST_SUITE_END();
