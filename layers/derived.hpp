#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <isotape/layers/parameter.hpp>

namespace isotape {

/// Tensors that a layer makes of several parameters (a Weight is made of one): for a recording once
/// per version, on its tape; for inference once per version, evaluated in f64 and rounded once to
/// the parameters' type. Both count in weight_counters(), as one.
class Derived {
 public:
  static constexpr std::size_t most = 4;  ///< tensors
  /// The tensors of the parameters' values, in the order given; the same map for f32 and f64.
  using Make = std::function<Vars(const Vars& parameters)>;

  explicit Derived(Make make) : make_(std::move(make)) {}

  /// For the active recording, if any of the parameters is recorded; else the folded ones.
  Vars get(const std::vector<Parameter*>& parameters) const;
  /// For inference. Safe to ask from several threads.
  Tensors folded(const std::vector<Parameter*>& parameters) const;
  /// The same in f64, not rounded and not cached.
  Tensors folded_f64(const std::vector<Parameter*>& parameters) const;

 private:
  struct State {
    std::mutex mutex;
    std::uint64_t version = 0;
    Tensors folded;
    std::array<char, most> keys = {};  // their addresses name the tensors on a tape
  };
  Make make_;
  std::unique_ptr<State> state_ = std::make_unique<State>();
};

}  // namespace isotape
