#include <isotape/layers/sequential.hpp>

#include <algorithm>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/layers/watch.hpp>

namespace isotape {
namespace {

// Calls f(), putting the part's name in front of what it throws.
template <class F>
auto named(const std::string& part, F&& f) {
  try {
    return f();
  } catch (const ShapeError& error) {
    throw ShapeError(part + ": " + error.what());
  } catch (const NumericError& error) {
    throw NumericError(part + ": " + error.what());
  }
}

}  // namespace

constinit const LayerType sequential_type = {
    .type = "sequential",
    .kind = LayerKind::composition,
    .property = LayerProperty::bounded,
    .options = "",
    .description = "its layers one behind the other (a branch of several); none: the identity",
    .cost = "",
    .source = "",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      return std::make_unique<Sequential>(
          build_chain(site.spec.layers, site.input, site.classes, site.rng));
    },
};

Sequential& Sequential::add(std::string name, std::unique_ptr<Module> module) {
  require<ValueError>(!name.empty() && name.find('.') == std::string::npos,
                      "sequential: expected a name without dots, got '", name, "'");
  const bool taken = std::any_of(parts_.begin(), parts_.end(),
                                 [&](const Part& part) { return part.name == name; });
  require<ValueError>(!taken, "sequential: expected a name of its own, got '", name, "' twice");
  parts_.push_back({std::move(name), std::move(module)});
  return *this;
}

Var Sequential::forward(const Var& x) const {
  Var y = x;
  Var bias;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const Module& module = *parts_[i].module;
    const bool is_watched = Watch::is_watched(&module);
    const bool is_added_next =
        !is_watched && i + 1 < parts_.size() && parts_[i + 1].module->adds_bias();
    named(parts_[i].name, [&] {
      if (is_added_next && !module.adds_bias()) {
        auto [value, left] = module.forward_unbiased(y);
        y = std::move(value);
        bias = std::move(left);
      } else {
        y = module.forward_consuming(std::move(y), std::exchange(bias, Var()));
      }
    });
    if (is_watched) Watch::note(&module, y);
  }
  return y;
}

Shape Sequential::output_shape(const Shape& input) const {
  Shape shape = input;
  for (const Part& part : parts_) {
    shape = named(part.name, [&] { return part.module->output_shape(shape); });
  }
  return shape;
}

std::string Sequential::describe() const {
  if (parts_.empty()) return "identity";
  std::string text;
  for (const Part& part : parts_) {
    text += (text.empty() ? "" : "\n") + part.name + "  " + part.module->describe();
  }
  return text;
}

Enclosure Sequential::enclosure() const { return proof().enclosure; }

Proof Sequential::proof() const {
  return compose(Composition::chain, kind(), proofs_of(parts_), gnp() != NormPreservation::none);
}

std::vector<Proof> proofs_of(const std::vector<Sequential::Part>& parts) {
  std::vector<Proof> proofs;
  for (const Sequential::Part& part : parts) {
    proofs.push_back(named(part.name, [&] { return part.module->proof(); }));
    proofs.back().name = part.name;
  }
  return proofs;
}

NormPreservation Sequential::gnp() const {
  NormPreservation kept = NormPreservation::both;
  for (const Part& part : parts_) kept = kept & part.module->gnp();
  return kept;
}

Residual Sequential::residual() const {
  Residual worst{0, "no constraint"};
  for (const Part& part : parts_) {
    const Residual residual = part.module->residual();
    if (!(residual.value <= worst.value)) {
      worst = {residual.value, part.name + ": " + residual.reason};
    }
  }
  return worst;
}

std::unique_ptr<Module> Sequential::materialize(DType dtype) const {
  auto plain = std::make_unique<Sequential>();
  for (const Part& part : parts_) plain->add(part.name, part.module->materialize(dtype));
  return plain;
}

void Sequential::collect_operations(const std::string& prefix, const Shape& input,
                                    Operations& operations) const {
  Shape shape = input;
  for (const Part& part : parts_) {
    part.module->collect_operations(prefix + part.name + ".", shape, operations);
    shape = part.module->output_shape(shape);
  }
}

void Sequential::collect(const std::string& prefix, ParameterList& parameters) {
  for (const Part& part : parts_) part.module->collect(prefix + part.name + ".", parameters);
}

void Sequential::collect(const std::string& prefix, BufferList& buffers) {
  for (const Part& part : parts_) part.module->collect(prefix + part.name + ".", buffers);
}

void Sequential::collect(const std::string& prefix, std::vector<NamedWeight>& weights) {
  for (const Part& part : parts_) part.module->collect(prefix + part.name + ".", weights);
}

void Sequential::collect_folded(const std::string& prefix, std::vector<NamedTensor>& folded) const {
  for (const Part& part : parts_) {
    part.module->collect_folded(prefix + part.name + ".", folded);
  }
}

std::vector<Module*> modules_of(const std::vector<Sequential::Part>& parts) {
  std::vector<Module*> modules;
  modules.reserve(parts.size());
  for (const Sequential::Part& part : parts) modules.push_back(part.module.get());
  return modules;
}

std::vector<Module*> Sequential::children() { return modules_of(parts_); }

void Sequential::derive() const {
  for (const Part& part : parts_) named(part.name, [&] { part.module->derive(); });
}

}  // namespace isotape
