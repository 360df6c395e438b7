#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace isotape {

/// Base of every exception this library throws on purpose. Messages have the form
/// `op: expected <what>, got <value>[; hint]`.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A tensor has a shape (or an element type) that the operation cannot accept.
struct ShapeError : Error {
  using Error::Error;
};

/// A scalar argument, an option or a name is outside its documented range.
struct ValueError : Error {
  using Error::Error;
};

/// A file could not be opened, read or written; the message names its path.
struct IoError : Error {
  using Error::Error;
};

/// A file is missing or does not hold what its format demands; the message names path and offset.
struct DataError : IoError {
  using IoError::IoError;
};

/// An iteration did not converge, or a value is not finite.
struct NumericError : Error {
  using Error::Error;
};

/// The gradient of an operation without a derivative was asked for.
struct NoGradientError : Error {
  using Error::Error;
};

/// The parts, streamed one after the other.
template <class... Parts>
std::string message(const Parts&... parts) {
  std::ostringstream stream;
  (stream << ... << parts);
  return stream.str();
}

/// Throws E unless `ok`; the message is the parts, streamed one after the other.
template <class E, class... Parts>
void require(bool ok, const Parts&... parts) {
  if (ok) [[likely]] {
    return;
  }
  throw E(message(parts...));
}

}  // namespace isotape
