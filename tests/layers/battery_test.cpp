// One battery of tests for every type of layers that `isotape layers` prints; see battery/.

#include <doctest/doctest.h>
#include <algorithm>
#include <iostream>

#include <isotape/core/error.hpp>
#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/module.hpp>

#include "battery/battery.hpp"

using namespace isotape;
using namespace isotape::battery;

namespace {

// Whether the cell is refused, as pinned.
bool is_refused(const Row& row, const Cell& cell) {
  const std::string expected = refused_text(row, cell);
  std::string found;
  try {
    build(row, cell, 1);
  } catch (const Error& error) {
    found = error.what();
  }
  CAPTURE(expected);
  CAPTURE(found);
  CHECK(found.empty() == expected.empty());
  CHECK(found.find(expected) != std::string::npos);
  return !found.empty();
}

void check(const Row& row, const Cell& cell) {
  check_jacobian(row, cell);
  check_enclosure(row, cell);
  check_spectrum(row, cell);
  check_folding(row, cell);
  check_plain_copy(row, cell);
  check_gradient(row, cell);
  check_adjoint(row, cell);
  check_batch(row, cell);
  check_pairs(row, cell);
  check_file(row, cell);
  check_faults(row, cell);
}

void run(const Row& row, const std::vector<Cell>& cells) {
  const std::string name = row.name();
  CAPTURE(name);
  std::size_t refused = 0;
  for (const Cell& cell : cells) {
    const std::string at = cell.text();
    CAPTURE(at);
    if (is_refused(row, cell)) {
      ++refused;
    } else {
      check(row, cell);
    }
  }
  CHECK(refused < cells.size());
  std::cout << "battery: " << name << ": " << cells.size() - refused << " cells run, " << refused
            << " refused\n";
}

}  // namespace

TEST_SUITE_BEGIN("layers/battery");

TEST_CASE("battery: every registered type has a row, with the property it states") {
  for (const LayerType* type : layer_types()) {
    CAPTURE(type->type);
    const auto row = std::find_if(rows().begin(), rows().end(),
                                  [&](const Row& r) { return r.type == type->type; });
    CHECK(row != rows().end());
    CHECK_FALSE(type->description.empty());
  }
  for (const Row& row : rows()) {
    CAPTURE(row.type);
    REQUIRE(find_layer_type(row.type) != nullptr);
  }
}

TEST_CASE("battery: cells with every pair of values of two axes") {
  for (const Row& row : rows()) {
    const std::string name = row.name();
    SUBCASE(name.c_str()) { run(row, pairwise_cells(row)); }
  }
}

TEST_CASE("conv2d: without a circulant operator, a large one is not measured but bounded") {
  Rng rng(5);
  const Conv2d zero(3, 8, 3, Unconstrained{}, rng, {.padding_mode = PadMode::zero});
  CHECK(zero.spectrum({6, 6, 3}).method == "SVD of the dense operator by impulse response");
  const Spectrum large = zero.spectrum({32, 32, 3});
  CHECK(large.sigma.empty());
  CHECK(large.method == "not measured: no circulant operator, and too large for a dense matrix");
  CHECK_THROWS_WITH_AS(zero.spectrum({6, 6, 4}), "conv2d: expected input [H, W, 3], got [6, 6, 4]",
                       ShapeError);
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("slow/battery");

TEST_CASE("battery: all cells") {
  for (const Row& row : rows()) {
    const std::string name = row.name();
    SUBCASE(name.c_str()) { run(row, all_cells(row)); }
  }
}

TEST_SUITE_END();
