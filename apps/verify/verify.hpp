#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <isotape/apps/verify/certificate.hpp>
#include <isotape/apps/verify/weights_file.hpp>

namespace isotape::verify {

/// Each claim as the checker confirms it: its own number where that claims less, else the recorded
/// one. A certificate that equals its confirmed form holds, logits, labels and norms taken as
/// recorded. For who writes one: fill everything in, confirm, write down the result.
///
/// sigma: the hull of both; lipschitz, head, error: the larger; radii and counts: the smaller.
///
/// @throws Failure  if shapes, options or weights do not fit together
Certificate confirmed(const Certificate& claims, const WeightsFile& weights);

struct Verdict {
  bool holds = false;
  std::string line;  ///< what is proved, or which line of the proof fails
};

/// Re-derives a certificate, in the order of docs/certificate.md; with a data folder the logits,
/// too.
///
/// @throws Missing  if a file is not there or cannot be read
Verdict verify_certificate(const std::filesystem::path& certificate,
                           const std::filesystem::path& weights,
                           const std::optional<std::filesystem::path>& data = {});

}  // namespace isotape::verify
