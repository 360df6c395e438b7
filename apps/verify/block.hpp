#pragma once

#include <algorithm>
#include <vector>

#include <isotape/apps/verify/network.hpp>
#include <isotape/apps/verify/product.hpp>

namespace isotape::verify {

/// An activation of as many images as there are lanes, an entry's lanes side by side.
class Block {
 public:
  explicit Block(std::int64_t entries) : numbers_(static_cast<std::size_t>(entries * lanes)) {}
  double* at(std::int64_t entry) { return numbers_.data() + entry * lanes; }
  const double* at(std::int64_t entry) const { return numbers_.data() + entry * lanes; }

 private:
  std::vector<double> numbers_;
};

inline void copy(const double* from, double* to) { std::copy_n(from, lanes, to); }

template <class F>
void for_lanes(F&& f) {
  for (std::int64_t l = 0; l < lanes; ++l) f(l);
}

inline void add_lanes(const double* from, double* to) {
  for_lanes([&](std::int64_t l) { to[l] += from[l]; });
}

/// The forward passes of linear maps, of biases, and of what is made of several maps.
void add_bias(const Layer& layer, Block& y);
Block linear(const Layer& layer, const Block& x);
Block convolution(const Layer& layer, const Block& x);
Block potential(const Layer& layer, const Block& x);
Block skew_exp(const Layer& layer, const Block& x);
Block sandwich(const Layer& layer, const Block& x);

}  // namespace isotape::verify
