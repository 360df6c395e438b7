#pragma once

#include <stdexcept>

// The checker of certificates. Nothing in this folder includes anything of isotape but the folder's
// own headers: what it confirms, it confirms with other code than that which made the certificate.
namespace isotape::verify {

/// A line of the proof that fails, or a certificate, weights or data that are not what they should
/// be: `what: expected ..., found ...`.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A file that is not there or cannot be read.
struct Missing : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace isotape::verify
