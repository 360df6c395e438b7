#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <isotape/apps/verify/certificate.hpp>
#include <isotape/apps/verify/weights_file.hpp>

/// A small network, its weights and images, and the certificate of them that the checker confirms.
struct SmallCertificate {       // NOLINT(bugprone-exception-escape): moving JSON may throw
  nlohmann::ordered_json json;  ///< all but the digest of the file itself
  std::string weights;          ///< bytes of the safetensors file
  std::string pixels;           ///< of the images, [N, 4, 4]
  std::vector<std::uint8_t> labels;

  /// The bytes of the certificate, its digest included.
  std::string text() const { return text(json); }
  static std::string text(const nlohmann::ordered_json& json);
};

/// A convolution, a sort, a dense layer; 5 images of 4 x 4 pixels, 3 classes.
SmallCertificate small_certificate();

/// A network with every simple operation, and one with those that are made of several maps or of
/// angles.
SmallCertificate every_operation();
SmallCertificate every_composite();

/// The bytes of a safetensors file of f32 tensors.
std::string safetensors_of(const std::map<std::string, isotape::verify::StoredTensor>& tensors);

/// The numbers of `claims`, logits and norms included, as JSON.
nlohmann::ordered_json to_json(const isotape::verify::Certificate& claims);
