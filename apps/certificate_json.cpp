#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include <isotape/apps/certificate.hpp>
#include <isotape/apps/verify/sha256.hpp>

namespace isotape {
namespace {

using Json = nlohmann::ordered_json;
using Operation = verify::Operation;

Json json(const verify::Chain& chain);

// An option of an operation under its key.
Json option(const Operation& o, std::string_view key) {
  const std::map<std::string_view, std::string Operation::*> texts = {
      {"weight", &Operation::weight},
      {"mean", &Operation::mean},
      {"mix", &Operation::mix},
      {"lower", &Operation::lower},
      {"upper", &Operation::upper},
      {"psi", &Operation::psi},
      {"theta", &Operation::theta},
      {"scale", &Operation::scale},
      {"shift", &Operation::shift},
      {"over", &Operation::over},
      {"activation", &Operation::activation}};
  const std::map<std::string_view, std::int64_t Operation::*> integers = {
      {"stride", &Operation::stride}, {"dilation", &Operation::dilation},
      {"groups", &Operation::groups}, {"size", &Operation::size},
      {"factor", &Operation::factor}, {"channels", &Operation::channels},
      {"kernel", &Operation::kernel}, {"distance", &Operation::distance},
      {"terms", &Operation::terms}};
  if (const auto found = texts.find(key); found != texts.end()) return o.*found->second;
  if (const auto found = integers.find(key); found != integers.end()) return o.*found->second;
  if (key == "bias") return o.bias.empty() ? Json() : Json(o.bias);
  if (key == "padding") return o.circular ? "circular" : "zero";
  if (key == "pairing") return o.adjacent ? "adjacent" : "split";
  if (key == "before") return o.before;
  if (key == "after") return o.after;
  if (key == "sigma") return {o.sigma.lower, o.sigma.upper};
  if (key == "slope") return o.slope;
  if (key == "value") return o.value;
  if (key == "layers") return json(o.branches.at(0));
  Json list = Json::array();
  for (const verify::Chain& branch : o.branches) list.push_back(json(branch));
  return list;
}

Json json(const verify::Chain& chain) {
  Json list = Json::array();
  for (const Operation& operation : chain) {
    Json object = {{"name", operation.name}, {"op", operation.op}};
    for (const std::string_view key : verify::option_keys(operation.op)) {
      object[std::string(key)] = option(operation, key);
    }
    list.push_back(std::move(object));
  }
  return list;
}

Json head(const verify::Certificate& c) {
  if (!c.head) return {};
  return {{"body", c.head->body}, {"pairs", c.head->pairs}};
}

Json counts(const verify::Certificate& c) {
  Json list = Json::array();
  for (const verify::Count& count : c.eps) {
    list.push_back({{"text", count.text},
                    {"images", {{"real", count.real}, {"f64", count.f64}, {"f32", count.f32}}}});
  }
  return list;
}

}  // namespace

std::string to_json(const verify::Certificate& c) {
  const std::string zeros(64, '0');
  const Json certificate = {
      {"format", "isotape-certificate-1"},
      {"model", c.model},
      {"weights", {{"file", c.weights_file}, {"sha256", c.weights_sha256}}},
      {"data", {{"dataset", c.dataset}, {"images", c.images}, {"sha256", c.data_sha256}}},
      {"input", {{"shape", c.input}, {"scale", c.scale}}},
      {"classes", c.classes},
      {"layers", json(c.layers)},
      {"lipschitz", c.lipschitz},
      {"head", head(c)},
      {"proof", c.proof},
      {"eps", counts(c)},
      {"clean", c.clean},
      {"labels", c.labels},
      {"logits", c.logits},
      {"norm", c.norm},
      {"error", c.error},
      {"radius", {{"real", c.radius_real}, {"f64", c.radius_f64}, {"f32", c.radius_f32}}},
      {"sha256", zeros}};
  std::string text = certificate.dump(2) + '\n';
  text.replace(text.rfind(zeros), zeros.size(), verify::sha256(text));
  return text;
}

}  // namespace isotape
