#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace isotape {

/// Text in columns: the first row is the heading, ruled off; a column whose other cells are all
/// numbers is set flush right.
std::string table(const std::vector<std::vector<std::string>>& rows);

/// 1234567 as "1,234,567".
std::string with_commas(std::int64_t number);

}  // namespace isotape
