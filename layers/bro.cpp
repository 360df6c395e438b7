#include <isotape/layers/bro.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/block_reflector.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reshape.hpp>
#include <isotape/ops/spectral_bound.hpp>

namespace isotape {
namespace {

std::unique_ptr<Module> build(Site& site) {
  const std::int64_t in = input_extent(site);
  const std::int64_t out = output_extent(site);
  const std::int64_t n = std::max(in, out);
  const std::int64_t rank = site.options.integer("rank", 0);
  require<ValueError>(0 <= rank && rank <= n, site.place(), ": expected rank in 0..", n,
                      " (0: half of that), got ", rank);
  return std::make_unique<BroLinear>(in, out, rank, site.rng, site.options.boolean("bias", true));
}

}  // namespace

constinit const LayerType bro_type = {
    .type = "bro",
    .kind = LayerKind::dense,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "out, bias, rank",
    .description =
        "dense layer with rows and columns of a block reflector of any rank, by default half its "
        "extent",
    .cost = "2 n^2 r + 2 n r^2, n = max(in, out), r = rank",
    .source = "Lai 2025",
    .build = build,
};

BroLinear::BroLinear(std::int64_t in, std::int64_t out, std::int64_t rank, Rng& rng, bool with_bias)
    : in_(in), out_(out), derived_([in, out](const Vars& v) -> Vars {
        return {slice(slice(block_reflector(v[0]), 0, 0, out), 1, 0, in)};
      }) {
  const std::int64_t n = std::max(in, out);
  require<ValueError>(in >= 1 && out >= 1 && 0 <= rank && rank <= n,
                      "bro: expected extents >= 1 and rank in 0..", n, ", got ", in, " -> ", out,
                      ", rank ", rank);
  raw_ = Parameter(random_normal(rng, {n, rank > 0 ? rank : std::max<std::int64_t>(1, n / 2)},
                                 1 / std::sqrt(static_cast<double>(n))));
  raw_.decays = false;
  if (with_bias) {
    const double limit = 1 / std::sqrt(static_cast<double>(in));
    bias_ = Parameter(random_uniform(rng, {out}, -limit, limit));
  }
}

Var BroLinear::forward(const Var& x) const {
  return affine(x, derived_.get({&raw_})[0], bias_ ? bias_.var() : Var(), Tape::active_precision());
}

Unbiased BroLinear::forward_unbiased(const Var& x) const {
  return {affine(x, derived_.get({&raw_})[0], {}, Tape::active_precision()),
          bias_ ? bias_.var() : Var()};
}

Shape BroLinear::output_shape(const Shape& input) const {
  require<ShapeError>(input == Shape{in_}, "bro: expected input [", in_, "], got ", input);
  return {out_};
}

std::string BroLinear::describe() const {
  return message("BroLinear ", in_, " -> ", out_, ", rank ", raw_.value().dim(1));
}

Enclosure BroLinear::enclosure() const {
  require_finite_bias("bro", bias_);
  return matrix_enclosure("bro", folded());
}

std::optional<DenseMap> BroLinear::dense_map() const { return DenseMap{folded()}; }

NormPreservation BroLinear::gnp() const {
  if (in_ == out_) return NormPreservation::both;
  return out_ < in_ ? NormPreservation::backward : NormPreservation::forward;
}

Spectrum BroLinear::spectrum(const Shape& input) const {
  output_shape(input);
  return {singular_values(folded()), "SVD of the weight"};
}

Residual BroLinear::residual() const {
  return {isometry_defect_bound(folded()), "proved |W^T W - I|, smaller side"};
}

std::unique_ptr<Module> BroLinear::materialize(DType dtype) const {
  Rng unused;
  auto plain = std::make_unique<Linear>(in_, out_, Unconstrained{}, unused, bool(bias_));
  const ParameterList parameters = plain->parameters();
  parameters[0].parameter->write() = folded().to(dtype);
  if (bias_) parameters[1].parameter->write() = bias_.value().to(dtype);
  return plain;
}

void BroLinear::collect_operations(const std::string& prefix, const Shape& input,
                                   Operations& operations) const {
  output_shape(input);
  operations.push_back(
      linear_operation(prefix, folded(), bias_ ? bias_.value() : Tensor(), enclosure()));
}

void BroLinear::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + "raw", &raw_});
  if (bias_) parameters.push_back({prefix + "bias", &bias_});
}

void BroLinear::collect_folded(const std::string& prefix,
                               std::vector<NamedTensor>& folded_list) const {
  folded_list.push_back({prefix + "weight", folded()});
}

}  // namespace isotape
