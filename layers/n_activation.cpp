#include <isotape/layers/n_activation.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/n_activation.hpp>
#include <isotape/ops/spectral_bound.hpp>

namespace isotape {
namespace {

double kink(Site& site, const char* key, double fallback) {
  const double value = site.options.number(key, fallback);
  require<ValueError>(std::abs(value) <= 1e6, site.place(), ": expected ", key,
                      " in [-1e6, 1e6], got ", value);
  return value;
}

}  // namespace

constinit const LayerType nact_type = {
    .type = "nact",
    .kind = LayerKind::activation,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "lower, upper",
    .description =
        "slope 1, -1, 1 between two learnable kinks per channel, from lower (-1) and "
        "upper (0)",
    .cost = "",
    .source = "Prach 2023",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      require<ShapeError>(site.input.rank() >= 1, site.place(), ": expected channels, got input ",
                          site.input);
      const double lower = kink(site, "lower", -1);
      return std::make_unique<NActivation>(site.input[-1], lower, kink(site, "upper", 0));
    },
};

NActivation::NActivation(std::int64_t channels, double lower, double upper)
    : lower_(Tensor::full({channels}, lower)), upper_(Tensor::full({channels}, upper)) {
  lower_.decays = false;
  upper_.decays = false;
}

Var NActivation::forward(const Var& x) const { return n_activation(x, lower_.var(), upper_.var()); }

Shape NActivation::output_shape(const Shape& input) const {
  require<ShapeError>(input.rank() >= 1 && input[-1] == lower_.value().size(),
                      "n_activation: expected ", lower_.value().size(), " channels, got input ",
                      input);
  return input;
}

std::string NActivation::describe() const {
  return message("NActivation, ", lower_.value().size(), " channels");
}

Enclosure NActivation::enclosure() const {
  require<NumericError>(all_finite(lower_.value()) && all_finite(upper_.value()),
                        "n_activation: expected finite kinks, got NaN or infinity");
  return {1, 1, "a sign at every point, continuous"};
}

std::unique_ptr<Module> NActivation::materialize(DType dtype) const {
  auto plain = std::make_unique<NActivation>(lower_.value().size(), 0, 0);
  plain->lower_ = Parameter(lower_.value().to(dtype));
  plain->upper_ = Parameter(upper_.value().to(dtype));
  return plain;
}

// At 0 an entry is 0, or, where 0 lies outside of the kinks, -2 times the nearer one.
void NActivation::collect_operations(const std::string& prefix, const Shape& input,
                                     Operations& operations) const {
  enclosure();
  Operation folded = plain_operation(prefix, "nact", input, output_shape(input));
  folded.tensors = {{"lower", prefix + "lower"}, {"upper", prefix + "upper"}};
  const Tensor& a = lower_.value();
  const Tensor& b = upper_.value();
  std::vector<double> nearer;
  for (std::int64_t c = 0; c < a.size(); ++c) {
    nearer.push_back(2 * std::min(std::abs(a.at(c)), std::abs(b.at(c))));
  }
  const std::int64_t places = input.size() / input[-1];
  const auto pixels = static_cast<double>(places);
  folded.added =
      bound_product(norm_bound(Tensor::of(nearer, a.shape(), DType::f64)), bound_root(pixels));
  operations.push_back(std::move(folded));
}

void NActivation::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + "lower", &lower_});
  parameters.push_back({prefix + "upper", &upper_});
}

}  // namespace isotape
