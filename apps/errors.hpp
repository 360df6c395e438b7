#pragma once

#include <iosfwd>

#include <isotape/core/error.hpp>

namespace isotape {

/// The command line, a configuration or a model file asks for what there is not.
struct UsageError : Error {
  using Error::Error;
};

/// A check that a command was asked to make failed: a bound is violated, two results differ.
struct CheckError : Error {
  using Error::Error;
};

/// A person or the system stopped the command; what could be saved was saved.
struct Interrupted : Error {
  using Error::Error;
};

/// What the process returns to the shell.
enum ExitCode : int {
  exit_ok = 0,
  exit_error = 1,         ///< at run time: a file that cannot be written, no memory, no convergence
  exit_usage = 2,         ///< flags, configuration, names, sizes
  exit_check = 3,         ///< a check failed
  exit_data = 4,          ///< data or a checkpoint missing or corrupt
  exit_interrupted = 130  ///< after saving
};

/// Prints the exception being handled as one line, `isotape: error: ...`, and returns its code. To
/// be called in a catch block.
int report_exception(std::ostream& os);

}  // namespace isotape
