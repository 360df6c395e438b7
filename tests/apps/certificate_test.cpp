#include <doctest/doctest.h>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <support/idx_files.hpp>
#include <support/scratch_folder.hpp>

#include <isotape/apps/certificate.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/verify/sha256.hpp>
#include <isotape/apps/verify/verify.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/checkpoint.hpp>
#include <isotape/layers/weight.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/certificate");

namespace {

constexpr std::int64_t images = 12;
constexpr std::int64_t side = 8;
constexpr std::int64_t classes = 4;

LayerSpec layer(std::string name, std::string type,
                std::vector<std::pair<std::string, OptionValue>> options = {},
                std::vector<LayerSpec> layers = {}) {
  return {std::move(name), std::move(type), std::move(options), std::move(layers)};
}
OptionValue number(std::int64_t value) { return value; }

// The operations of simple layers, in one net.
ModelSpec all_operations() {
  const OptionValue out = std::string("classes");
  return {"all",
          {
              layer("conv1", "bcop",
                    {{"out", number(8)}, {"kernel", number(4)}, {"stride", number(2)}}),
              layer("act1", "maxmin"),
              layer("centre", "batch-center"),
              layer("both", "split", {},
                    {layer("left", "rko", {{"out", number(4)}, {"kernel", number(3)}}),
                     layer("right", "sequential", {},
                           {layer("conv", "aol",
                                  {{"out", number(4)},
                                   {"kernel", number(3)},
                                   {"padding", std::string("zero")}}),
                            layer("act", "abs")})}),
              layer("mix", "convex-residual", {},
                    {layer("conv", "conv",
                           {{"out", number(8)},
                            {"kernel", number(3)},
                            {"groups", number(2)},
                            {"padding", std::string("zero")}}),
                     layer("act", "groupsort",
                           {{"size", number(4)}, {"pairing", std::string("adjacent")}})}),
              layer("mean", "layer-center", {{"over", std::string("pixels")}}),
              layer("grow", "upsample", {{"factor", number(2)}}),
              layer("pool", "l2pool", {{"kernel", number(2)}}),
              layer("wide", "concat", {}, {layer("a", "leaky-relu"), layer("b", "relu")}),
              layer("shuffle", "channel-shuffle", {{"groups", number(4)}}),
              layer("max", "maxout", {{"size", number(2)}}),
              layer("up", "pixel-shuffle", {{"factor", number(2)}}),
              layer("down", "avgpool", {{"kernel", number(2)}}),
              layer("pad", "channel-pad", {{"out", number(6)}}),
              layer("added", "sum", {}, {layer("a", "abs"), layer("b", "fullsort")}),
              layer("gain", "gain", {{"value", 0.5}}),
              layer("few", "first-channels", {{"out", number(5)}}),
              layer("flatten", "flatten"),
              layer("fc", "linear", {{"out", out}}),
          }};
}

// Those of layers that are made of several maps.
ModelSpec composite_operations() {
  const OptionValue zero = std::string("zero");
  return {
      "composite",
      {
          layer("turn", "soc", {{"out", number(6)}, {"kernel", number(3)}, {"stride", number(2)}}),
          layer("kinks", "nact"),
          layer("shift", "shift"),
          layer("turn0", "soc", {{"out", number(5)}, {"padding", zero}}),
          layer("potential", "cpl", {{"out", number(6)}, {"inner", number(7)}}),
          layer("grouped", "cpl", {{"out", number(8)}, {"groups", number(2)}}),
          layer("spread", "soc",
                {{"out", number(4)}, {"groups", number(2)}, {"dilation", number(2)}}),
          layer("near", "aol",
                {{"out", number(6)}, {"groups", number(2)}, {"dilation", number(2)}}),
          layer("scaled", "sll", {{"kernel", number(4)}, {"inner", number(3)}, {"padding", zero}}),
          layer("norm", "batch-norm"),
          layer("cayley", "cayley-conv", {{"out", number(6)}}),
          layer("polar", "lot", {{"out", number(8)}, {"bias", false}}),
          layer("smooth", "sandwich-conv",
                {{"out", number(4)}, {"stride", number(2)}, {"activation", "tanh"}}),
          layer("mirror", "householder"),
          layer("sectors", "householder2", {{"pairing", std::string("adjacent")}}),
          layer("flatten", "flatten"),
          layer("flat", "sll", {{"out", number(12)}, {"bias", false}}),
          layer("soft", "sandwich", {{"out", number(9)}, {"activation", "softplus"}}),
          layer("wide", "sandwich", {{"out", number(8)}, {"gamma", 2.0}}),
          layer("last", "sandwich",
                {{"out", std::string("classes")}, {"gamma", 0.5}, {"output", true}}),
      }};
}

ModelSpec small() {
  return {
      "small",
      {layer("conv", "bcop", {{"out", number(4)}, {"kernel", number(3)}}), layer("act", "maxmin"),
       layer("pool", "global-avgpool"), layer("fc", "linear", {{"out", std::string("classes")}})}};
}

// A run with files, whose test images a data folder holds as those of MNIST.
class Fixture {
 public:
  explicit Fixture(const ModelSpec& spec)
      : run{{folder_.path()}, {}, build_model(spec, {side, side, 1}, classes, Rng(3)), {}} {
    std::vector<std::uint8_t> pixels(images * side * side);
    std::vector<std::uint8_t> labels(images);
    Rng rng(4);
    const Tensor noise = random_uniform(rng, {images * side * side}, 0, 256);
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      pixels[i] = static_cast<std::uint8_t>(noise.at(static_cast<std::int64_t>(i)));
    }
    run.data.name = "mnist";
    run.data.class_names = {"a", "b", "c", "d"};
    run.data.test.images = Tensor({images, side, side, 1}, DType::u8);
    std::copy(pixels.begin(), pixels.end(), run.data.test.images.write<std::uint8_t>());
    // The labels are what the net says, but for two images.
    const Paused paused;
    run.model.net.prepare();
    const Tensor logits = run.model.net.forward(run.data.test.pixels(0, images)).value();
    for (std::int64_t i = 0; i < images; ++i) {
      const auto row = logits.rows(i, i + 1).values<float>();
      const auto best = std::distance(row.begin(), std::max_element(row.begin(), row.end()));
      labels[i] = static_cast<std::uint8_t>(i < 2 ? (best + 1) % classes : best);
    }
    run.data.test.labels.assign(labels.begin(), labels.end());
    folder_.put("data/t10k-images-idx3-ubyte", idx_images(images, side, side, pixels));
    folder_.put("data/t10k-labels-idx1-ubyte", idx_labels(labels));
    save_model(run.files.model(), run.model);
  }

