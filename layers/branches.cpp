#include <isotape/layers/branches.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

const char* word(Join join) {
  if (join == Join::sum) return "sum";
  return join == Join::concat ? "concat" : "split";
}

Shape share(const Shape& input, std::size_t branches) {
  const auto n = static_cast<std::int64_t>(branches);
  require<ShapeError>(input.rank() >= 1 && input[-1] % n == 0, "split: expected channels in ", n,
                      " equal shares, got input ", input);
  return input.with(-1, input[-1] / n);
}

std::unique_ptr<Module> build(Site& site, Join join) {
  const std::vector<LayerSpec>& layers = site.spec.layers;
  require<ValueError>(!layers.empty(), site.place(), ": expected layers, one per branch, got none");
  const Shape input = join == Join::split ? share(site.input, layers.size()) : site.input;
  auto branches = std::make_unique<Branches>(join);
  for (const LayerSpec& layer : layers) {
    branches->add(layer.name, build_layer(layer, input, site.classes, site.rng));
  }
  return branches;
}

std::unique_ptr<Module> build_concat_residual(Site& site) {
  const Shape input = share(site.input, 2);
  auto body =
      std::make_unique<Sequential>(build_chain(site.spec.layers, input, site.classes, site.rng));
  auto branches = std::make_unique<Branches>(Join::split);
  branches->add("pass", std::make_unique<Sequential>());
  branches->add("body", std::move(body));
  return branches;
}

}  // namespace

constinit const LayerType sum_type = {
    .type = "sum",
    .kind = LayerKind::composition,
    .property = LayerProperty::bounded,
    .options = "",
    .description = "its layers side by side on one input, outputs added: bounds add up",
    .cost = "",
    .source = "",
    .build = [](Site& site) { return build(site, Join::sum); },
};

constinit const LayerType concat_type = {
    .type = "concat",
    .kind = LayerKind::composition,
    .property = LayerProperty::bounded,
    .options = "",
    .description =
        "its layers side by side on one input, outputs concatenated by channels: "
        "squares of bounds add up",
    .cost = "",
    .source = "",
    .build = [](Site& site) { return build(site, Join::concat); },
};

constinit const LayerType split_type = {
    .type = "split",
    .kind = LayerKind::composition,
    .property = LayerProperty::bounded,
    .options = "",
    .description = "its layers side by side, each on its share of the channels: the largest bound",
    .cost = "",
    .source = "",
    .build = [](Site& site) { return build(site, Join::split); },
};

constinit const LayerType concat_residual_type = {
    .type = "concat-residual",
    .kind = LayerKind::composition,
    .property = LayerProperty::bounded,
    .options = "",
    .description = "half of the channels past its layers, half through them: keeps what they keep",
    .cost = "",
    .source = "",
    .build = build_concat_residual,
};

Branches& Branches::add(std::string name, std::unique_ptr<Module> module) {
  require<ValueError>(!name.empty() && name.find('.') == std::string::npos, word(join_),
                      ": expected a name without dots, got '", name, "'");
  const bool taken = std::any_of(parts_.begin(), parts_.end(),
                                 [&](const auto& part) { return part.name == name; });
  require<ValueError>(!taken, word(join_), ": expected a name of its own, got '", name, "' twice");
  parts_.push_back({std::move(name), std::move(module)});
  return *this;
}

Var Branches::forward(const Var& x) const {
  const std::int64_t width = x.dim(-1) / static_cast<std::int64_t>(parts_.size());
  Vars ys;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto begin = static_cast<std::int64_t>(i) * width;
    ys.push_back(
        parts_[i].module->forward(join_ == Join::split ? slice(x, -1, begin, begin + width) : x));
  }
  if (join_ != Join::sum) return concat(ys, -1);
  Var y = ys[0];
  for (std::size_t i = 1; i < ys.size(); ++i) y = isotape::add(y, ys[i]);
  return y;
}

Shape Branches::input_of_branch(const Shape& input) const {
  return join_ == Join::split ? share(input, parts_.size()) : input;
}

Shape Branches::output_shape(const Shape& input) const {
  require<ShapeError>(!parts_.empty(), word(join_), ": expected branches, got none");
  const Shape each = input_of_branch(input);
  Shape shape;
  for (const Sequential::Part& part : parts_) {
    const Shape output = part.module->output_shape(each);
    if (part.name == parts_[0].name) {
      shape = output;
      continue;
    }
    const std::int64_t channels = join_ == Join::sum ? shape[-1] : output[-1];
    require<ShapeError>(output.rank() == shape.rank() && output == shape.with(-1, channels),
                        word(join_), ": expected branches that join, got ", parts_[0].name, " of ",
                        shape, " and ", part.name, " of ", output);
    if (join_ != Join::sum) shape = shape.with(-1, shape[-1] + channels);
  }
  return shape;
}

std::string Branches::kind() const {
  if (join_ == Join::sum) return "Sum";
  return join_ == Join::concat ? "Concat" : "Split";
}

std::string Branches::describe() const {
  std::string text = kind() + " of ";
  for (const Sequential::Part& part : parts_) {
    text += (part.name == parts_[0].name ? "" : ", ") + part.name;
  }
  return text;
}

Enclosure Branches::enclosure() const { return proof().enclosure; }

Proof Branches::proof() const {
  Composition rule = Composition::sum;
  if (join_ == Join::split) rule = Composition::split;
  if (join_ == Join::concat) rule = Composition::concat;
  return compose(rule, kind(), proofs_of(parts_), gnp() != NormPreservation::none);
}

NormPreservation Branches::gnp() const {
  if (join_ != Join::split && parts_.size() > 1) return NormPreservation::none;
  NormPreservation kept = NormPreservation::both;
  for (const Sequential::Part& part : parts_) kept = kept & part.module->gnp();
  return kept;
}

Residual Branches::residual() const {
  Residual worst{0, "no constraint"};
  for (const Sequential::Part& part : parts_) {
    const Residual residual = part.module->residual();
    if (!(residual.value <= worst.value))
      worst = {residual.value, part.name + ": " + residual.reason};
  }
  return worst;
}

std::unique_ptr<Module> Branches::materialize(DType dtype) const {
  auto plain = std::make_unique<Branches>(join_);
  for (const Sequential::Part& part : parts_)
    plain->add(part.name, part.module->materialize(dtype));
  return plain;
}

void Branches::collect_operations(const std::string& prefix, const Shape& input,
                                  Operations& operations) const {
  const std::string words[] = {"sum", "concat", "split"};
  Operation joined =
      plain_operation(prefix, words[static_cast<int>(join_)], input, output_shape(input));
  for (const Sequential::Part& part : parts_) {
    part.module->collect_operations(prefix + part.name + ".", input_of_branch(input),
                                    joined.branches.emplace_back());
  }
  joined.bound = joined_bound(joined);
  operations.push_back(std::move(joined));
}

void Branches::collect(const std::string& prefix, ParameterList& parameters) {
  for (const auto& part : parts_) part.module->collect(prefix + part.name + ".", parameters);
}

void Branches::collect(const std::string& prefix, BufferList& buffers) {
  for (const auto& part : parts_) part.module->collect(prefix + part.name + ".", buffers);
}

void Branches::collect(const std::string& prefix, std::vector<NamedWeight>& weights) {
  for (const auto& part : parts_) part.module->collect(prefix + part.name + ".", weights);
}

void Branches::collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const {
  for (const auto& part : parts_) part.module->collect_folded(prefix + part.name + ".", folded);
}

void Branches::derive() const {
  for (const auto& part : parts_) part.module->derive();
}

}  // namespace isotape
