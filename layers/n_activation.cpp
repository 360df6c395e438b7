#include <isotape/layers/n_activation.hpp>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/n_activation.hpp>

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

void NActivation::collect(const std::string& prefix, ParameterList& parameters) {
  parameters.push_back({prefix + "lower", &lower_});
  parameters.push_back({prefix + "upper", &upper_});
}

}  // namespace isotape
