#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <isotape/apps/attack_evaluation.hpp>

namespace isotape {

/// The table of robust accuracy by norm and eps, and the settings of each attack.
std::string attack_text(const AttackEvaluation& evaluation, const std::vector<Eps>& eps);

/// The same as one JSON object.
std::string attack_json(const AttackEvaluation& evaluation, const std::vector<Eps>& eps);

/// Writes original and adversarial image of each broken certificate as .npy, and as PGM or PPM
/// where they can be drawn.
/// @return  the paths, four or two for each
/// @throws IoError  if a file cannot be written
std::vector<std::filesystem::path> save_broken(const std::filesystem::path& folder,
                                               const AttackEvaluation& evaluation);

/// Throws unless certified <= attacked everywhere and no certificate is broken.
/// @throws CheckError  naming the image, the attack and the file of the first one
void check_order(const AttackEvaluation& evaluation,
                 const std::vector<std::filesystem::path>& saved);

/// What `--attack` accepts: names, options with their defaults.
std::string attacks_help();

}  // namespace isotape
