#include <isotape/layers/fourier_conv.hpp>

#include <cmath>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/layers/frequency_bound.hpp>
#include <isotape/layers/frequency_operation.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/matmul_complex.hpp>
#include <isotape/ops/rescale.hpp>

namespace isotape {
namespace {

constexpr std::string_view op = "fourier-conv";

Derived maker(const Torus& torus, const FrequencyMap* map) {
  return Derived([torus, map](const Vars& p) -> Vars {
    if (map == nullptr) return {p[0]};
    return {map->apply(torus.symbol(map->learns_length ? rescale(p[0], p[1]) : p[0]))};
  });
}

}  // namespace

FourierConv2d::FourierConv2d(const Torus& torus, std::int64_t c_out, int kernel,
                             const FrequencyMap& map, Rng& rng, bool with_bias)
    : torus_(torus), c_out_(c_out), k_(kernel), map_(&map), derived_(maker(torus, &map)) {
  require<ValueError>(c_out >= 1 && kernel >= 1, op, ": expected channels and kernel >= 1, got ",
                      c_out, " and ", kernel);
  torus.check(op, {torus.height, torus.width, torus.channels});
  const std::int64_t k = unshuffled_kernel(kernel, torus.stride);
  const double limit = 1 / std::sqrt(static_cast<double>(torus.unshuffled() * k * k));
  raw_ = Parameter(random_uniform(rng, {c_out, k, k, torus.unshuffled()}, -limit, limit));
  if (map.learns_length) length_ = Parameter(Tensor::full({1}, frobenius_norm(raw_.value())));
  if (with_bias) bias_ = Parameter(random_uniform(rng, {c_out}, -limit, limit));
}

FourierConv2d::FourierConv2d(const Torus& torus, Tensor symbol, Tensor bias)
    : torus_(torus),
      c_out_(symbol.dim(2)),
      k_(0),
      map_(nullptr),
      raw_(std::move(symbol)),
      derived_(maker(torus, nullptr)) {
  if (bias) bias_ = Parameter(std::move(bias));
}

std::vector<Parameter*> FourierConv2d::sources() const {
  std::vector<Parameter*> list{&raw_};
  if (length_) list.push_back(&length_);
  return list;
}

Var FourierConv2d::symbol() const { return derived_.get(sources())[0]; }
Tensor FourierConv2d::folded_symbol() const { return derived_.folded(sources())[0]; }

Unbiased FourierConv2d::forward_unbiased(const Var& x) const {
  return {torus_.image(matmul_complex(torus_.spectrum(op, x), symbol())),
          bias_ ? bias_.var() : Var()};
}

Var FourierConv2d::forward(const Var& x) const {
  const Unbiased y = forward_unbiased(x);
  return y.bias ? add(y.value, y.bias) : y.value;
}

Shape FourierConv2d::output_shape(const Shape& input) const {
  torus_.check(op, input);
  return {torus_.rows(), torus_.columns(), c_out_};
}

std::string FourierConv2d::describe() const {
  const std::string size =
      message(torus_.channels, " -> ", c_out_, " on ", torus_.height, " x ", torus_.width);
  if (map_ == nullptr) return message("FourierConv2d ", size, ", stride ", torus_.stride);
  return message("FourierConv2d ", size, " (", map_->name, "), kernel ", k_, ", stride ",
                 torus_.stride, ", circular padding");
}

Enclosure FourierConv2d::enclosure() const {
  require_finite_bias(op, bias_);
  Enclosure found = frequency_enclosure(folded_symbol(), torus_.rows(), torus_.columns());
  found.rule = "least and largest proved limits of the matrices at each frequency";
  return found;
}

NormPreservation FourierConv2d::gnp() const {
  if (map_ == nullptr) return NormPreservation::none;
  if (torus_.unshuffled() == c_out_) return NormPreservation::both;
  return c_out_ < torus_.unshuffled() ? NormPreservation::backward : NormPreservation::forward;
}

Spectrum FourierConv2d::spectrum(const Shape& input) const {
  output_shape(input);
  return {frequency_singular_values(folded_symbol(), torus_.rows(), torus_.columns()),
          "SVD of the matrix at every frequency of the image"};
}

Residual FourierConv2d::residual() const {
  if (map_ == nullptr) return {0, "no constraint"};
  return {
      frequency_defect_bound(folded_symbol()),
      message("bound of |Q^H Q - I| over all frequencies; ", map_->name, " states ", map_->defect)};
}

std::unique_ptr<Module> FourierConv2d::materialize(DType dtype) const {
  return std::make_unique<FourierConv2d>(torus_, folded_symbol().to(dtype),
                                         bias_ ? bias_.value().to(dtype) : Tensor());
}

void FourierConv2d::collect_operations(const std::string& prefix, const Shape& input,
                                       Operations& operations) const {
  const Shape output = output_shape(input);
  const Shape image = append_unshuffle(prefix, input, torus_.stride, operations);
  operations.push_back(frequency_operation(prefix, folded_symbol(), enclosure().upper,
                                           bias_ ? bias_.value() : Tensor(), image, output));
}

void FourierConv2d::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + (map_ == nullptr ? "symbol" : "raw"), &raw_});
  if (length_) parameters.push_back({prefix + "length", &length_});
  if (bias_) parameters.push_back({prefix + "bias", &bias_});
}

void FourierConv2d::collect_folded(const std::string& prefix,
                                   std::vector<NamedTensor>& folded) const {
  if (map_ != nullptr) folded.push_back({prefix + "symbol", folded_symbol()});
}

Torus torus_of(Site& site) {
  const std::int64_t channels = input_channels(site);
  return {site.input[0], site.input[1], channels, small_integer(site, "stride", 1)};
}

std::unique_ptr<Module> build_fourier_conv(Site& site, const FrequencyMap& map) {
  const Torus torus = torus_of(site);
  const std::int64_t out = output_extent(site);
  const int kernel = small_integer(site, "kernel", 3);
  const bool bias = site.options.boolean("bias", true);
  return std::make_unique<FourierConv2d>(torus, out, kernel, map, site.rng, bias);
}

}  // namespace isotape
