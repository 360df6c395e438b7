#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace isotape {

/// "; did you mean --epochs?" with the name that differs from a word in the fewest letters (at most
/// a third of them), or nothing: the end of an error message.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& names);

}  // namespace isotape
