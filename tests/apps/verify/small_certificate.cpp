#include "small_certificate.hpp"

#include <cfloat>
#include <random>

#include <isotape/apps/certificate.hpp>
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

Tensors every_tensor() {
  Tensors tensors;
  tensors.add("first.weight", {4, 2, 3, 3}, 0.2);
  tensors.add("first.bias", {4}, 0.1);
  tensors.add("center.mean", {8}, 0.1);
  tensors.add("center.bias", {8}, 0.1);
  tensors.add("second.weight", {3, 2, 4, 4}, 0.1);
  tensors.add("second.bias", {3}, 0.1);
  tensors.add("mix", {1}, 1);
  tensors.add("fc.weight", {3, 4}, 0.5);
  tensors.add("fc.bias", {3}, 0.1);
  return tensors;
}

Tensors composite_tensors() {
  Tensors tensors;
  tensors.add("kinks.lower", {5}, 0.1);
  tensors.add("kinks.upper", {5}, 0.1);
  tensors.add("bias", {5}, 0.1);
  tensors.add("affine.scale", {5}, 0.4);
  tensors.add("affine.shift", {5}, 0.1);
  tensors.add("mirror.theta", {2}, 2);
  tensors.add("sectors.theta", {3, 2}, 2);
  tensors.add("potential.weight", {3, 5, 2, 3}, 0.25);
  tensors.add("potential.bias", {3}, 0.1);
  tensors.add("series.weight", {5, 5, 3, 3}, 0.03);
  tensors.add("frequencies.weight", {12, 5, 5, 2}, 0.2);
  tensors.add("frequencies.bias", {5}, 0.1);
  tensors.add("smooth.weight", {12, 10, 5, 2}, 0.25);
  tensors.add("smooth.psi", {5}, 0.5);
  tensors.add("smooth.bias", {5}, 0.1);
  tensors.add("sandwich.weight", {9, 4}, 0.5);
  tensors.add("sandwich.psi", {4}, 0.5);
  tensors.add("sandwich.bias", {4}, 0.1);
  tensors.add("fc.weight", {3, 4}, 0.5);
  tensors.add("fc.bias", {3}, 0.1);
  return tensors;
}

// Composite operations of images of 4 x 4 x 1, and of vectors [5].
Chain pixel_composites() {
  Operation kinks = with(named("nact"), &Operation::lower, "kinks.lower");
  kinks.upper = "kinks.upper";
  Operation scaled = with(named("affine"), &Operation::scale, "affine.scale");
  scaled.shift = "affine.shift";
  Operation potential = affine("potential", "potential");
  potential.before = {0, 1};
  potential.after = {1, 1};
  Operation series = with(named("skew_exp"), &Operation::weight, "series.weight");
  series.sigma = {DBL_MAX, 0};
  series.circular = true;
  series.before = series.after = {1, 1};
  series.terms = 3;
  Operation smooth = affine("frequency_sandwich", "smooth");
  smooth.psi = "smooth.psi";
  smooth.activation = "tanh";
  return {
      with(named("channel_pad"), &Operation::channels, 5),
      with(named("shift"), &Operation::distance, 1),
      kinks,
      with(named("bias"), &Operation::bias, "bias"),
      scaled,
      potential,
      series,
      affine("frequencies", "frequencies"),
      smooth,
  };
}
Chain dense_composites() {
  Operation sectors = with(named("householder"), &Operation::theta, "sectors.theta");
  sectors.adjacent = true;
  Operation sandwich = affine("sandwich", "sandwich");
  sandwich.psi = "sandwich.psi";
  sandwich.activation = "softplus";
  return {
      sandwich,
      with(named("householder"), &Operation::theta, "mirror.theta"),
      sectors,
  };
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

}  // namespace

ordered_json to_json(const Certificate& c) {
  ordered_json content = ordered_json::parse(isotape::to_json(c));
  content.erase("sha256");
  return content;
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
      avgpool,
      joined("sum", named("relu")),
      named("global_avgpool"),
      affine("linear", "fc"),
  };
  return certified(std::move(c), every_tensor());
}

SmallCertificate every_composite() {
  Certificate c;
  c.layers = pixel_composites();
  c.layers.push_back(named("global_avgpool"));
  for (const Operation& operation : dense_composites()) c.layers.push_back(operation);
  c.layers.push_back(affine("linear", "fc"));
  return certified(std::move(c), composite_tensors());
}
