#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <isotape/apps/eps.hpp>
#include <isotape/apps/run_directory.hpp>
#include <isotape/apps/verify/certificate.hpp>
#include <isotape/apps/verify/weights_file.hpp>

namespace isotape {

/// What is proved about a run: the claims of docs/certificate.md, from the engine's own enclosures
/// and its f64 forward pass. `confirmed()` of the checker makes a certificate of them.
///
/// @param weights  the run's model.safetensors
/// @param images   the first ones of the test set, 1..its size
/// @throws ValueError    for a layer that a certificate has no operation for
/// @throws CheckError    if folded weights are not those of the file, bit by bit
/// @throws NumericError  for logits or bounds that are not finite
verify::Certificate claims_of(LoadedRun& run, const verify::WeightsFile& weights,
                              const std::vector<Eps>& eps, std::int64_t images);

/// The proof in words: a line for the net, one for each operation, one for the head.
std::vector<std::string> proof_lines(const verify::Certificate& certificate);

/// The file's text, its own SHA-256 included.
std::string to_json(const verify::Certificate& certificate);

/// The images whose status at eps differs from that of the naive rule (z_y - max z_j) / sqrt(2) >
/// eps, which takes the network for 1-Lipschitz and its logits for exact.
std::vector<std::int64_t> changed_images(const verify::Certificate& certificate,
                                         const std::vector<double>& radii, double eps);

}  // namespace isotape
