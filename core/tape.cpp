#include <isotape/core/tape.hpp>

#include <algorithm>
#include <cassert>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

thread_local Tape* active_tape = nullptr;

// y + x, in y's own storage where nobody else sees it.
void add_to(Tensor& y, Tensor x) {
  if (!y) {
    y = std::move(x);
  } else if (y.unique()) {
    add_in_place(y, x);
  } else {
    Tensor sum = x.unique() ? std::move(x) : x.clone();
    add_in_place(sum, y);
    y = std::move(sum);
  }
}

}  // namespace

Tensor Var::grad() const {
  if (tape_ == nullptr) return {};
  return tape_->nodes_.at(node_).outputs.at(output_).grad;
}

Tape::Tape(Precision precision) : precision_(precision), previous_(active_tape) {
  active_tape = this;
}

Tape::~Tape() {
  // Out of the chain of active tapes, wherever in it: tapes may end in any order.
  for (Tape** link = &active_tape; *link != nullptr; link = &(*link)->previous_) {
    if (*link == this) {
      *link = previous_;
      return;
    }
  }
}

Tape* Tape::active() { return active_tape; }

Precision Tape::active_precision() {
  return active_tape == nullptr ? Precision::full : active_tape->precision_;
}

Paused::Paused() : active_(active_tape) { active_tape = nullptr; }

Paused::~Paused() { active_tape = active_; }

Var Tape::leaf(Tensor value, Tensor* sink) {
  Node node;
  node.op = "leaf";
  node.outputs.push_back({value.shape(), value.dtype(), {}, sink == nullptr});
  node.sink = sink;
  nodes_.push_back(std::move(node));
  return {std::move(value), this, nodes_.size() - 1, 0};
}

Var Tape::recall(const void* key, std::uint64_t version) const {
  const auto found = remembered_.find(key);
  return found != remembered_.end() && found->second.version == version ? found->second.var : Var();
}

void Tape::remember(const void* key, std::uint64_t version, Var var) {
  remembered_.insert_or_assign(key, Remembered{version, std::move(var)});
}

void Tape::keep_grad(const Var& var) {
  require<ValueError>(var.tape_ == this, "keep_grad: expected a value recorded on this tape");
  nodes_[var.node_].outputs[var.output_].keep = true;
}

bool is_recording(std::span<const Var> inputs) {
  return active_tape != nullptr && std::any_of(inputs.begin(), inputs.end(), [](const Var& input) {
           return input.tape() == active_tape;
         });
}

Vars Tape::record(const Op& op, Tensors ys, std::span<const Var> inputs, Tensors saved, Vjp vjp,
                  Jvp jvp) {
  Tape* const tape = active_tape;
  Vars result;
  result.reserve(ys.size());
  if (!is_recording(inputs)) {
    for (Tensor& y : ys) result.emplace_back(std::move(y));
    return result;
  }
  Node node;
  node.op = op.name();
  for (const Var& input : inputs) {
    require<ValueError>(input.tape_ == nullptr || input.tape_ == tape, op.name(),
                        ": expected inputs of the active tape, got one of another tape");
    node.inputs.emplace_back(input.node_, input.output_);
    node.needs.push_back(input.tape_ == tape ? 1 : 0);
  }
  for (const Tensor& y : ys) node.outputs.push_back({y.shape(), y.dtype(), {}});
  for (Tensor& value : saved) {
    if (!value) continue;
    const std::uint64_t version = value.version();
    node.saved.push_back({std::move(value), version});
  }
  node.vjp = std::move(vjp);
  node.jvp = std::move(jvp);
  for (std::size_t k = 0; k < ys.size(); ++k) {
    result.push_back(Var(std::move(ys[k]), tape, tape->nodes_.size(), k));
  }
  tape->nodes_.push_back(std::move(node));
  return result;
}

void Tape::check_saved(const Node& node) {
  require<Error>(!node.freed, node.op,
                 ": expected a recording with its saved values, got one that an earlier backward "
                 "freed; pass {.retain = true} there");
  for (const Saved& saved : node.saved) {
    require<Error>(saved.value.version() == saved.version, node.op,
                   ": expected the saved value of shape ", saved.value.shape(),
                   " as it was recorded, got one that was overwritten since");
  }
}

void Tape::accumulate(const Node& from, std::size_t input, Tensor grad) {
  const auto [node, index] = from.inputs[input];
  Output& output = nodes_[node].outputs[index];
  require<ShapeError>(grad.shape() == output.shape && grad.dtype() == output.dtype, from.op,
                      ": expected a gradient of shape ", output.shape, " and type ", output.dtype,
                      " for input ", input, ", got ", grad.shape(), " and ", grad.dtype());
  add_to(output.grad, std::move(grad));
}

