#include <isotape/apps/verify/verify.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

#include <isotape/apps/verify/arithmetic.hpp>
#include <isotape/apps/verify/data.hpp>
#include <isotape/apps/verify/failure.hpp>
#include <isotape/apps/verify/forward.hpp>
#include <isotape/apps/verify/network.hpp>
#include <isotape/apps/verify/radii.hpp>
#include <isotape/apps/verify/rounding.hpp>
#include <isotape/apps/verify/sha256.hpp>

namespace isotape::verify {
namespace {

Extents input_of(const Certificate& c) {
  if (c.input.size() == 1) return {1, 1, c.input[0], true};
  return {c.input[0], c.input[1], c.input[2], false};
}

Network network_of(const Certificate& c, const WeightsFile& weights) {
  Network network = resolve(c.layers, input_of(c), weights);
  const Extents out = network.empty() ? input_of(c) : network.back().out;
  if (!(out == Extents{1, 1, c.classes, true})) {
    throw Failure("layers: expected " + std::to_string(c.classes) + " logits, found " + out.text());
  }
  return network;
}

void expect_count(const char* what, std::size_t found, std::int64_t expected) {
  if (static_cast<std::int64_t>(found) != expected) {
    throw Failure(std::string(what) + ": expected " + std::to_string(expected) +
                  " entries, found " + std::to_string(found));
  }
}

// As many entries as there are images and classes.
void check_counts(const Certificate& c, const Network& network) {
  expect_count("labels", c.labels.size(), c.images);
  expect_count("logits", c.logits.size(), c.images);
  expect_count("norm", c.norm.size(), c.images);
  expect_count("error", c.error.size(), c.images);
  expect_count("radius.real", c.radius_real.size(), c.images);
  expect_count("radius.f64", c.radius_f64.size(), c.images);
  expect_count("radius.f32", c.radius_f32.size(), c.images);
  for (const std::vector<double>& z : c.logits) expect_count("logits", z.size(), c.classes);
  const bool linear = !network.empty() && network.back().op->op == "linear";
  if (linear != c.head.has_value()) {
    throw Failure("head: expected one where the last operation is linear, and only there");
  }
  if (!c.head) return;
  expect_count("head.pairs", c.head->pairs.size(), c.classes);
  for (const auto& row : c.head->pairs) expect_count("head.pairs", row.size(), c.classes);
}

void raise(double& claim, double own) { claim = std::max(claim, own); }
void lower(double& claim, double own) { claim = std::min(claim, own); }

void confirm_sigma(Chain& chain, const Network& network, const WeightsFile& weights) {
  for (std::size_t i = 0; i < chain.size(); ++i) {
    for (std::size_t b = 0; b < chain[i].branches.size(); ++b) {
      confirm_sigma(chain[i].branches[b], network[i].branches[b], weights);
    }
    if (!has_sigma(chain[i])) continue;
    const Enclosure own = own_sigma(network[i], weights);
    lower(chain[i].sigma.lower, own.lower);
    raise(chain[i].sigma.upper, own.upper);
  }
}

void confirm_bounds(Certificate& c, const Network& network) {
  raise(c.lipschitz, lipschitz(network, network.size()));
  if (!c.head) return;
  raise(c.head->body, lipschitz(network, network.size() - 1));
  const std::vector<std::vector<double>> pairs = pair_norms(network.back());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    for (std::size_t j = 0; j < pairs.size(); ++j) raise(c.head->pairs[i][j], pairs[i][j]);
  }
}

// Pixels byte / scale are rounded once, and the norm of that is charged twice. `error` is thrice
// what the rules give: see check_data().
void confirm_images(Certificate& c, const Network& network) {
  const Slopes slopes{c.lipschitz, c.head};
  for (std::int64_t i = 0; i < c.images; ++i) {
    const double start = 2 * f64_format.unit * c.norm[i];
    raise(c.error[i], mul_up(3, propagate(network, {c.norm[i], start}, f64_format).error));
    const auto radius = [&](double later) {
      return certified_radius(c.logits[i], c.labels[i], c.error[i], later, slopes);
    };
    const double real = radius(0);
    const double reach = add_up(c.norm[i], real);
    lower(c.radius_real[i], real);
    lower(c.radius_f64[i], radius(propagate(network, {reach, 0}, f64_format).error));
    lower(c.radius_f32[i], radius(propagate(network, {reach, 0}, f32_format).error));
  }
}

void confirm_table(Certificate& c) {
  std::int64_t clean = 0;
  for (std::int64_t i = 0; i < c.images; ++i) clean += is_clean(c.logits[i], c.labels[i]) ? 1 : 0;
  c.clean = std::min(c.clean, clean);
  for (Count& row : c.eps) {
    const double eps = eps_up(row.text);
    const auto confirm = [&](std::int64_t& count, const std::vector<double>& radii) {
      const auto above = [&](double r) { return r > eps; };
      count = std::min<std::int64_t>(count, std::count_if(radii.begin(), radii.end(), above));
    };
    confirm(row.real, c.radius_real);
    confirm(row.f64, c.radius_f64);
    confirm(row.f32, c.radius_f32);
  }
}

std::string text_of(double x) {
  char text[32];
  return {text, std::to_chars(std::begin(text), std::end(text), x).ptr};
}

template <class T>
void expect_equal(const std::string& line, const T& claimed, const T& own, const char* relation) {
  if (claimed == own) return;
  std::string own_text;
  std::string claimed_text;
  if constexpr (std::is_same_v<T, double>) {
    own_text = text_of(own);
    claimed_text = text_of(claimed);
  } else {
    own_text = std::to_string(own);
    claimed_text = std::to_string(claimed);
  }
  throw Failure(line + ": expected " + relation + ' ' + own_text + ", found " + claimed_text);
}

constexpr const char* at_least = "at least";
constexpr const char* at_most = "at most";

void compare_layers(const Chain& claimed, const Chain& own, const std::string& path) {
  for (std::size_t i = 0; i < own.size(); ++i) {
    const std::string name = path + '[' + std::to_string(i) + "] " + own[i].name;
    expect_equal(name + ": sigma, lower end", claimed[i].sigma.lower, own[i].sigma.lower, at_most);
    expect_equal(name + ": sigma, upper end", claimed[i].sigma.upper, own[i].sigma.upper, at_least);
    for (std::size_t b = 0; b < own[i].branches.size(); ++b) {
      compare_layers(claimed[i].branches[b], own[i].branches[b],
                     name + ": branches[" + std::to_string(b) + ']');
    }
  }
}

void compare_numbers(const std::string& name, const std::vector<double>& claimed,
                     const std::vector<double>& own, const char* relation) {
  for (std::size_t i = 0; i < own.size(); ++i) {
    expect_equal(name + '[' + std::to_string(i) + ']', claimed[i], own[i], relation);
  }
}

// Throws at the first line of the proof that claims more than its confirmed form.
void compare(const Certificate& claimed, const Certificate& own) {
  compare_layers(claimed.layers, own.layers, "layers");
  expect_equal("lipschitz", claimed.lipschitz, own.lipschitz, at_least);
  if (own.head) {
    expect_equal("head.body", claimed.head->body, own.head->body, at_least);
    for (std::size_t i = 0; i < own.head->pairs.size(); ++i) {
      compare_numbers("head.pairs[" + std::to_string(i) + ']', claimed.head->pairs[i],
                      own.head->pairs[i], at_least);
    }
  }
  compare_numbers("error", claimed.error, own.error, at_least);
  compare_numbers("radius.real", claimed.radius_real, own.radius_real, at_most);
  compare_numbers("radius.f64", claimed.radius_f64, own.radius_f64, at_most);
  compare_numbers("radius.f32", claimed.radius_f32, own.radius_f32, at_most);
  expect_equal("clean", claimed.clean, own.clean, at_most);
  for (std::size_t i = 0; i < own.eps.size(); ++i) {
    const std::string name = "eps " + own.eps[i].text;
    expect_equal(name + ": images, real", claimed.eps[i].real, own.eps[i].real, at_most);
    expect_equal(name + ": images, f64", claimed.eps[i].f64, own.eps[i].f64, at_most);
    expect_equal(name + ": images, f32", claimed.eps[i].f32, own.eps[i].f32, at_most);
  }
}

// What the data say: pixels, labels, norms, and logits. The checker's own are off by at most a
// third of `error` (which is confirmed), so those on record, within two thirds of its own, are off
// by at most `error`.
void check_data(const Certificate& c, const Network& network, const std::filesystem::path& folder) {
  const Images images = read_test_images(c.dataset, folder, c.images);
  const Extents in = input_of(c);
  if (!(in == Extents{images.height, images.width, images.channels, false}) || c.scale != 255) {
    throw Failure("input: expected images of the data set and scale 255, found " + in.text());
  }
  if (sha256(images.pixels) != c.data_sha256) {
    throw Failure("data.sha256: expected that of the images in the data folder, found " +
                  c.data_sha256);
  }
  constexpr std::int64_t at_once = 64;
  for (std::int64_t first = 0; first < c.images; first += at_once) {
    std::vector<std::vector<double>> inputs;
    const std::int64_t end = std::min(first + at_once, c.images);
    for (std::int64_t i = first; i < end; ++i) {
      const std::string_view pixels =
          std::string_view(images.pixels)
              .substr(static_cast<std::size_t>(i * in.size()), static_cast<std::size_t>(in.size()));
      const std::string place = '[' + std::to_string(i) + ']';
      expect_equal("labels" + place, c.labels[i], images.labels[i], "the data set's");
      const double norm = pixel_norm(pixels, c.scale);
      expect_equal("norm" + place, c.norm[i], std::max(norm, c.norm[i]), at_least);
      std::vector<double>& x = inputs.emplace_back();
      for (const char byte : pixels) {
        x.push_back(static_cast<unsigned char>(byte) / static_cast<double>(c.scale));
      }
    }
    const std::vector<std::vector<double>> logits = forward(network, inputs);
    for (std::int64_t i = first; i < end; ++i) {
      double squares = 0;
      for (std::int64_t j = 0; j < c.classes; ++j) {
        const double difference = sub_up(std::max(c.logits[i][j], logits[i - first][j]),
                                         std::min(c.logits[i][j], logits[i - first][j]));
        squares = add_up(squares, mul_up(difference, difference));
      }
      const double allowed = div_down(2 * c.error[i], 3);
      if (!(sqrt_up(squares) <= allowed)) {
        throw Failure("logits[" + std::to_string(i) + "]: expected those of the data within " +
                      text_of(allowed) + ", found them " + text_of(sqrt_up(squares)) + " off");
      }
    }
  }
}

// With nine digits, rounded up; with two, rounded down.
std::string upwards(double x) {
  char text[400];
  std::snprintf(text, sizeof text, "%.9f", x);
  if (std::strtod(text, nullptr) < x) std::snprintf(text, sizeof text, "%.9f", x + 1e-9);
  return text;
}
std::string percent(std::int64_t part, std::int64_t whole) {
  const std::int64_t hundredths = part * 10000 / whole;
  const std::string rest = std::to_string(hundredths % 100);
  return std::to_string(hundredths / 100) + '.' + std::string(2 - rest.size(), '0') + rest + " %";
}

std::string summary(const Certificate& c, bool with_data) {
  std::string text = c.model + " on " + c.dataset + ", " + std::to_string(c.images) +
                     " images, L <= " + upwards(c.lipschitz);
  const char* separator = "; certified at ";
  for (const Count& row : c.eps) {
    text += separator + row.text + ": " + percent(row.real, c.images) + " (real)";
    separator = ", at ";
  }
  return text + (with_data ? "; logits recomputed" : "; logits taken as recorded");
}

std::string check(const std::filesystem::path& path, const std::filesystem::path& weights_path,
                  const std::optional<std::filesystem::path>& data) {
  const std::string text = read_bytes(path);
  const std::string bytes = read_bytes(weights_path);
  check_environment();
  const Certificate c = parse_certificate(text);
  const std::string digest = sha256(bytes);
  if (digest != c.weights_sha256) {
    throw Failure("weights.sha256: expected that of the weights file, " + digest + ", found " +
                  c.weights_sha256);
  }
  const WeightsFile weights = parse_weights(bytes);
  compare(c, confirmed(c, weights));
  if (data) check_data(c, network_of(c, weights), *data);
  return summary(c, data.has_value());
}

}  // namespace

Certificate confirmed(const Certificate& claims, const WeightsFile& weights) {
  Certificate c = claims;
  const Network network = network_of(c, weights);
  check_counts(c, network);
  confirm_sigma(c.layers, network, weights);
  confirm_bounds(c, network);
  confirm_images(c, network);
  confirm_table(c);
  return c;
}

Verdict verify_certificate(const std::filesystem::path& certificate,
                           const std::filesystem::path& weights,
                           const std::optional<std::filesystem::path>& data) {
  Verdict verdict;
  try {
    verdict = {true, "certificate holds: " + check(certificate, weights, data)};
  } catch (const Failure& failure) {
    verdict = {false, std::string("certificate fails: ") + failure.what()};
  }
  // The file's own words may hold anything; the verdict is one line.
  for (char& c : verdict.line) c = ' ' <= c && c <= '~' ? c : '?';
  return verdict;
}

}  // namespace isotape::verify
