#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/optim/optimizer.hpp>

namespace isotape {

/// The names that make_optimizer() knows: sgd, adam, adamw, rmsprop, aggmo.
const std::vector<std::string>& optimizer_names();

/// An optimizer from text, a name with options (see Settings): "adam",
/// "sgd:momentum=0.9,nesterov=1", "aggmo:betas=0/0.9/0.99", "adamw:weight_decay=0.01,decay_all=1".
/// The options are those of the structs, with their defaults; adamw's default weight_decay is 0.01.
///
/// @throws ValueError  on an unknown name or option (the text lists those there are), or a value
///                     out of range
std::unique_ptr<Optimizer> make_optimizer(std::string_view text, const ParameterList& parameters);

}  // namespace isotape
