#include <isotape/layers/activation.hpp>

#include <isotape/core/error.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/elementwise.hpp>

namespace isotape {
namespace {

void check_channels(const char* op, const Shape& input, int size) {
  require<ShapeError>(input.rank() >= 1 && input[-1] % size == 0, op,
                      ": expected channels in groups of ", size, ", got input ", input);
}

const char* name(Pairing pairing) { return pairing == Pairing::split ? "split" : "adjacent"; }

}  // namespace

constinit const LayerType maxmin_type = {
    .type = "maxmin",
    .kind = LayerKind::activation,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "pairing",
    .description =
        "larger and smaller of each pair of channels, split (default: i with i + C/2) "
        "or adjacent",
    .cost = "",
    .source = "Anil 2019",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      return std::make_unique<MaxMin>(pairing_option(site));
    },
};

constinit const LayerType groupsort_type = {
    .type = "groupsort",
    .kind = LayerKind::activation,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "size, pairing",
    .description = "groups of channels, each sorted, split (default) or adjacent",
    .cost = "",
    .source = "Anil 2019",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      const int size = small_integer(site, "size", 2);
      return std::make_unique<GroupSort>(size, pairing_option(site));
    },
};

constinit const LayerType abs_type = {
    .type = "abs",
    .kind = LayerKind::activation,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "",
    .description = "absolute value",
    .cost = "",
    .source = "Anil 2019",
    .build = [](Site&) -> std::unique_ptr<Module> { return std::make_unique<Abs>(); },
};

constinit const LayerType relu_type = {
    .type = "relu",
    .kind = LayerKind::activation,
    .property = LayerProperty::one_lipschitz,
    .options = "",
    .description = "positive part; loses gradient norm",
    .cost = "",
    .source = "Nair 2010",
    .build = [](Site&) -> std::unique_ptr<Module> { return std::make_unique<ReLU>(); },
};

Shape MaxMin::output_shape(const Shape& input) const {
  check_channels("max_min", input, 2);
  return input;
}

std::string MaxMin::describe() const { return message("MaxMin, ", name(pairing_), " pairs"); }

std::unique_ptr<Module> MaxMin::materialize(DType) const {
  return std::make_unique<MaxMin>(pairing_);
}

void MaxMin::collect_operations(const std::string& prefix, const Shape& input,
                                Operations& operations) const {
  operations.push_back(
      plain_operation(prefix, "sort", input, output_shape(input),
                      {{"size", std::int64_t{2}}, {"pairing", pairing_word(pairing_)}}));
}

GroupSort::GroupSort(int size, Pairing pairing) : size_(size), pairing_(pairing) {
  require<ValueError>(size >= 1, "group_sort: expected a group size >= 1, got ", size);
}

Shape GroupSort::output_shape(const Shape& input) const {
  check_channels("group_sort", input, size_);
  return input;
}

std::string GroupSort::describe() const {
  return message("GroupSort ", size_, ", ", name(pairing_), " groups");
}

std::unique_ptr<Module> GroupSort::materialize(DType) const {
  return std::make_unique<GroupSort>(size_, pairing_);
}

void GroupSort::collect_operations(const std::string& prefix, const Shape& input,
                                   Operations& operations) const {
  operations.push_back(
      plain_operation(prefix, "sort", input, output_shape(input),
                      {{"size", std::int64_t{size_}}, {"pairing", pairing_word(pairing_)}}));
}

Var GroupSort::forward_consuming(Var x, const Var& bias) const {
  return size_ == 2 ? bias_max_min(std::move(x), bias, pairing_)
                    : bias_group_sort(std::move(x), bias, size_, pairing_);
}

Var Abs::forward(const Var& x) const { return abs(x); }

Var Abs::forward_consuming(Var x, const Var&) const { return abs(std::move(x)); }

std::unique_ptr<Module> Abs::materialize(DType) const { return std::make_unique<Abs>(); }

void Abs::collect_operations(const std::string& prefix, const Shape& input,
                             Operations& operations) const {
  operations.push_back(plain_operation(prefix, "abs", input, input));
}

Var ReLU::forward(const Var& x) const { return relu(x); }

Var ReLU::forward_consuming(Var x, const Var&) const { return relu(std::move(x)); }

std::unique_ptr<Module> ReLU::materialize(DType) const { return std::make_unique<ReLU>(); }

void ReLU::collect_operations(const std::string& prefix, const Shape& input,
                              Operations& operations) const {
  operations.push_back(plain_operation(prefix, "relu", input, input));
}

}  // namespace isotape
