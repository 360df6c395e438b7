#pragma once

// The battery: every type of layers x shape x stride x padding x groups x dtype. rows.cpp pins what
// each registered type claims and where it refuses, cells.cpp multiplies the rows out, checks.cpp
// measures one cell. A registered type without a row fails.

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <isotape/layers/model.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape::battery {

/// One point of the product.
struct Cell {
  Shape input;           ///< of one sample
  std::int64_t out = 0;  ///< dense layers and convolutions
  std::int64_t kernel = 0;
  std::int64_t stride = 1;
  bool zero_padding = false;
  std::int64_t groups = 1;
  DType dtype = DType::f32;
  std::string text() const;
};

/// Where a type refuses a cell, and what it says then.
struct Refusal {
  std::function<bool(const Cell&)> when;
  std::function<std::string(const Cell&)> text;
};

/// A registered type, or a variant of it by fixed options, and what is claimed of it.
struct Row {
  std::string type;
  std::vector<std::pair<std::string, OptionValue>> options = {};
  /// GNP: both ends of the spectrum within `tolerance` of 1 where the operator is square and the
  /// padding circular; with zero padding the upper end only. 1-Lipschitz: the bound is at most
  /// 1 + tolerance.
  LayerProperty property = LayerProperty::gradient_norm_preserving;
  double tolerance = 1e-5;
  /// Inputs of types other than dense layers and convolutions.
  std::vector<Shape> inputs = {};
  std::vector<Refusal> refusals = {};
  /// The spectrum is known to be the dense operator's.
  bool is_affine = true;
  /// The bound follows a factor of the folded weights.
  bool is_homogeneous = true;
  /// Trained weights and folded ones agree to this.
  double fold_tolerance = 2e-5;
  /// Its gradient with respect to the parameters is that of another function, or is checked
  /// elsewhere: then only the input's is compared.
  bool parameter_gradient = true;
  /// Cells whose weights stay on kinks: there, too, only the input's is compared.
  std::function<bool(const Cell&)> stays_on_kinks = {};
  /// While parameters are recorded it sees the batch, and running statistics else.
  bool batch_statistics = false;
  /// Those within a composition, and a word for its name.
  std::vector<LayerSpec> layers = {};
  std::string variant = {};
  std::string name() const;
};

const std::vector<Row>& rows();
std::vector<Row> dense_rows();
std::vector<Row> convolution_rows();
std::vector<Row> pointwise_rows();
std::vector<Row> composition_rows();
/// One list behind the other.
std::vector<Row> joined(const std::vector<std::vector<Row>>& lists);

/// All cells of a row, or a subset that holds every pair of values of two axes.
std::vector<Cell> all_cells(const Row& row);
std::vector<Cell> pairwise_cells(const Row& row);

/// The layer of a cell as a model file has it.
LayerSpec spec_of(const Row& row, const Cell& cell);
/// The layer of a cell, seeded. @throws what the type refuses it with
std::unique_ptr<Module> build(const Row& row, const Cell& cell, std::uint64_t seed);
/// The pinned text of a refusal, or none.
std::string refused_text(const Row& row, const Cell& cell);

/// Each checks one property of a layer of this cell by doctest assertions.
void check_jacobian(const Row& row, const Cell& cell);
void check_enclosure(const Row& row, const Cell& cell);
void check_spectrum(const Row& row, const Cell& cell);
void check_folding(const Row& row, const Cell& cell);
void check_plain_copy(const Row& row, const Cell& cell);
void check_gradient(const Row& row, const Cell& cell);
void check_adjoint(const Row& row, const Cell& cell);
void check_batch(const Row& row, const Cell& cell);
void check_pairs(const Row& row, const Cell& cell);
void check_file(const Row& row, const Cell& cell);
void check_faults(const Row& row, const Cell& cell);

}  // namespace isotape::battery
