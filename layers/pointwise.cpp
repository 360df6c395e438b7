#include <isotape/layers/pointwise.hpp>

#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/group_sort.hpp>
#include <isotape/ops/maxout.hpp>

namespace isotape {

constinit const LayerType fullsort_type = {
    .type = "fullsort",
    .kind = LayerKind::activation,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "",
    .description = "all channels of a pixel, sorted",
    .cost = "",
    .source = "Anil 2019",
    .build = [](Site&) -> std::unique_ptr<Module> { return std::make_unique<FullSort>(); },
};

constinit const LayerType leaky_relu_type = {
    .type = "leaky-relu",
    .kind = LayerKind::activation,
    .property = LayerProperty::one_lipschitz,
    .options = "slope",
    .description = "positive part plus slope (default 0.01) times the negative part",
    .cost = "",
    .source = "Maas 2013",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      const double slope = site.options.number("slope", 0.01);
      require<ValueError>(slope >= 0 && slope <= 1, site.place(),
                          ": expected slope in [0, 1], got ", slope);
      return std::make_unique<LeakyReLU>(slope);
    },
};

constinit const LayerType maxout_type = {
    .type = "maxout",
    .kind = LayerKind::activation,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "size, pairing",
    .description = "the largest of each group of channels, split (default) or adjacent",
    .cost = "",
    .source = "Goodfellow 2013",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      const int size = small_integer(site, "size", 2);
      return std::make_unique<Maxout>(size, pairing_option(site));
    },
};

Var FullSort::forward(const Var& x) const { return full_sort(x); }

Var FullSort::forward_consuming(Var x, const Var& bias) const {
  return bias_full_sort(std::move(x), bias);
}

std::unique_ptr<Module> FullSort::materialize(DType) const { return std::make_unique<FullSort>(); }

void FullSort::collect_operations(const std::string& prefix, const Shape& input,
                                  Operations& operations) const {
  operations.push_back(
      plain_operation(prefix, "sort", input, output_shape(input),
                      {{"size", input[-1]}, {"pairing", std::string("adjacent")}}));
}

LeakyReLU::LeakyReLU(double slope) : slope_(slope) {
  require<ValueError>(slope >= 0 && slope <= 1, "leaky_relu: expected a slope in [0, 1], got ",
                      slope);
}

Var LeakyReLU::forward(const Var& x) const { return leaky_relu(x, slope_); }

std::string LeakyReLU::describe() const { return message("LeakyReLU ", slope_); }

std::unique_ptr<Module> LeakyReLU::materialize(DType) const {
  return std::make_unique<LeakyReLU>(slope_);
}

void LeakyReLU::collect_operations(const std::string& prefix, const Shape& input,
                                   Operations& operations) const {
  operations.push_back(plain_operation(prefix, "leaky_relu", input, input, {{"slope", slope_}}));
}

Maxout::Maxout(int size, Pairing pairing) : size_(size), pairing_(pairing) {
  require<ValueError>(size >= 1, "maxout: expected a group size >= 1, got ", size);
}

Var Maxout::forward(const Var& x) const { return maxout(x, size_, pairing_); }

Shape Maxout::output_shape(const Shape& input) const {
  require<ShapeError>(input.rank() >= 1 && input[-1] % size_ == 0,
                      "maxout: expected channels in groups of ", size_, ", got input ", input);
  return input.with(-1, input[-1] / size_);
}

std::string Maxout::describe() const {
  return message("Maxout ", size_, pairing_ == Pairing::split ? ", split" : ", adjacent",
                 " groups");
}

NormPreservation Maxout::gnp() const {
  return size_ == 1 ? NormPreservation::both : NormPreservation::backward;
}

std::unique_ptr<Module> Maxout::materialize(DType) const {
  return std::make_unique<Maxout>(size_, pairing_);
}

void Maxout::collect_operations(const std::string& prefix, const Shape& input,
                                Operations& operations) const {
  operations.push_back(
      plain_operation(prefix, "maxout", input, output_shape(input),
                      {{"size", std::int64_t{size_}}, {"pairing", pairing_word(pairing_)}}));
}

}  // namespace isotape
