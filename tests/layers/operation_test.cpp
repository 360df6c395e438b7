#include <doctest/doctest.h>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/rounding.hpp>
#include <isotape/ops/elementwise.hpp>

#include "battery/battery.hpp"

using namespace isotape;
using namespace isotape::battery;

TEST_SUITE_BEGIN("layers/operation");

namespace {

// A layer of somebody's own.
class Twice final : public Module {
 public:
  Var forward(const Var& x) const override { return scale(x, 2); }
  Shape output_shape(const Shape& input) const override { return input; }
  std::string kind() const override { return "Twice"; }
  std::string describe() const override { return kind(); }
  Enclosure enclosure() const override { return {2, 2, "twice"}; }
  NormPreservation gnp() const override { return NormPreservation::none; }
  std::unique_ptr<Module> materialize(DType) const override { return std::make_unique<Twice>(); }
};

Shape batched(const Shape& sample) {
  std::vector<std::int64_t> extents{1};
  extents.insert(extents.end(), sample.begin(), sample.end());
  return Shape(extents);
}

Operations operations_of(const Module& module, const Shape& input) {
  Operations operations;
  module.collect_operations("layer.", input, operations);
  return operations;
}

// f32 cells of a row that are not refused.
std::vector<Cell> accepted(const Row& row) {
  std::vector<Cell> cells;
  for (const Cell& cell : pairwise_cells(row)) {
    if (cell.dtype == DType::f32 && refused_text(row, cell).empty()) cells.push_back(cell);
  }
  return cells;
}

double distance(const Tensor& a, const Tensor& b) { return frobenius_norm(sub(a, b).value()); }

// The f32 pass is off from the f64 one by no more than both bounds, and these mean something.
void check_rounding(const Module& module, const Operations& operations, const Shape& input,
                    double scale, Rng& rng) {
  CAPTURE(scale);
  const Paused paused;
  const Tensor x = random_normal(rng, batched(input), scale, DType::f32);
  const double norm = frobenius_norm(x) * (1 + 1e-12);
  const Tensor coarse = module.forward(x).value().to(DType::f64);
  const Tensor fine = module.materialize(DType::f64)->forward(x.to(DType::f64)).value();
  const Magnitude in_f32 = rounding(operations, {norm, 0}, Arithmetic::f32());
  const Magnitude in_f64 = rounding(operations, {norm, 0}, Arithmetic::f64());
  CHECK(distance(coarse, fine) <= in_f32.error + in_f64.error);
  CHECK(frobenius_norm(fine) <= in_f64.norm);
  CHECK(in_f64.error <= 1e-11 * (norm + in_f64.norm) + 1e-140);
  CHECK(in_f32.error <= 1e-2 * (norm + in_f64.norm) + 1e-15);
}

}  // namespace

TEST_CASE("operations: a layer that has none says so") {
  CHECK_THROWS_WITH_AS(operations_of(Twice(), {3}),
                       "layer (Twice): expected a layer that a certificate has an operation for, "
                       "got an input of [3] after 0 operations",
                       ValueError);
}

TEST_CASE("operations: shapes and bounds are the layer's, of every type") {
  for (const Row& row : rows()) {
    const std::string name = row.name();
    CAPTURE(name);
    REQUIRE(!accepted(row).empty());
    for (const Cell& cell : accepted(row)) {
      const std::string at = cell.text();
      CAPTURE(at);
      const std::unique_ptr<Module> module = build(row, cell, 2);
      module->prepare();
      const Operations operations = operations_of(*module, cell.input);
      CHECK((operations.empty() ? cell.input : operations.front().input) == cell.input);
      CHECK((operations.empty() ? cell.input : operations.back().output) ==
            module->output_shape(cell.input));
      const double bound = module->lipschitz_bound().value;
      CHECK(chain_bound(operations) == doctest::Approx(bound).epsilon(1e-6));
    }
  }
}

TEST_CASE("rounding: covers the f32 pass of every type, at every scale") {
  Rng rng(11);
  for (const Row& row : rows()) {
    const std::string name = row.name();
    CAPTURE(name);
    for (const Cell& cell : accepted(row)) {
      const std::string at = cell.text();
      CAPTURE(at);
      const std::unique_ptr<Module> module = build(row, cell, 3);
      module->prepare();
      const Operations operations = operations_of(*module, cell.input);
      for (const double scale : {1e-30, 1.0, 1e6}) {
        check_rounding(*module, operations, cell.input, scale, rng);
      }
    }
  }
}

TEST_CASE("rounding: nothing is vouched for where something may overflow") {
  Operation big = plain_operation("gain.", "gain", {2}, {2}, {{"value", 1e30}});
  big.bound = 1e30;
  CHECK(std::isfinite(rounding({big}, {1, 0}, Arithmetic::f64()).error));
  CHECK(std::isinf(rounding({big}, {1, 0}, Arithmetic::f32()).error));
  CHECK_THROWS_WITH_AS(
      rounding({plain_operation("x.", "magic", {2}, {2})}, {1, 0}, Arithmetic::f64()),
      "rounding: x: expected an operation with a rule, got magic", ValueError);
}

TEST_CASE("rounding: errors of layers of norm 1 add, and do not multiply") {
  Operation layer = plain_operation("fc.", "linear", {64}, {64});
  layer.absolute = 8;
  layer.terms = 64;
  const Operations ten(10, layer);
  const double one = rounding({layer}, {1, 0}, Arithmetic::f64()).error;
  CHECK(rounding(ten, {1, 0}, Arithmetic::f64()).error == doctest::Approx(10 * one).epsilon(1e-3));
}

TEST_CASE("joined_bound: sum, concat, split, convex") {
  Operation two = plain_operation("a.", "gain", {2}, {2});
  two.bound = 2;
  Operation half = two;
  half.bound = 0.5;
  Operation join = plain_operation("join.", "sum", {2}, {2});
  join.branches = {{two}, {half, half}};
  CHECK(joined_bound(join) == doctest::Approx(2.25));
  join.op = "concat";
  CHECK(joined_bound(join) == doctest::Approx(std::sqrt(4 + 0.0625)));
  join.op = "split";
  CHECK(joined_bound(join) == 2);
  join.op = "convex";
  join.absolute = 0.25;
  join.branches = {{two}};
  CHECK(joined_bound(join) == doctest::Approx(1.25));
  join.branches = {{half}};
  CHECK(joined_bound(join) == doctest::Approx(0.875));
  CHECK(joined_bound(join) >= 0.875);
}
