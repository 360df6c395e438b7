#include <algorithm>
#include <array>

#include <isotape/core/error.hpp>
#include <isotape/layers/chain.hpp>
#include <isotape/layers/comparison_nets.hpp>
#include <isotape/layers/lbdn_nets.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/layers/plain_nets.hpp>
#include <isotape/layers/registry.hpp>

namespace isotape {
namespace {

ModelSpec small(std::string name, const Parts& parts) {
  return Chain(std::move(name), parts)
      .conv(16, 4, 2)
      .activate()
      .conv(32, 4, 2)
      .activate()
      .add("flatten", "flatten")
      .dense(std::int64_t{100})
      .activate()
      .classes();
}

ModelSpec large(std::string name, const Parts& parts) {
  Chain chain(std::move(name), parts);
  for (const std::int64_t width : {32, 64}) {
    chain.conv(width, 3, 1).activate().conv(width, 4, 2).activate();
  }
  chain.add("flatten", "flatten");
  for (int i = 0; i < 2; ++i) chain.dense(std::int64_t{512}).activate();
  return chain.classes();
}

ModelSpec dense(std::string name, const Parts& parts, int count) {
  Chain chain(std::move(name), parts);
  chain.add("flatten", "flatten");
  for (int i = 0; i < count; ++i) chain.dense(std::int64_t{1024}).activate();
  return chain.classes();
}

// 64 x 64 pixels: smaller square images are enlarged, which multiplies the net's bound.
ModelSpec dcgan(std::string name, const Parts& parts) {
  Chain chain(std::move(name), parts);
  chain.add("enlarge", "upsample", {{"side", std::int64_t{64}}});
  for (const std::int64_t width : {64, 128, 256, 512}) chain.conv(width, 4, 2).activate();
  return chain.add("flatten", "flatten").classes();
}

// One AOC layer on as many channels, for measurements: 64 at 32 x 32 pixels of an image in colour,
// 512 at 4 x 4; the pixels become channels, zeros fill them up.
ModelSpec aoc_block(std::string name, std::string_view channels) {
  const std::int64_t width = std::stoll(std::string(channels));
  Parts parts;
  parts.convolution = {"", "aoc", {}};
  Chain chain(std::move(name), parts);
  if (width > 64) chain.add("unshuffle", "pixel-unshuffle", {{"factor", width / 64}});
  chain.add("pad", "channel-pad", {{"out", width}}).conv(width, 3).add("flatten", "flatten");
  return chain.add("logits", "first-channels", {{"out", std::string("classes")}}).end();
}

std::vector<std::string> aoc_widths() { return {"64", "128", "256", "512"}; }

std::vector<std::string> types_of(std::initializer_list<LayerKind> kinds) {
  std::vector<std::string> types;
  for (const LayerType* type : layer_types()) {
    if (std::find(kinds.begin(), kinds.end(), type->kind) != kinds.end()) {
      types.emplace_back(type->type);
    }
  }
  return types;
}

std::vector<std::string> any_part() {
  return types_of({LayerKind::dense, LayerKind::convolution, LayerKind::activation});
}

std::vector<std::string> convolutional_part() {
  return types_of({LayerKind::convolution, LayerKind::activation});
}

// "lipconvnet-10:soc".
ModelSpec lipconvnet_by_name(std::string name, std::string_view layer) {
  const int depth = std::stoi(name.substr(name.find('-') + 1));
  return lipconvnet(std::move(name), layer, depth);
}
std::vector<std::string> any_convolution() { return types_of({LayerKind::convolution}); }

// A model, or, with layers to choose from, one for each: its name ends with ":<layer>".
struct Named {
  std::string_view name;
  std::string_view description;
  ModelSpec (*make)(std::string name, std::string_view layer);
  std::vector<std::string> (*layers)() = nullptr;
};

constexpr std::array table = {
    Named{"bcop-small", "2 BCOP convolutions, 2 orthogonal dense layers [Li 2019, Small]",
          [](std::string name, std::string_view) { return small(std::move(name), {}); }},
    Named{"bcop-large", "4 BCOP convolutions, 3 orthogonal dense layers [Li 2019, Large]",
          [](std::string name, std::string_view) { return large(std::move(name), {}); }},
    Named{"fc-3", "orthogonal dense layers 1024-1024-1024-classes [Anil 2019]",
          [](std::string name, std::string_view) { return dense(std::move(name), {}, 3); }},
    Named{"mlp-3", "orthogonal dense layers 1024-1024-classes",
          [](std::string name, std::string_view) { return dense(std::move(name), {}, 2); }},
    Named{
        "plain-small", "bcop-small without constraints",
        [](std::string name, std::string_view) { return small(std::move(name), Parts::plain()); }},
    Named{
        "plain-large", "bcop-large without constraints",
        [](std::string name, std::string_view) { return large(std::move(name), Parts::plain()); }},
    Named{"plain-fc-3", "fc-3 without constraints",
          [](std::string name, std::string_view) {
            return dense(std::move(name), Parts::plain(), 3);
          }},
    Named{"plain-mlp-3", "mlp-3 without constraints",
          [](std::string name, std::string_view) {
            return dense(std::move(name), Parts::plain(), 2);
          }},
    Named{"small", "bcop-small with its convolutions, dense layers or activations of another type",
          [](std::string name, std::string_view layer) {
            return small(std::move(name), Parts::with(layer));
          },
          any_part},
    Named{"large", "bcop-large with its convolutions, dense layers or activations of another type",
          [](std::string name, std::string_view layer) {
            return large(std::move(name), Parts::with(layer));
          },
          any_part},
    Named{"kwlarge",
          "4 convolutions, 3 dense layers, or the SLL net beside them [Wang 2023, KWLarge, small]",
          [](std::string name, std::string_view layer) {
            return kw_large(std::move(name), layer, 1);
          },
          kw_large_layers},
    Named{"kwlarge-medium", "kwlarge of twice the width, or the medium SLL net",
          [](std::string name, std::string_view layer) {
            return kw_large(std::move(name), layer, 2);
          },
          kw_large_layers},
    Named{"kwlarge-large", "kwlarge of four times the width, or the large SLL net",
          [](std::string name, std::string_view layer) {
            return kw_large(std::move(name), layer, 4);
          },
          kw_large_layers},
    Named{"lbdn-net",
          "6 convolutions, 3 dense layers and unit rows, or the SLL net beside them [Wang 2023, "
          "table 6]",
          [](std::string name, std::string_view layer) { return lbdn_net(std::move(name), layer); },
          lbdn_net_layers},
    Named{"lbdn-mlp", "dense layers for MNIST [Wang 2023, table 4]",
          [](std::string name, std::string_view layer) { return lbdn_mlp(std::move(name), layer); },
          lbdn_mlp_layers},
    Named{
        "lbdn-curve",
        "10 narrow dense layers for a function of one variable [Wang 2023, section 5.1]",
        [](std::string name, std::string_view layer) { return lbdn_curve(std::move(name), layer); },
        lbdn_curve_layers},
    Named{"lipconvnet-5", "5 convolutions from 32 to 1024 channels and a dense layer [Singla 2021]",
          lipconvnet_by_name, convolutional_part},
    Named{"lipconvnet-10",
          "10 convolutions from 32 to 1024 channels and a dense layer [Singla 2021]",
          lipconvnet_by_name, convolutional_part},
    Named{"lipconvnet-15",
          "15 convolutions from 32 to 1024 channels and a dense layer [Singla 2021]",
          lipconvnet_by_name, convolutional_part},
    Named{"lipconvnet-20",
          "20 convolutions from 32 to 1024 channels and a dense layer [Singla 2021]",
          lipconvnet_by_name, convolutional_part},
    Named{"lipconvnet-25",
          "25 convolutions from 32 to 1024 channels and a dense layer [Singla 2021]",
          lipconvnet_by_name, convolutional_part},
    Named{"lipconvnet-30",
          "30 convolutions from 32 to 1024 channels and a dense layer [Singla 2021]",
          lipconvnet_by_name, convolutional_part},
    Named{"lipconvnet-35",
          "35 convolutions from 32 to 1024 channels and a dense layer [Singla 2021]",
          lipconvnet_by_name, convolutional_part},
    Named{"lipconvnet-40",
          "40 convolutions from 32 to 1024 channels and a dense layer [Singla 2021]",
          lipconvnet_by_name, convolutional_part},
    Named{"lip-xs", "27 convolutions from 16 to 512 channels [Prach 2024, XS]",
          [](std::string name, std::string_view layer) {
            return compared_net(std::move(name), layer, 16);
          },
          convolutional_part},
    Named{"lip-s", "27 convolutions from 32 to 1024 channels [Prach 2024, S]",
          [](std::string name, std::string_view layer) {
            return compared_net(std::move(name), layer, 32);
          },
          convolutional_part},
    Named{"lip-m", "27 convolutions from 64 to 2048 channels [Prach 2024, M]",
          [](std::string name, std::string_view layer) {
            return compared_net(std::move(name), layer, 64);
          },
          convolutional_part},
    Named{"lip-l", "27 convolutions from 128 to 4096 channels [Prach 2024, L]",
          [](std::string name, std::string_view layer) {
            return compared_net(std::move(name), layer, 128);
          },
          convolutional_part},
    Named{"sll-small", "20 convolutional and 7 dense SLL layers [Araujo 2023, Small]",
          [](std::string name, std::string_view) { return sll_net(std::move(name), {}, true); }},
    Named{"aol-mlp", "16 almost orthogonal dense layers of width 3072 [Prach 2024]",
          [](std::string name, std::string_view) { return aol_mlp(std::move(name)); }},
    Named{"dcgan",
          "critic of 4 convolutions of any type and a dense layer, on 64 x 64 pixels [Li 2019]",
          [](std::string name, std::string_view layer) {
            return dcgan(std::move(name), Parts::with(layer));
          },
          any_convolution},
    Named{"resnet-18", "18 layers with skips, in CIFAR form, unconstrained [He 2016]",
          [](std::string name, std::string_view) { return resnet18(std::move(name)); }},
    Named{"vgg-19", "19 layers, in CIFAR form, unconstrained [Simonyan 2015]",
          [](std::string name, std::string_view) { return vgg19(std::move(name)); }},
    Named{"aoc-block", "one AOC layer of as many channels, to be timed", aoc_block, aoc_widths},
};

}  // namespace

const std::vector<ModelInfo>& model_infos() {
  static const std::vector<ModelInfo> infos = [] {
    std::vector<ModelInfo> list;
    list.reserve(table.size());
    for (const Named& model : table) {
      list.push_back({model.name, model.description,
                      model.layers == nullptr ? std::vector<std::string>{} : model.layers()});
    }
    return list;
  }();
  return infos;
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const ModelInfo& info : model_infos()) {
    if (info.layers.empty()) names.emplace_back(info.name);
    for (const std::string& layer : info.layers) {
      names.push_back(std::string(info.name) + ':' + layer);
    }
  }
  return names;
}

ModelSpec named_model(std::string_view name) {
  const std::size_t colon = std::min(name.find(':'), name.size());
  const std::string_view family = name.substr(0, colon);
  const std::string_view layer = name.substr(std::min(colon + 1, name.size()));
  std::string names;
  for (const Named& model : table) {
    names += (names.empty() ? "" : ", ") + std::string(model.name);
    if (model.layers != nullptr) names += ":<layer>";
    if (model.name != family || (model.layers == nullptr) != (colon == name.size())) continue;
    if (model.layers == nullptr) return model.make(std::string(name), layer);
    const auto layers = model.layers();
    std::string words;
    for (const std::string& known : layers) words += (words.empty() ? "" : ", ") + known;
    require<ValueError>(std::find(layers.begin(), layers.end(), layer) != layers.end(), "model ",
                        family, ":<layer>: expected a layer of ", words, ", got '", layer, "'");
    return model.make(std::string(name), layer);
  }
  throw ValueError(message("model: expected one of ", names, ", got '", name, "'"));
}

}  // namespace isotape
