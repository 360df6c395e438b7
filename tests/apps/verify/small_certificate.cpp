#include "small_certificate.hpp"

#include <cfloat>
#include <random>

#include <isotape/apps/verify/data.hpp>
#include <isotape/apps/verify/forward.hpp>
#include <isotape/apps/verify/network.hpp>
#include <isotape/apps/verify/sha256.hpp>
#include <isotape/apps/verify/verify.hpp>

using namespace isotape::verify;
using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr std::int64_t side = 4;

// Numbers of a network: kernels that are roughly of norm 1, small biases.
class Tensors {
 public:
  void add(const std::string& key, std::vector<std::int64_t> shape, double scale) {
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) count *= extent;
    StoredTensor tensor{std::move(shape), {}};
    for (std::int64_t i = 0; i < count; ++i) {
      tensor.entries.push_back(static_cast<float>(scale * normal_(random_)));
    }
    tensors_[key] = std::move(tensor);
  }
  const std::map<std::string, StoredTensor>& all() const { return tensors_; }

 private:
  std::mt19937 random_{5};
  std::normal_distribution<double> normal_;
  std::map<std::string, StoredTensor> tensors_;
};

Operation named(const char* op) {
  Operation o;
  o.name = o.op = op;
  return o;
}

Operation affine(const char* op, const std::string& name) {
  Operation o = named(op);
  o.name = name;
  o.weight = name + ".weight";
  o.bias = name + ".bias";
  o.sigma = {DBL_MAX, 0};
  return o;
}

template <class Member, class T>
Operation with(Operation o, Member member, const T& value) {
  o.*member = value;
  return o;
}

// The network's images, and what can be claimed of them: everything, for the checker to confirm.
SmallCertificate certified(Certificate c, const Tensors& tensors) {
  SmallCertificate result;
  std::mt19937 random(3);
  constexpr std::int64_t images = 5;
  for (std::int64_t i = 0; i < images * side * side; ++i) {
    result.pixels += static_cast<char>(random() % 256);
  }
  result.weights = safetensors_of(tensors.all());
  const WeightsFile weights = parse_weights(result.weights);
  c.weights_file = "weights.safetensors";
  c.weights_sha256 = weights.sha256;
  c.model = "small";
  c.dataset = "mnist";
  c.data_sha256 = sha256(result.pixels);
  c.images = images;
  c.input = {side, side, 1};
  c.scale = 255;
  c.classes = 3;
  c.proof = {"by hand"};
  std::vector<std::vector<double>> inputs(images);
  for (std::int64_t i = 0; i < images; ++i) {
    const std::string image = result.pixels.substr(i * side * side, side * side);
    for (const char byte : image) inputs[i].push_back(static_cast<unsigned char>(byte) / 255.0);
    c.norm.push_back(pixel_norm(image, c.scale));
  }
  c.logits = forward(resolve(c.layers, {side, side, 1, false}, weights), inputs);
  for (std::int64_t i = 0; i < images; ++i) {
    const auto largest = std::max_element(c.logits[i].begin(), c.logits[i].end());
    // All but the last image are classified as their label says.
    const std::int64_t label = (largest - c.logits[i].begin() + (i == images - 1 ? 1 : 0)) % 3;
    c.labels.push_back(label);
    result.labels.push_back(static_cast<std::uint8_t>(label));
  }
  c.error.assign(images, 0);
  c.radius_real = c.radius_f64 = c.radius_f32 = std::vector<double>(images, DBL_MAX);
  c.head = Head{0, std::vector<std::vector<double>>(3, std::vector<double>(3))};
  c.clean = images;
  for (const char* text : {"1/1000", "0.05"}) c.eps.push_back({text, images, images, images});
  result.json = to_json(confirmed(c, weights));
  return result;
}

ordered_json to_json(const Chain& chain);

