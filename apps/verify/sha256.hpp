#pragma once

#include <string>
#include <string_view>

namespace isotape::verify {

/// SHA-256 of these bytes, 64 hexadecimal digits in lower case.
std::string sha256(std::string_view bytes);

}  // namespace isotape::verify
