#pragma once

#include <string_view>
#include <vector>

namespace isotape {

/// The name of a differentiable operation, registered by constructing one at namespace scope in the
/// op's source file. `record` takes an Op, so none can be recorded that is not registered, and the
/// test suite fails at its end for a registered op that no gradcheck ran on.
class Op {
 public:
  /// @param name  must outlive the program (a string literal)
  explicit Op(std::string_view name);
  std::string_view name() const { return name_; }

 private:
  std::string_view name_;
};

/// Names of all ops linked into this program, in no particular order.
const std::vector<std::string_view>& registered_ops();

/// Ops whose gradient a gradcheck of this process has checked, and the note that one was.
const std::vector<std::string_view>& gradchecked_ops();
void note_gradchecked(std::string_view op);

}  // namespace isotape
