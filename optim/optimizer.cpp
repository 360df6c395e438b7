#include <isotape/optim/optimizer.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/optim/settings.hpp>

namespace isotape {
namespace {

double first_not_finite(const Tensor& x) {
  std::int64_t i = 0;
  while (std::isfinite(x.at(i))) ++i;
  return x.at(i);
}

}  // namespace

Optimizer::Optimizer(std::string name, const ParameterList& parameters,
                     std::vector<StateName> state_names, Decay decay)
    : name_(std::move(name)), state_names_(std::move(state_names)), decay_(decay) {
  require<ValueError>(std::isfinite(decay.rate) && decay.rate >= 0, name_,
                      ": expected weight_decay in [0, inf), got ", decay.rate);
  for (const auto& [key, parameter] : parameters) {
    const auto is_same = [&k = key, p = parameter](const Slot& slot) {
      return slot.name == k || slot.parameter == p;
    };
    require<ValueError>(std::none_of(slots_.begin(), slots_.end(), is_same), name_,
                        ": expected distinct parameters of distinct names, got ", key, " twice");
    const Tensor& value = parameter->value();
    require<ValueError>(static_cast<bool>(value), name_, ": expected a value of ", key,
                        ", got an absent tensor");
    Slot slot{key, parameter, {}};
    for (const StateName& state : state_names_) {
      slot.state.push_back(state.is_number ? Tensor::zeros({1}, DType::f64)
                                           : Tensor::zeros(value.shape(), value.dtype()));
    }
    slots_.push_back(std::move(slot));
  }
}

void Optimizer::step(double lr) {
  const std::vector<Slot*> slots = check(lr);
  std::vector<Slot*> on_manifolds;
  std::vector<Loop> loops;
  std::vector<std::int64_t> sizes;
  for (Slot* const slot : slots) {
    Parameter& parameter = *slot->parameter;
    if (parameter.manifold) {
      on_manifolds.push_back(slot);
    } else {
      loops.push_back(
          update({parameter.write(), parameter.grad, slot->state, lr, decay_of(parameter)}));
      sizes.push_back(parameter.grad.size());
    }
  }
  run(loops, sizes);
  if (!on_manifolds.empty()) move_along_manifolds(on_manifolds, lr);
  for (Slot* const slot : slots) slot->parameter->grad = {};
}

// All parameters as one long array, shared out among the threads.
void Optimizer::run(const std::vector<Loop>& loops, const std::vector<std::int64_t>& sizes) {
  constexpr std::int64_t worth_a_thread = 1 << 15;
  const std::int64_t total = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
  parallel_for(total, worth_a_thread, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t first = 0;  // of the parameter in the array
    for (std::size_t i = 0; i < loops.size(); first += sizes[i++]) {
      const std::int64_t from = std::max<std::int64_t>(begin - first, 0);
      const std::int64_t to = std::min(end - first, sizes[i]);
      if (from < to) loops[i](from, to);
    }
  });
}

void Optimizer::zero_grad() {
  for (const Slot& slot : slots_) slot.parameter->grad = {};
}

void Optimizer::collect(const std::string& prefix, BufferList& buffers) {
  for (Slot& slot : slots_) {
    for (std::size_t i = 0; i < slot.state.size(); ++i) {
      buffers.push_back({prefix + slot.name + "." + state_names_[i].name, &slot.state[i]});
    }
  }
}

std::string Optimizer::describe_decay() const {
  return "weight_decay=" + spelled(decay_.rate) + (decay_.of_all ? ",decay_all=1" : "");
}

// The slots that take part in a step; throws before anything is changed.
std::vector<Optimizer::Slot*> Optimizer::check(double lr) {
  require<ValueError>(std::isfinite(lr) && lr >= 0, name_, ": expected a rate in [0, inf), got ",
                      lr);
  std::vector<Slot*> slots;
  for (Slot& slot : slots_) {
    if (!slot.parameter->trainable || !slot.parameter->grad) continue;
    check_shapes(slot);
    const Tensor& grad = slot.parameter->grad;
    if (!all_finite(grad)) {
      throw NumericError(message(name_, ": expected a finite gradient of ", slot.name, ", got ",
                                 first_not_finite(grad)));
    }
    slots.push_back(&slot);
  }
  return slots;
}

void Optimizer::check_shapes(const Slot& slot) const {
  const Tensor& value = slot.parameter->value();
  const auto demand = [&](const Tensor& tensor, const std::string& what) {
    require<ShapeError>(tensor.shape() == value.shape() && tensor.dtype() == value.dtype(), name_,
                        ": expected ", what, " of shape ", value.shape(), " and type ",
                        value.dtype(), ", got ", tensor.shape(), " and ", tensor.dtype());
  };
  demand(slot.parameter->grad, "a gradient of " + slot.name);
  for (std::size_t i = 0; i < slot.state.size(); ++i) {
    if (!state_names_[i].is_number) demand(slot.state[i], slot.name + "." + state_names_[i].name);
  }
}

double Optimizer::decay_of(const Parameter& parameter) const {
  return parameter.decays || decay_.of_all ? decay_.rate : 0;
}

// The rule applied to zero with the projected gradient gives its step.
void Optimizer::move_along_manifolds(const std::vector<Slot*>& slots, double lr) {
  std::vector<ManifoldMove> moves;
  for (Slot* const slot : slots) {
    Parameter& parameter = *slot->parameter;
    if (!parameter.grad.unique()) parameter.grad = parameter.grad.clone();
    moves.push_back({slot->name, &parameter.write(), &parameter.grad, *parameter.manifold});
  }
  project_to_tangent(moves);

  Tensors steps;
  std::vector<Loop> loops;
  std::vector<std::int64_t> sizes;
  for (Slot* const slot : slots) {
    const Tensor& grad = slot->parameter->grad;
    steps.push_back(Tensor::zeros(grad.shape(), grad.dtype()));
    loops.push_back(update({steps.back(), grad, slot->state, lr, 0}));
    sizes.push_back(grad.size());
  }
  run(loops, sizes);
  for (std::size_t i = 0; i < moves.size(); ++i) moves[i].direction = &steps[i];
  last_retractions_ = retract(moves);
  retractions_ += last_retractions_;
}

}  // namespace isotape
