#include <nlohmann/json.hpp>

#include <isotape/apps/certificate.hpp>
#include <isotape/apps/verify/sha256.hpp>

namespace isotape {
namespace {

using Json = nlohmann::ordered_json;
using Operation = verify::Operation;

Json key_or_null(const std::string& key) { return key.empty() ? Json() : Json(key); }

Json json(const verify::Chain& chain);

Json branches(const Operation& o) {
  Json list = Json::array();
  for (const verify::Chain& branch : o.branches) list.push_back(json(branch));
  return list;
}

void add_options(const Operation& o, Json& to) {
  if (o.op == "linear" || o.op == "conv") {
    to["weight"] = o.weight;
    to["bias"] = key_or_null(o.bias);
  }
  if (o.op == "conv") {
    to["stride"] = o.stride;
    to["dilation"] = o.dilation;
    to["groups"] = o.groups;
    to["padding"] = o.circular ? "circular" : "zero";
    to["before"] = o.before;
    to["after"] = o.after;
  }
  if (o.op == "sort" || o.op == "maxout") {
    to["size"] = o.size;
    to["pairing"] = o.adjacent ? "adjacent" : "split";
  }
  if (o.op == "leaky_relu") to["slope"] = o.slope;
  if (o.op == "pixel_unshuffle" || o.op == "pixel_shuffle" || o.op == "upsample") {
    to["factor"] = o.factor;
  }
  if (o.op == "channel_pad" || o.op == "first_channels") to["channels"] = o.channels;
  if (o.op == "channel_shuffle") to["groups"] = o.groups;
  if (o.op == "l2pool" || o.op == "avgpool") {
    to["kernel"] = o.kernel;
    to["stride"] = o.stride;
  }
  if (o.op == "center") {
    to["mean"] = o.mean;
    to["bias"] = o.bias;
  }
  if (o.op == "layer_center") to["over"] = o.over;
  if (o.op == "bias") to["bias"] = o.bias;
  if (o.op == "shift") to["distance"] = o.distance;
  if (o.op == "nact") {
    to["lower"] = o.lower;
    to["upper"] = o.upper;
  }
  if (o.op == "potential" || o.op == "skew_exp") {
    to["weight"] = o.weight;
    if (o.op == "potential") to["bias"] = key_or_null(o.bias);
    if (o.op == "skew_exp") to["terms"] = o.terms;
    to["padding"] = o.circular ? "circular" : "zero";
    to["before"] = o.before;
    to["after"] = o.after;
    to["sigma"] = {o.sigma.lower, o.sigma.upper};
  }
  if (o.op == "sandwich") {
    to["weight"] = o.weight;
    to["psi"] = o.psi;
    to["bias"] = key_or_null(o.bias);
    to["activation"] = o.activation;
    to["sigma"] = {o.sigma.lower, o.sigma.upper};
  }
  if (o.op == "gain") to["value"] = o.value;
  if (o.op == "sum" || o.op == "concat" || o.op == "split") to["branches"] = branches(o);
  if (o.op == "convex") {
    to["mix"] = o.mix;
    to["layers"] = json(o.branches.at(0));
  }
  if (o.op == "linear" || o.op == "conv") to["sigma"] = {o.sigma.lower, o.sigma.upper};
}

Json json(const verify::Chain& chain) {
  Json list = Json::array();
  for (const Operation& operation : chain) {
    Json object = {{"name", operation.name}, {"op", operation.op}};
    add_options(operation, object);
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
