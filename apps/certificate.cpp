#include <isotape/apps/certificate.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include <isotape/apps/errors.hpp>
#include <isotape/apps/verify/sha256.hpp>
#include <isotape/layers/head_proof.hpp>
#include <isotape/layers/rounding.hpp>

namespace isotape {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

// Bit by bit: what is certified are the numbers in the file.
void require_stored_folds(const Module& net, const verify::WeightsFile& weights) {
  for (const NamedTensor& folded : net.folded_weights()) {
    const auto found = weights.tensors.find(folded.name);
    const auto values = folded.tensor.values<float>();
    require<CheckError>(
        found != weights.tensors.end() && found->second.entries.size() == values.size() &&
            std::memcmp(found->second.entries.data(), values.data(), values.size_bytes()) == 0,
        "certify: ", folded.name,
        ": expected the folded weight of the file, bit by bit, found another when "
        "it was folded on this machine; `isotape export` writes it anew");
  }
}

std::int64_t integer(const OptionValue& value) { return std::get<std::int64_t>(value); }

void set_option(verify::Operation& to, const std::string& key, const OptionValue& value) {
  const std::map<std::string, std::int64_t verify::Operation::*> integers = {
      {"stride", &verify::Operation::stride}, {"dilation", &verify::Operation::dilation},
      {"groups", &verify::Operation::groups}, {"size", &verify::Operation::size},
      {"factor", &verify::Operation::factor}, {"channels", &verify::Operation::channels},
      {"kernel", &verify::Operation::kernel}, {"distance", &verify::Operation::distance},
      {"terms", &verify::Operation::terms}};
  if (const auto found = integers.find(key); found != integers.end()) {
    to.*found->second = integer(value);
  } else if (key == "padding") {
    to.circular = std::get<std::string>(value) == "circular";
  } else if (key == "pairing") {
    to.adjacent = std::get<std::string>(value) == "adjacent";
  } else if (key == "over") {
    to.over = std::get<std::string>(value);
  } else if (key == "activation") {
    to.activation = std::get<std::string>(value);
  } else if (key == "slope") {
    to.slope = std::get<double>(value);
  } else {
    to.value = std::get<double>(value);
  }
}

void set_tensor(verify::Operation& to, const std::string& role, const std::string& key) {
  if (role == "weight") to.weight = key;
  if (role == "bias") to.bias = key;
  if (role == "mean") to.mean = key;
  if (role == "mix") to.mix = key;
  if (role == "lower") to.lower = key;
  if (role == "upper") to.upper = key;
  if (role == "psi") to.psi = key;
  if (role == "theta") to.theta = key;
  if (role == "scale") to.scale = key;
  if (role == "shift") to.shift = key;
}

verify::Chain chain_of(const Operations& operations) {
  verify::Chain chain;
  for (const Operation& from : operations) {
    verify::Operation& to = chain.emplace_back();
    to.name = from.name;
    to.op = from.op;
    for (const auto& [key, value] : from.options) set_option(to, key, value);
    for (const auto& [role, key] : from.tensors) set_tensor(to, role, key);
    to.before = {from.border.top, from.border.left};
    to.after = {from.border.bottom, from.border.right};
    to.sigma = {from.sigma.lower, from.sigma.upper};
    for (const Operations& branch : from.branches) to.branches.push_back(chain_of(branch));
  }
  return chain;
}

// The pixels of one batch as f64 numbers, byte / 255.
Tensor exact_pixels(const Split& split, std::int64_t begin, std::int64_t end) {
  const Tensor images = split.images.rows(begin, end);
  if (images.dtype() == DType::f32) return images.to(DType::f64);
  Tensor pixels(images.shape(), DType::f64);
  const auto bytes = images.values<std::uint8_t>();
  std::transform(bytes.begin(), bytes.end(), pixels.write<double>(),
                 [](std::uint8_t byte) { return byte / 255.0; });
  return pixels;
}

// >= |x|: pixels, squares and their sum are off by fewer than size + 4 roundings.
double input_norm(const Tensor& x) {
  double sum = 0;
  for (const double pixel : x.values<double>()) sum += pixel * pixel;
  return std::sqrt(sum) * (1 + 0x1p-52 * static_cast<double>(x.size() + 8)) + 0x1p-500;
}

void add_logits(const Module& net, const Split& split, verify::Certificate& to) {
  constexpr std::int64_t batch = 250;
  for (std::int64_t begin = 0; begin < to.images; begin += batch) {
    const std::int64_t end = std::min(begin + batch, to.images);
    const Tensor x = exact_pixels(split, begin, end);
    const Tensor logits = net.forward(x).value();
    for (std::int64_t i = 0; i < end - begin; ++i) {
      const auto row = logits.rows(i, i + 1).values<double>();
      require<NumericError>(
          std::all_of(row.begin(), row.end(), [](double z) { return std::isfinite(z); }),
          "certify: expected finite logits, got others for image ", begin + i);
      to.logits.emplace_back(row.begin(), row.end());
      to.norm.push_back(input_norm(x.rows(i, i + 1)));
      to.labels.push_back(split.labels[begin + i]);
    }
  }
}

// The bounds from those of the operations.
void add_bounds(const Operations& operations, verify::Certificate& to) {
  to.lipschitz = chain_bound(operations);
  require<NumericError>(std::isfinite(to.lipschitz),
                        "certify: expected a finite bound of the net, got ", to.lipschitz);
  if (operations.empty() || operations.back().op != "linear") return;
  const Operations body(operations.begin(), operations.end() - 1);
  const Tensor norms = pair_norms({operations.back().weight});
  verify::Head& head = to.head.emplace();
  head.body = chain_bound(body);
  for (std::int64_t i = 0; i < to.classes; ++i) {
    const auto row = norms.rows(i, i + 1).values<double>();
    head.pairs.emplace_back(row.begin(), row.end());
  }
}

// r = min over j of (z_y - z_j - sqrt(2) e) / d_j, rounded down. `spent` is sqrt(2) times the
// errors, rounded up; a difference loses at most 2^-52 of its largest number.
double radius(const verify::Certificate& c, std::size_t image, double spent, bool by_pairs) {
  const std::vector<double>& z = c.logits[image];
  const auto y = static_cast<std::size_t>(c.labels[image]);
  double least = inf;
  for (std::size_t j = 0; j < z.size(); ++j) {
    if (j == y) continue;
    const double margin = z[y] - z[j] - spent - 0x1p-50 * (std::abs(z[y]) + std::abs(z[j]) + spent);
    if (!(margin > 0)) return 0;
    const double distance =
        by_pairs ? c.head->body * c.head->pairs[y][j] : std::sqrt(2.0) * c.lipschitz;
    least = std::min(least, margin / distance * (1 - 0x1p-50));
  }
  return std::isfinite(least) ? least : std::numeric_limits<double>::max();
}

double best_radius(const verify::Certificate& c, std::size_t image, double error) {
  const double spent = std::sqrt(2.0) * error * (1 + 0x1p-50);
  const double globally = radius(c, image, spent, false);
  return c.head ? std::max(globally, radius(c, image, spent, true)) : globally;
}

void add_radii(const Operations& operations, bool from_bytes, verify::Certificate& to) {
  const Arithmetic f64 = Arithmetic::f64();
  for (std::size_t i = 0; i < to.logits.size(); ++i) {
    const double n = to.norm[i];
    const Magnitude start{n, from_bytes ? 2 * f64.unit * n : 0};
    // Three times: once for these logits, twice for how far others as good may be from them.
    to.error.push_back(3 * rounding(operations, start, f64).error);
    const double real = best_radius(to, i, to.error[i]);
    // No vector of the ball is longer.
    const Magnitude anywhere{(n + real) * (1 + 0x1p-50), 0};
    const auto run_in = [&](const Arithmetic& arithmetic) {
      const double there = rounding(operations, anywhere, arithmetic).error;
      return std::isfinite(there) ? best_radius(to, i, (to.error[i] + there) * (1 + 0x1p-50)) : 0;
    };
    to.radius_real.push_back(real);
    to.radius_f64.push_back(real > 0 ? run_in(f64) : 0);
    to.radius_f32.push_back(real > 0 ? run_in(Arithmetic::f32()) : 0);
  }
}

std::int64_t above(const std::vector<double>& radii, double eps) {
  return std::count_if(radii.begin(), radii.end(), [eps](double r) { return r > eps; });
}

void add_counts(const std::vector<Eps>& eps, verify::Certificate& to) {
  for (std::size_t i = 0; i < to.logits.size(); ++i) {
    const std::vector<double>& z = to.logits[i];
    const auto y = static_cast<std::size_t>(to.labels[i]);
    bool wins = true;
    for (std::size_t j = 0; j < z.size(); ++j) wins = wins && (j == y || z[y] > z[j]);
    to.clean += wins ? 1 : 0;
  }
  for (const Eps& e : eps) {
    const double value = std::nextafter(e.value, inf);  // what the text denotes is below
    to.eps.push_back({e.text, above(to.radius_real, value), above(to.radius_f64, value),
                      above(to.radius_f32, value)});
  }
}

}  // namespace

