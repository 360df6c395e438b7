#include <isotape/apps/proof_text.hpp>

#include <fmt/format.h>
#include <cmath>
#include <utility>
#include <vector>

#include <isotape/apps/table.hpp>

namespace isotape {
namespace {

using Json = nlohmann::ordered_json;

std::string digits(double value) { return fmt::format("{:.9f}", value); }
std::string digits_up(double value) { return digits(std::ceil(value * 1e9) / 1e9); }
std::string digits_down(double value) { return digits(std::floor(value * 1e9) / 1e9); }

void add_lines(const Proof& proof, std::size_t depth, std::vector<std::vector<std::string>>& rows) {
  rows.push_back({std::string(2 * depth, ' ') + proof.name, proof.kind,
                  digits_down(proof.enclosure.lower), digits_up(proof.enclosure.upper),
                  proof.enclosure.rule});
  for (const Proof& part : proof.parts) add_lines(part, depth + 1, rows);
}

}  // namespace

std::string proof_text(const Proof& proof) {
  std::vector<std::vector<std::string>> rows = {
      {"line", "kind", "sigma >=", "sigma <=", "because"}};
  add_lines(proof, 0, rows);
  return table(rows);
}

std::string head_text(const HeadProof& head) {
  const std::string most = digits_up(head.proof.enclosure.upper);
  if (!head.is_linear) {
    return fmt::format("Proved bound of a difference of two logits: {} (sqrt(2) times the net's)\n",
                       most);
  }
  const Proof& pairs = head.proof.parts.back();
  return fmt::format(
      "Proved bound of a difference of two logits: {} to {}, for each pair |w_i - w_j| of {} "
      "times\n"
      "the bound {} of all before it\n",
      digits_down(pairs.enclosure.lower * head.body.value), most, head.head,
      digits_up(head.body.value));
}

Json proof_json(const Proof& proof) {
  Json parts = Json::array();
  for (const Proof& part : proof.parts) parts.push_back(proof_json(part));
  return {{"name", proof.name},
          {"kind", proof.kind},
          {"lower", proof.enclosure.lower},
          {"upper", proof.enclosure.upper},
          {"rule", proof.enclosure.rule},
          {"parts", std::move(parts)}};
}

Json head_json(const HeadProof& head) {
  Json result = {
      {"layer", nullptr}, {"body", head.body.value}, {"pairs", nullptr}, {"net", head.net.value}};
  if (!head.is_linear) return result;
  result["layer"] = head.head;
  const std::int64_t classes = head.pair_norms.dim(0);
  for (std::int64_t i = 0; i < classes; ++i) {
    const double* row = head.pair_norms.data<double>() + i * classes;
    result["pairs"].push_back(std::vector<double>(row, row + classes));
  }
  return result;
}

}  // namespace isotape