  verify::WeightsFile weights() const {
    return verify::parse_weights(verify::read_bytes(run.files.model()));
  }
  verify::Certificate claims() { return claims_of(run, weights(), eps, images); }
  verify::Certificate confirmed() { return verify::confirmed(claims(), weights()); }
  verify::Verdict verdict(const verify::Certificate& certificate, bool with_data) const {
    folder_.put("cert", to_json(certificate));
    std::optional<std::filesystem::path> data;
    if (with_data) data = folder_ / "data";
    return verify::verify_certificate(folder_ / "cert", run.files.model(), data);
  }

  std::vector<Eps> eps = {{"0.001", 0.001}, {"1/100", 0.01}};

 private:
  ScratchFolder folder_;

 public:
  LoadedRun run;
};

}  // namespace

TEST_CASE("certificate: the checker confirms it for every operation, with data and without") {
  for (const ModelSpec& spec : {all_operations(), composite_operations()}) {
    CAPTURE(spec.name);
    Fixture fixture(spec);
    const verify::Certificate certificate = fixture.confirmed();
    for (const bool with_data : {false, true}) {
      const verify::Verdict verdict = fixture.verdict(certificate, with_data);
      CAPTURE(verdict.line);
      CHECK(verdict.holds);
    }
    CHECK(certificate.clean == images - 2);
    CHECK(certificate.head.has_value());
    CHECK(certificate.radius_real[0] == 0);
    CHECK(certificate.radius_real[5] > 0);
    CHECK(certificate.radius_f32[5] > 0);
  }
}

TEST_CASE("certificate: the engine's claims and the checker's are close") {
  for (const ModelSpec& spec : {all_operations(), composite_operations()}) {
    CAPTURE(spec.name);
    Fixture fixture(spec);
    const verify::Certificate claims = fixture.claims();
    const verify::Certificate certificate = fixture.confirmed();
    CHECK(certificate.lipschitz >= claims.lipschitz);
    CHECK(certificate.lipschitz <= claims.lipschitz * 1.02);
    for (std::size_t i = 0; i < images; ++i) {
      CHECK(certificate.radius_real[i] <= claims.radius_real[i]);
      CHECK(certificate.radius_real[i] >= claims.radius_real[i] * 0.98);
    }
  }
  Fixture orthogonal(small());
  CHECK(orthogonal.confirmed().lipschitz <= 1 + 1e-6);
}

TEST_CASE("certificate: radii in f64 and f32 are smaller, and counts follow") {
  Fixture fixture(small());
  const verify::Certificate c = fixture.confirmed();
  for (std::size_t i = 2; i < images; ++i) {
    CHECK(c.radius_f64[i] <= c.radius_real[i]);
    CHECK(c.radius_f64[i] > c.radius_real[i] * (1 - 1e-9) - 1e-9);
    CHECK(c.radius_f32[i] < c.radius_f64[i]);
  }
  for (const verify::Count& count : c.eps) {
    CHECK(count.f32 <= count.f64);
    CHECK(count.f64 <= count.real);
  }
}

