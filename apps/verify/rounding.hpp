#pragma once

#include <isotape/apps/verify/arithmetic.hpp>
#include <isotape/apps/verify/network.hpp>

namespace isotape::verify {

/// What is known of an activation: n >= the norm of the exact one, e >= that of the computed one's
/// error. Infinite e: nothing.
struct Accuracy {
  double norm;
  double error;
};

/// The rules of docs/certificate.md, "Rounding of the forward pass", rounded up.
Accuracy propagate(const Network& network, Accuracy input, const Format& format);

}  // namespace isotape::verify
