#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include <isotape/core/random.hpp>
#include <isotape/layers/module.hpp>
#include <isotape/layers/parametrization.hpp>

namespace isotape {

/// A value computed once per version of its source; safe to ask from several threads.
class VersionCache {
 public:
  Tensor get(std::uint64_t version, const std::function<Tensor()>& make) const;

 private:
  struct State {
    std::mutex mutex;
    std::uint64_t version = 0;
    Tensor value;
  };
  std::unique_ptr<State> state_ = std::make_unique<State>();
};

/// A raw matrix [m, n], a list of them [b, m, n], or a kernel [O, h, w, I] read as the matrix
/// [O, h w I], under a parametrization. The weight has the shape of the raw tensor.
class Weight {
 public:
  /// Initialises the raw tensor for the constraint: an orthogonal matrix times raw_gain for bjorck
  /// and cholesky-qr, uniform in +-1/sqrt(n) for a free one, what a map says for it.
  Weight(const Shape& shape, Parametrization parametrization, Rng& rng);
  /// A free weight.
  explicit Weight(Tensor value) : raw(std::move(value)) {}

  Parameter raw;
  const Parametrization& parametrization() const { return parametrization_; }

  /// The weight of this recording (made once per version of raw), or the folded weight.
  Var var();
  /// The options of bjorck, with the number of iterations in use.
  /// @pre  the parametrization is Bjorck
  BjorckOptions polar_options() const;
  /// Grows with all that folded() is made of.
  std::uint64_t version() const { return raw.version() + moves_; }
  /// The weight, evaluated in f64 from raw and rounded once to raw's type; cached.
  Tensor folded() const;
  /// The same in f64, not rounded and not cached.
  Tensor folded_f64() const;
  /// Whether the singular values of the weight are all 1: a polar factor (bjorck without a fixed
  /// number of iterations), the factor of a QR factorisation or an orthogonal map.
  bool is_orthogonal() const;
  /// max |W^T W - I| (smaller side) of the folded weight, for an orthogonal parametrization.
  Residual residual() const;
  /// The same of a weight that a fixed number of iterations makes, which promises nothing: how far
  /// it is from what more of them would make. 0 for others.
  Residual unconverged() const;
  /// Twice as many iterations from now on, at most 64.
  /// @return their number; none if the weight is made by no such number, or by 64
  std::optional<int> iterate_more();

  /// Where raw has lost rank, adds a seeded orthonormal basis of its null space, so that it has an
  /// orthogonal factor; a polar factor agrees with the old one on the old range. Returns a warning
  /// if anything was changed.
  std::optional<std::string> complete_null_space(const std::string& name);
  /// Moves raw onto the manifold scale * St and keeps it there (retracted training).
  /// @throws ValueError  unless the weight is a polar factor or that of a QR factorisation
  void retract();
  double raw_gain() const { return raw_gain_; }

  void collect(const std::string& prefix, BufferList& buffers);

  /// Whether var() would have to make the weight for the active recording.
  bool is_missing() const;
  /// Hands over the weight of the active recording, made elsewhere from the present raw.
  void remember(Var weight);

 private:
  bool is_factor() const;
  Var constrain(const Var& matrix);
  Parametrization parametrization_;
  double raw_gain_ = 1;
  Tensor u_;  // of the power iteration
  Tensor v_;
  Tensor iterations_;        // [1], of bjorck with a fixed number: the one in use
  std::uint64_t moves_ = 0;  // how often u, v or the number of iterations have changed
  VersionCache folded_;
};

/// Weights made since the program began: for a recording, once per version of raw and recording
/// (a free weight is made of nothing, but counts); evaluated in f64 for inference and files, once
/// per version.
struct WeightCounters {
  std::int64_t recorded = 0;
  std::int64_t folded = 0;
};
WeightCounters weight_counters();
void count_recorded_weight();
void count_folded_weight();

/// Makes all weights that the active recording does not have yet; polar factors in one list of
/// jobs.
void prepare_weights(std::span<const NamedWeight> weights);

}  // namespace isotape
