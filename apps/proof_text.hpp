#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include <isotape/layers/head_proof.hpp>

namespace isotape {

/// A proof as a table: a line for each of its lines, parts below and right of what follows from
/// them, with the limits rounded outwards to 9 digits, and the rule.
std::string proof_text(const Proof& proof);

/// What certifies predictions: the bound of a difference of two logits, and from what.
std::string head_text(const HeadProof& head);

/// The same as nested objects: name, kind, lower, upper, rule, parts.
nlohmann::ordered_json proof_json(const Proof& proof);

/// layer (null if the last one is not dense), body, pairs [C][C] (null likewise), net.
nlohmann::ordered_json head_json(const HeadProof& head);

}  // namespace isotape