verify::Certificate claims_of(LoadedRun& run, const verify::WeightsFile& weights,
                              const std::vector<Eps>& eps, std::int64_t images) {
  const Paused paused;
  Model& model = run.model;
  model.net.prepare();
  require_stored_folds(model.net, weights);
  const Split& split = run.data.test;
  const bool from_bytes = split.images.dtype() == DType::u8;
  const auto pixels = split.images.rows(0, images).bytes();

  verify::Certificate claims;
  claims.model = model.spec.name;
  claims.weights_file = run.files.model().filename().string();
  claims.weights_sha256 = weights.sha256;
  claims.dataset = run.data.name;
  claims.images = images;
  claims.data_sha256 =
      verify::sha256({reinterpret_cast<const char*>(pixels.data()), pixels.size()});
  claims.input.assign(model.input.begin(), model.input.end());
  claims.scale = from_bytes ? 255 : 1;
  claims.classes = model.classes;

  Operations operations;
  model.net.collect_operations("", model.input, operations);
  claims.layers = chain_of(operations);
  add_bounds(operations, claims);
  add_logits(*model.net.materialize(DType::f64), split, claims);
  add_radii(operations, from_bytes, claims);
  add_counts(eps, claims);
  return claims;
}

std::vector<std::int64_t> changed_images(const verify::Certificate& certificate,
                                         const std::vector<double>& radii, double eps) {
  std::vector<std::int64_t> changed;
  for (std::size_t i = 0; i < radii.size(); ++i) {
    const std::vector<double>& z = certificate.logits[i];
    const auto y = static_cast<std::size_t>(certificate.labels[i]);
    double runner_up = -inf;
    for (std::size_t j = 0; j < z.size(); ++j) {
      if (j != y) runner_up = std::max(runner_up, z[j]);
    }
    const bool naive = (z[y] - runner_up) / std::sqrt(2.0) > eps;
    if (naive != (radii[i] > eps)) changed.push_back(static_cast<std::int64_t>(i));
  }
  return changed;
}

}  // namespace isotape