TEST_CASE("certificate: pairs of classes give at least the radius of margin / (sqrt(2) L)") {
  Fixture fixture(small());
  const verify::Certificate c = fixture.claims();
  for (std::size_t i = 2; i < images; ++i) {
    const std::vector<double>& z = c.logits[i];
    const auto y = static_cast<std::size_t>(c.labels[i]);
    double runner_up = -1e300;
    for (std::size_t j = 0; j < z.size(); ++j) {
      if (j != y) runner_up = std::max(runner_up, z[j]);
    }
    const double simple = (z[y] - runner_up) / (std::sqrt(2.0) * c.lipschitz);
    CHECK(c.radius_real[i] >= simple * (1 - 1e-9) - 1e-12);
  }
}

TEST_CASE("certificate: a forged one fails on its mathematics") {
  Fixture fixture(small());
  const verify::Certificate good = fixture.confirmed();
  REQUIRE(fixture.verdict(good, true).holds);
  verify::Certificate lipschitz = good;
  lipschitz.lipschitz = 0.9;
  CHECK(fixture.verdict(lipschitz, false).line.find("lipschitz") != std::string::npos);
  verify::Certificate radius = good;
  radius.radius_real[5] *= 1.001;
  CHECK(fixture.verdict(radius, false).line.find("radius") != std::string::npos);
  verify::Certificate count = good;
  ++count.eps[1].real;
  CHECK(!fixture.verdict(count, false).holds);
}

TEST_CASE("certificate: the text reads back to the same claims, and is its own witness") {
  Fixture fixture(small());
  verify::Certificate c = fixture.confirmed();
  c.proof = proof_lines(c);
  CHECK(c.proof.front().find("net: L <= 1.0000") == 0);
  CHECK(c.proof.size() == 6);
  const std::string text = to_json(c);
  const verify::Certificate again = verify::parse_certificate(text);
  CHECK(again.logits == c.logits);
  CHECK(again.radius_f32 == c.radius_f32);
  CHECK(again.proof == c.proof);
  CHECK(to_json(again) == text);
  std::string changed = text;
  changed[text.find("\"images\": 12") + 10] = '2';
  CHECK_THROWS(verify::parse_certificate(changed));
}

TEST_CASE("certificate: weights that fold otherwise than those of the file are refused") {
  Fixture fixture(small());
  Weight& weight = *fixture.run.model.net.weights()[0].weight;
  weight.raw.write().write<float>()[0] += 0.1F;
  CHECK_THROWS_WITH_AS(fixture.claims(),
                       "certify: conv.weight: expected the folded weight of the file, bit by bit, "
                       "found another when it was folded on this machine; `isotape export` writes "
                       "it anew",
                       CheckError);
}

// In f32, 2^24 + 1 - 2^24 may be 0: the class depends on the order of summation.
TEST_CASE("certificate: a margin that f32 cannot tell is certified in real numbers and f64 alone") {
  const ScratchFolder folder;
  const ModelSpec spec{
      "line",
      {layer("fc", "linear",
             {{"out", std::string("classes")}, {"constraint", std::string("unconstrained")}})}};
  LoadedRun run{{folder.path()}, {}, build_model(spec, {3}, 2, Rng(1)), {}};
  const ParameterList parameters = run.model.net.parameters();
  const double big = 16777216;
  parameters[0].parameter->write() = Tensor::of({big, 1, -big, 0, 0.5, 0}, {2, 3});
  parameters[1].parameter->write() = Tensor::zeros({2});
  save_model(run.files.model(), run.model);
  run.data.name = "toy";
  run.data.test = {Tensor::of({1, 1, 1}, {1, 3}), {0}};
  const auto weights = verify::parse_weights(verify::read_bytes(run.files.model()));
  const verify::Certificate c =
      verify::confirmed(claims_of(run, weights, {{"1e-9", 1e-9}}, 1), weights);
  CHECK(c.clean == 1);
  CHECK(c.radius_real[0] > 1e-9);
  CHECK(c.radius_real[0] < 0.5 / big);
  CHECK(c.radius_f64[0] > 1e-9);
  CHECK(c.radius_f32[0] == 0);
}

TEST_CASE("changed_images: those within L - 1 of the threshold, and those near a rounding") {
  verify::Certificate c;
  c.labels = {0, 0, 1};
  c.logits = {{std::sqrt(2.0), 0}, {3, 0}, {1, 0}};
  // The naive radius of the first image is 1, or nearly.
  CHECK(changed_images(c, {0.999999, 2, 0}, 0.9999999) == std::vector<std::int64_t>{0});
  CHECK(changed_images(c, {0.999999, 2, 0}, 1.5).empty());
}
