#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/apps/verify/enclosure.hpp>

namespace isotape::verify {

/// One operation of docs/certificate.md; fields that its `op` has not are unset.
struct Operation {
  std::string name;
  std::string op;
  std::string weight, bias, mean, mix, lower, upper, psi, theta, scale,
      shift;  ///< keys of tensors, empty if none
  Enclosure sigma;
  std::int64_t stride = 1, dilation = 1, groups = 1, size = 1, factor = 1, channels = 1, kernel = 1;
  std::int64_t distance = 1, terms = 1;
  std::array<std::int64_t, 2> before{}, after{};
  bool circular = false;  ///< `padding`
  bool adjacent = false;  ///< `pairing`
  std::string over, activation;
  double slope = 0, value = 0;
  std::vector<std::vector<Operation>> branches;  ///< of `convex`: its layers alone
};
using Chain = std::vector<Operation>;

struct Head {
  double body = 0;
  std::vector<std::vector<double>> pairs;
};

struct Count {
  std::string text;  ///< "36/255"
  std::int64_t real = 0, f64 = 0, f32 = 0;
};

/// A certificate as it is written; what it claims is not checked.
struct Certificate {
  std::string model;
  std::string weights_file, weights_sha256;
  std::string dataset, data_sha256;
  std::int64_t images = 0;
  std::vector<std::int64_t> input;  ///< [H, W, C] or [n]
  std::int64_t scale = 1;
  std::int64_t classes = 0;
  Chain layers;
  double lipschitz = 0;
  std::optional<Head> head;
  std::vector<std::string> proof;
  std::vector<Count> eps;
  std::int64_t clean = 0;
  std::vector<std::int64_t> labels;
  std::vector<std::vector<double>> logits;
  std::vector<double> norm, error;
  std::vector<double> radius_real, radius_f64, radius_f32;
};

/// The keys of an operation's options, in the order of docs/certificate.md; none for a name that is
/// no operation's.
const std::vector<std::string_view>& option_keys(std::string_view op);

/// Reads the text of a certificate, its own SHA-256 included.
/// @throws Failure  naming the key: `certificate: layers[2].stride: expected ..., found ...`
Certificate parse_certificate(std::string_view text);

}  // namespace isotape::verify
