#include <isotape/layers/model.hpp>

#include <algorithm>
#include <functional>

#include <isotape/core/error.hpp>
#include <isotape/layers/activation.hpp>
#include <isotape/layers/bcop.hpp>
#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/rearrange.hpp>

namespace isotape {
namespace {

// What a layer is built from: its options, the shape it receives, and its stream of random numbers.
struct Site {
  const LayerSpec& spec;
  OptionReader& options;
  const Shape& input;
  std::int64_t classes;
  Rng& rng;
};
using Built = std::unique_ptr<Module>;

std::int64_t output_extent(Site& site) {
  const OptionValue* out = site.options.find("out");
  if (out != nullptr && *out == OptionValue(std::string("classes"))) return site.classes;
  require<ValueError>(out != nullptr && std::holds_alternative<std::int64_t>(*out), site.spec.name,
                      " (", site.spec.type,
                      "): expected out to be a number of channels or \"classes\"");
  constexpr std::int64_t most = 1 << 20;
  const auto value = std::get<std::int64_t>(*out);
  require<ValueError>(1 <= value && value <= most, site.spec.name, " (", site.spec.type,
                      "): expected out in 1..", most, ", got ", value);
  return value;
}

int small_integer(Site& site, std::string_view key, std::int64_t fallback) {
  const std::int64_t value = site.options.integer(key, fallback);
  require<ValueError>(1 <= value && value <= 4096, site.spec.name, " (", site.spec.type,
                      "): expected ", key, " in 1..4096, got ", value);
  return static_cast<int>(value);
}

Bjorck bjorck_options(Site& site) {
  Bjorck bjorck;
  bjorck.options.order = static_cast<int>(site.options.integer("order", bjorck.options.order));
  bjorck.options.iterations =
      static_cast<int>(site.options.integer("iterations", bjorck.options.iterations));
  bjorck.raw_gain = site.options.number("raw_gain", 0);
  require<ValueError>(1 <= bjorck.options.order && bjorck.options.order <= 4, site.spec.name, " (",
                      site.spec.type, "): expected order in 1..4, got ", bjorck.options.order);
  require<ValueError>(0 <= bjorck.options.iterations && bjorck.options.iterations <= 1000,
                      site.spec.name, " (", site.spec.type,
                      "): expected iterations in 0..1000 (0: until converged), got ",
                      bjorck.options.iterations);
  require<ValueError>(bjorck.raw_gain >= 0 && bjorck.raw_gain <= 1e6, site.spec.name, " (",
                      site.spec.type, "): expected raw_gain in [0, 1e6] (0: 1/sqrt(fan-in)), got ",
                      bjorck.raw_gain);
  return bjorck;
}

CholeskyQr cholesky_options(Site& site) {
  const double raw_gain = site.options.number("raw_gain", CholeskyQr{}.raw_gain);
  require<ValueError>(raw_gain > 0 && raw_gain <= 1e6, site.spec.name, " (", site.spec.type,
                      "): expected raw_gain in (0, 1e6], got ", raw_gain);
  return {raw_gain};
}

Parametrization constraint(Site& site, std::string_view fallback) {
  const std::string word = site.options.text("constraint", fallback);
  if (word == "bjorck") return bjorck_options(site);
  if (word == "cayley") return Cayley{};
  if (word == "cholesky-qr") return cholesky_options(site);
  if (word == "spectral-norm") return SpectralNorm{small_integer(site, "iterations", 1)};
  require<ValueError>(word == "unconstrained", site.spec.name, " (", site.spec.type,
                      "): expected constraint bjorck, cayley, cholesky-qr, spectral-norm or "
                      "unconstrained, got '",
                      word, "'");
  return Unconstrained{};
}

Pairing pairing(Site& site) {
  const std::string word = site.options.text("pairing", "split");
  require<ValueError>(word == "split" || word == "adjacent", site.spec.name, " (", site.spec.type,
                      "): expected pairing split or adjacent, got '", word, "'");
  return word == "split" ? Pairing::split : Pairing::adjacent;
}

std::int64_t input_channels(const Site& site) {
  require<ShapeError>(site.input.rank() == 3, site.spec.name, " (", site.spec.type,
                      "): expected input [H, W, C], got ", site.input);
  return site.input[2];
}

Projectors projectors(Site& site) {
  const std::string word = site.options.text("projectors", "square");
  require<ValueError>(word == "square" || word == "tall", site.spec.name,
                      " (bcop): expected projectors square or tall, got '", word, "'");
  return word == "tall" ? Projectors::tall : Projectors::square;
}

Built build_bcop(Site& site) {
  const std::int64_t c_in = input_channels(site);
  const std::int64_t out = output_extent(site);
  const int kernel = small_integer(site, "kernel", 3);
  BcopOptions options;
  options.stride = small_integer(site, "stride", 1);
  options.frozen = site.options.boolean("frozen", false);
  options.doubled = site.options.boolean("doubled", false);
  options.bias = site.options.boolean("bias", true);
  options.projectors = projectors(site);
  options.orthogonalization = bjorck_options(site);
  return std::make_unique<BcopConv2d>(c_in, out, kernel, site.rng, options);
}

Built build_conv(Site& site) {
  const std::int64_t c_in = input_channels(site);
  const std::int64_t out = output_extent(site);
  const int kernel = small_integer(site, "kernel", 3);
  Conv2dLayerOptions options;
  options.stride = small_integer(site, "stride", 1);
  options.groups = small_integer(site, "groups", 1);
  options.dilation = small_integer(site, "dilation", 1);
  options.bias = site.options.boolean("bias", true);
  const std::string mode = site.options.text("padding", "circular");
  require<ValueError>(mode == "circular" || mode == "zero", site.spec.name,
                      " (conv): expected padding circular or zero, got '", mode,
                      "'; no bound is proved for others");
  options.padding_mode = mode == "zero" ? PadMode::zero : PadMode::circular;
  if (options.stride > 1 && kernel % options.stride == 0 && options.dilation == 1) {
    // As many pixels as make the output exactly 1/stride of the input.
    const int s = options.stride;
    const int before = s * (kernel / s / 2);
    const int after = s * ((kernel / s - 1) / 2);
    options.padding = Padding{before, after, before, after};
  }
  return std::make_unique<Conv2d>(c_in, out, kernel, constraint(site, "unconstrained"), site.rng,
                                  options);
}

Built build_linear(Site& site) {
  require<ShapeError>(site.input.rank() == 1, site.spec.name, " (linear): expected input [n], got ",
                      site.input, "; put a layer of type flatten before it");
  const std::int64_t out = output_extent(site);
  const Parametrization parametrization = constraint(site, "bjorck");
  const bool bias = site.options.boolean("bias", true);
  return std::make_unique<Linear>(site.input[0], out, parametrization, site.rng, bias);
}

Built build_max_min(Site& site) { return std::make_unique<MaxMin>(pairing(site)); }

Built build_group_sort(Site& site) {
  const int size = small_integer(site, "size", 2);
  return std::make_unique<GroupSort>(size, pairing(site));
}

Built build_unshuffle(Site& site) {
  return std::make_unique<PixelUnshuffle>(small_integer(site, "factor", 2));
}

struct Builder {
  LayerInfo info;
  Built (*build)(Site&);
};

const std::vector<Builder>& builders() {
  static const std::vector<Builder> table = {
      {{"bcop",
        "out, kernel, stride, frozen, doubled, bias, projectors, order, iterations, raw_gain",
        "orthogonal convolution by block convolution of projectors [Li 2019]; projectors square "
        "(default) or tall"},
       build_bcop},
      {{"conv",
        "out, kernel, stride, groups, dilation, padding, bias, constraint, order, iterations, "
        "raw_gain",
        "convolution; with constraint bjorck: reshaped-kernel orthogonalization"},
       build_conv},
      {{"linear", "out, bias, constraint, order, iterations, raw_gain",
        "dense layer; constraint bjorck (default), cayley, cholesky-qr, spectral-norm or "
        "unconstrained"},
       build_linear},
      {{"max-min", "pairing", "larger and smaller of each pair of channels [Anil 2019]"},
       build_max_min},
      {{"group-sort", "size, pairing", "sorted groups of channels [Anil 2019]"}, build_group_sort},
      {{"abs", "", "absolute value"}, [](Site&) -> Built { return std::make_unique<Abs>(); }},
      {{"relu", "", "positive part; 1-Lipschitz, loses gradient norm"},
       [](Site&) -> Built { return std::make_unique<ReLU>(); }},
      {{"pixel-unshuffle", "factor", "invertible downsampling"}, build_unshuffle},
      {{"flatten", "", "image to vector, channels first"},
       [](Site&) -> Built { return std::make_unique<Flatten>(); }},
  };
  return table;
}

const Builder& builder_of(const LayerSpec& layer) {
  const auto& table = builders();
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const Builder& b) { return b.info.type == layer.type; });
  if (found == table.end()) {
    std::string types;
    for (const Builder& b : table) types += (types.empty() ? "" : ", ") + std::string(b.info.type);
    throw ValueError(
        message(layer.name, ": expected a type of ", types, ", got '", layer.type, "'"));
  }
  return *found;
}

}  // namespace

const std::vector<LayerInfo>& layer_infos() {
  static const std::vector<LayerInfo> infos = [] {
    std::vector<LayerInfo> list;
    for (const Builder& b : builders()) list.push_back(b.info);
    return list;
  }();
  return infos;
}

Model build_model(const ModelSpec& spec, const Shape& input, std::int64_t classes, const Rng& rng) {
  require<ValueError>(!spec.layers.empty(), "model ", spec.name, ": expected layers, got none");
  Model model{spec, input, classes, {}};
  Shape shape = input;
  for (const LayerSpec& layer : spec.layers) {
    OptionReader options(layer);
    Rng stream = rng.stream("init").stream(layer.name);
    Site site{layer, options, shape, classes, stream};
    std::unique_ptr<Module> module = builder_of(layer).build(site);
    options.finish();
    try {
      shape = module->output_shape(shape);
    } catch (const ShapeError& error) {
      throw ShapeError(layer.name + ": " + error.what());
    }
    model.net.add(layer.name, std::move(module));
  }
  require<ShapeError>(shape == Shape{classes}, "model ", spec.name, ": expected logits [", classes,
                      "] for ", classes, " classes, got ", shape);
  return model;
}

}  // namespace isotape
