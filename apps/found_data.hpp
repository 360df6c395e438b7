#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <isotape/datasets/registry.hpp>

namespace isotape {

/// A data set as it is on this machine: opened and checked, or made when needed.
struct FoundData {
  std::string name;
  bool is_made = false;    ///< from a seed: there is nothing to find
  std::string folder;      ///< empty: not found, or made
  std::int64_t train = 0;  ///< images there are
  std::int64_t test = 0;
  std::string error;  ///< why it cannot be used
  std::vector<std::string> warnings;

  /// "ready, 60,000 + 10,000 images in /usr/share/...", or why not.
  std::string state() const;
};

/// Opens and checks every data set that is kept in files.
/// @param folder  searched first; empty: only the usual places
std::vector<FoundData> find_data(const std::string& folder);

}  // namespace isotape
