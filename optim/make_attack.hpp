#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/optim/attack.hpp>
#include <isotape/optim/noted_settings.hpp>

namespace isotape {

/// An attack made from text, and what it was made with.
struct NamedAttack {
  std::string text;                   ///< as given: "pgd:steps=200"
  std::string name;                   ///< "pgd"
  NotedSettings::Effective settings;  ///< every option with the value in effect
  std::unique_ptr<const Attack> attack;
};

/// The attack of a name with options (see Settings), as in "pgd:steps=200,norm=2".
/// @throws ValueError  on an unknown name or option (the text lists those there are), or a value
///                     out of range
NamedAttack make_attack(std::string_view text);

/// Attacks separated by semicolons: "pgd:steps=200;fgsm:norm=inf".
/// @throws ValueError  also for one that is given twice
std::vector<NamedAttack> make_attacks(std::string_view text);

/// An attack that make_attack() knows.
struct AttackInfo {
  std::string name;
  std::string options;  ///< with their defaults, and the other words that they accept
  std::string description;
};
const std::vector<AttackInfo>& attack_infos();

}  // namespace isotape