ordered_json to_json(const Operation& o) {
  ordered_json j = {{"name", o.name}, {"op", o.op}};
  if (o.op == "linear" || o.op == "conv") {
    j["weight"] = o.weight;
    j["bias"] = o.bias.empty() ? ordered_json() : ordered_json(o.bias);
    if (o.op == "conv") {
      j["stride"] = o.stride;
      j["dilation"] = o.dilation;
      j["groups"] = o.groups;
      j["padding"] = o.circular ? "circular" : "zero";
      j["before"] = o.before;
      j["after"] = o.after;
    }
    j["sigma"] = {o.sigma.lower, o.sigma.upper};
  }
  if (o.op == "sort" || o.op == "maxout") {
    j["size"] = o.size;
    j["pairing"] = o.adjacent ? "adjacent" : "split";
  }
  if (o.op == "leaky_relu") j["slope"] = o.slope;
  if (o.op == "pixel_unshuffle" || o.op == "pixel_shuffle" || o.op == "upsample") {
    j["factor"] = o.factor;
  }
  if (o.op == "channel_pad" || o.op == "first_channels") j["channels"] = o.channels;
  if (o.op == "channel_shuffle") j["groups"] = o.groups;
  if (o.op == "l2pool" || o.op == "avgpool") {
    j["kernel"] = o.kernel;
    j["stride"] = o.stride;
  }
  if (o.op == "center") {
    j["mean"] = o.mean;
    j["bias"] = o.bias;
  }
  if (o.op == "layer_center") j["over"] = o.over;
  if (o.op == "bias") j["bias"] = o.bias;
  if (o.op == "shift") j["distance"] = o.distance;
  if (o.op == "nact") {
    j["lower"] = o.lower;
    j["upper"] = o.upper;
  }
  if (o.op == "potential" || o.op == "skew_exp") {
    j["weight"] = o.weight;
    if (o.op == "potential") j["bias"] = o.bias.empty() ? ordered_json() : ordered_json(o.bias);
    if (o.op == "skew_exp") j["terms"] = o.terms;
    j["padding"] = o.circular ? "circular" : "zero";
    j["before"] = o.before;
    j["after"] = o.after;
    j["sigma"] = {o.sigma.lower, o.sigma.upper};
  }
  if (o.op == "sandwich") {
    j["weight"] = o.weight;
    j["psi"] = o.psi;
    j["bias"] = o.bias.empty() ? ordered_json() : ordered_json(o.bias);
    j["activation"] = o.activation;
    j["sigma"] = {o.sigma.lower, o.sigma.upper};
  }
  if (o.op == "gain") j["value"] = o.value;
  if (o.op == "convex") {
    j["mix"] = o.mix;
    j["layers"] = to_json(o.branches.at(0));
  } else if (!o.branches.empty()) {
    j["branches"] = ordered_json::array();
    for (const Chain& branch : o.branches) j["branches"].push_back(to_json(branch));
  }
  return j;
}

ordered_json to_json(const Chain& chain) {
  ordered_json list = ordered_json::array();
  for (const Operation& o : chain) list.push_back(to_json(o));
  return list;
}

}  // namespace

ordered_json to_json(const Certificate& c) {
  ordered_json eps = ordered_json::array();
  for (const Count& row : c.eps) {
    const ordered_json images = {{"real", row.real}, {"f64", row.f64}, {"f32", row.f32}};
    eps.push_back({{"text", row.text}, {"images", images}});
  }
  return {
      {"format", "isotape-certificate-1"},
      {"model", c.model},
      {"weights", {{"file", c.weights_file}, {"sha256", c.weights_sha256}}},
      {"data", {{"dataset", c.dataset}, {"images", c.images}, {"sha256", c.data_sha256}}},
      {"input", {{"shape", c.input}, {"scale", c.scale}}},
      {"classes", c.classes},
      {"layers", to_json(c.layers)},
      {"lipschitz", c.lipschitz},
      {"head",
       c.head ? ordered_json{{"body", c.head->body}, {"pairs", c.head->pairs}} : ordered_json()},
      {"proof", c.proof},
      {"eps", eps},
      {"clean", c.clean},
      {"labels", c.labels},
      {"logits", c.logits},
      {"norm", c.norm},
      {"error", c.error},
      {"radius", {{"real", c.radius_real}, {"f64", c.radius_f64}, {"f32", c.radius_f32}}},
  };
}

std::string SmallCertificate::text(const ordered_json& content) {
  ordered_json whole = content;
  whole["sha256"] = std::string(64, '0');
  const std::string blank = whole.dump(2) + '\n';
  whole["sha256"] = sha256(blank);
  return whole.dump(2) + '\n';
}

std::string safetensors_of(const std::map<std::string, StoredTensor>& tensors) {
  json header = json::object();
  std::string elements;
  for (const auto& [key, tensor] : tensors) {
    const std::size_t begin = elements.size();
    elements.append(reinterpret_cast<const char*>(tensor.entries.data()),
                    4 * tensor.entries.size());
    header[key] = {
        {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, elements.size()}}};
  }
  const std::string text = header.dump();
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text + elements;
}