void Tape::walk(Node& node, bool retain) {
  if (node.sink != nullptr && node.outputs[0].grad) {
    Tensor grad = std::exchange(node.outputs[0].grad, Tensor());
    // An op may hand one tensor to several inputs; what a sink holds, its owner may overwrite.
    if (!*node.sink && !grad.unique()) grad = grad.clone();
    add_to(*node.sink, std::move(grad));
  }
  if (!node.vjp && !node.freed) return;  // a leaf
  Tensors dys;
  bool any = false;
  for (Output& output : node.outputs) {
    any = any || output.grad;
    dys.push_back(output.keep ? output.grad : std::exchange(output.grad, Tensor()));
  }
  if (any) {
    check_saved(node);
    Tensors grads = node.vjp(std::move(dys), Needs(node.needs));
    assert(grads.size() == node.inputs.size());
    for (std::size_t i = 0; i < grads.size(); ++i) {
      if (grads[i] && node.needs[i] != 0) accumulate(node, i, std::move(grads[i]));
    }
  }
  if (!retain) {
    node.vjp = nullptr;
    node.jvp = nullptr;
    node.saved.clear();
    node.freed = true;
  }
}

void Tape::backward(const Var& y, Tensor dy, const BackwardOptions& options) {
  if (!dy) {
    require<ShapeError>(y.value().size() == 1, "backward: expected a scalar or a dy, got shape ",
                        y.shape());
    dy = Tensor::full(y.shape(), 1, y.dtype());
  }
  Tensors dys(1);
  dys[0] = std::move(dy);  // not a list, whose copy would make it shared
  backward({&y, 1}, std::move(dys), options);
}

void Tape::backward(std::span<const Var> ys, Tensors dys, const BackwardOptions& options) {
  require<ShapeError>(ys.size() == dys.size(), "backward: expected ", ys.size(), " gradients, got ",
                      dys.size());
  const Paused paused;
  std::size_t end = 0;
  for (std::size_t i = 0; i < ys.size(); ++i) {
    const Var& y = ys[i];
    require<ValueError>(y.tape_ == this, "backward: expected a value recorded on this tape");
    if (!dys[i]) continue;
    require_same("backward", y.value(), dys[i]);
    add_to(nodes_[y.node_].outputs[y.output_].grad, std::move(dys[i]));
    end = std::max(end, y.node_ + 1);
  }
  while (end-- > 0) {
    if (options.visit) options.visit(end);
    walk(nodes_[end], options.retain);
  }
}

void Tape::clear_grads() {
  for (Node& node : nodes_) {
    for (Output& output : node.outputs) output.grad = {};
  }
}

Tensors Tape::jvp(std::span<const Var> ys, std::span<const Var> xs, const Tensors& tangents) const {
  require<ShapeError>(xs.size() == tangents.size(), "jvp: expected ", xs.size(), " tangents, got ",
                      tangents.size());
  const Paused paused;
  std::vector<Tensors> of_node(nodes_.size());
  for (std::size_t n = 0; n < nodes_.size(); ++n) of_node[n].resize(nodes_[n].outputs.size());
  for (std::size_t i = 0; i < xs.size(); ++i) {
    require<ValueError>(xs[i].tape_ == this, "jvp: expected a value recorded on this tape");
    if (tangents[i]) require_same("jvp", xs[i].value(), tangents[i]);
    of_node[xs[i].node_][xs[i].output_] = tangents[i];
  }
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    const Node& node = nodes_[n];
    Tensors dxs(node.inputs.size());
    bool any = false;
    for (std::size_t i = 0; i < dxs.size(); ++i) {
      if (node.needs[i] != 0) dxs[i] = of_node[node.inputs[i].first][node.inputs[i].second];
      any = any || dxs[i];
    }
    if (!any) continue;
    check_saved(node);
    Tensors dys = node.jvp(dxs);
    for (std::size_t k = 0; k < dys.size(); ++k) {
      if (!of_node[n][k]) of_node[n][k] = std::move(dys[k]);  // a tangent given for it stands
    }
  }
  Tensors result;
  for (const Var& y : ys) {
    require<ValueError>(y.tape_ == this, "jvp: expected a value recorded on this tape");
    result.push_back(of_node[y.node_][y.output_]);
  }
  return result;
}

}  // namespace isotape
