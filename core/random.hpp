#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include <isotape/core/tensor.hpp>

namespace isotape {

/// Counter-based generator Philox4x32-10 [Salmon 2011]: its n-th output is a function of key and n
/// alone, so that a run is reproducible on any machine and resumes from two numbers. Named streams
/// are independent generators: `rng.stream("init")`, `rng.stream("shuffle")`.
class Rng {
 public:
  /// What must be stored to continue the sequence.
  struct State {
    std::uint64_t key = 0;
    std::uint64_t counter = 0;
    friend bool operator==(const State&, const State&) = default;
  };

  explicit Rng(std::uint64_t seed = 0) : state_{seed, 0} {}
  explicit Rng(State state) : state_(state) {}

  /// A generator of its own, determined by this one's key and the name, not by its position.
  Rng stream(std::string_view name) const;
  /// The same by number: one per epoch, image or layer.
  Rng stream(std::uint64_t index) const;

  std::uint32_t next();
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Standard normal, by Box and Muller's transform.
  double normal();
  /// Uniform in 0..n-1, without bias.
  std::uint64_t below(std::uint64_t n);
  /// A random order of 0..n-1.
  std::vector<std::int64_t> permutation(std::int64_t n);

  const State& state() const { return state_; }

 private:
  State state_;
};

/// The Philox4x32-10 block function, for its published test vectors.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

/// Independent entries: uniform in [low, high), or normal with mean 0.
Tensor random_uniform(Rng& rng, const Shape& shape, double low, double high,
                      DType dtype = DType::f32);
Tensor random_normal(Rng& rng, const Shape& shape, double deviation = 1, DType dtype = DType::f32);
/// Matrix with orthonormal columns (rows, if m < n), times gain; Haar distributed. A shape [b, m,
/// n] gives b independent ones.
Tensor random_orthogonal(Rng& rng, const Shape& shape, double gain = 1, DType dtype = DType::f32);

}  // namespace isotape