SmallCertificate small_certificate() {
  Tensors tensors;
  tensors.add("conv.weight", {2, 1, 3, 3}, 0.3);
  tensors.add("conv.bias", {2}, 0.1);
  tensors.add("fc.weight", {3, 32}, 0.2);
  tensors.add("fc.bias", {3}, 0.1);
  Operation conv = affine("conv", "conv");
  conv.circular = true;
  conv.before = conv.after = {1, 1};
  Certificate c;
  c.layers = {conv, with(named("sort"), &Operation::size, 2), named("flatten"),
              affine("linear", "fc")};
  return certified(std::move(c), tensors);
}

SmallCertificate every_operation() {
  Tensors tensors;
  tensors.add("first.weight", {4, 2, 3, 3}, 0.2);
  tensors.add("first.bias", {4}, 0.1);
  tensors.add("center.mean", {8}, 0.1);
  tensors.add("center.bias", {8}, 0.1);
  tensors.add("second.weight", {3, 2, 4, 4}, 0.1);
  tensors.add("second.bias", {3}, 0.1);
  tensors.add("mix", {1}, 1);
  tensors.add("kinks.lower", {5}, 0.1);
  tensors.add("kinks.upper", {5}, 0.1);
  tensors.add("bias", {5}, 0.1);
  tensors.add("potential.weight", {3, 5, 2, 3}, 0.2);
  tensors.add("potential.bias", {3}, 0.1);
  tensors.add("series.weight", {5, 5, 3, 3}, 0.1);
  tensors.add("sandwich.weight", {9, 4}, 0.2);
  tensors.add("sandwich.psi", {4}, 0.5);
  tensors.add("sandwich.bias", {4}, 0.1);
  tensors.add("fc.weight", {3, 4}, 0.5);
  tensors.add("fc.bias", {3}, 0.1);

  Operation first = affine("conv", "first");
  first.circular = true;
  first.before = first.after = {1, 1};
  first.groups = 2;
  Operation second = affine("conv", "second");
  second.before = second.after = {1, 1};  // no window would reach a row more
  second.stride = 2;
  Operation maxout = with(named("maxout"), &Operation::size, 2);
  maxout.adjacent = true;
  Operation center = with(named("center"), &Operation::mean, "center.mean");
  center.bias = "center.bias";
  Operation l2pool = with(named("l2pool"), &Operation::kernel, 2);
  Operation avgpool = with(named("avgpool"), &Operation::kernel, 2);
  Operation convex = with(named("convex"), &Operation::mix, "mix");
  convex.branches = {{named("relu")}};
  Operation kinks = with(named("nact"), &Operation::lower, "kinks.lower");
  kinks.upper = "kinks.upper";
  Operation potential = affine("potential", "potential");
  potential.before = {0, 1};
  potential.after = {1, 1};
  Operation series = with(named("skew_exp"), &Operation::weight, "series.weight");
  series.sigma = {DBL_MAX, 0};
  series.circular = true;
  series.before = series.after = {1, 1};
  series.terms = 3;
  Operation sandwich = affine("sandwich", "sandwich");
  sandwich.psi = "sandwich.psi";
  sandwich.activation = "softplus";
  const auto joined = [](const char* op, const Operation& other) {
    return with(named(op), &Operation::branches, std::vector<Chain>{{}, {other}});
  };
  Certificate c;
  c.layers = {
      with(named("channel_pad"), &Operation::channels, 4),
      first,
      with(named("channel_shuffle"), &Operation::groups, 2),
      with(named("sort"), &Operation::size, 2),
      with(named("pixel_unshuffle"), &Operation::factor, 2),
      maxout,
      center,
      named("abs"),
      with(named("pixel_shuffle"), &Operation::factor, 2),
      with(named("upsample"), &Operation::factor, 2),
      second,
      with(named("leaky_relu"), &Operation::slope, 0.3),
      l2pool,
      with(named("layer_center"), &Operation::over, "all"),
      with(named("gain"), &Operation::value, 0.5),
      joined("sum", named("relu")),
      joined("concat", named("abs")),
      joined("split", with(named("sort"), &Operation::size, 3)),
      convex,
      with(named("first_channels"), &Operation::channels, 4),
      with(named("channel_pad"), &Operation::channels, 5),
      with(named("shift"), &Operation::distance, 1),
      kinks,
      with(named("bias"), &Operation::bias, "bias"),
      potential,
      series,
      avgpool,
      joined("sum", named("relu")),
      named("global_avgpool"),
      sandwich,
      affine("linear", "fc"),
  };
  return certified(std::move(c), tensors);
}
