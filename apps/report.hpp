#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace isotape {

/// What a report shows. Parts that are empty are left out of it. Accuracies are in percent; a bound
/// is proved, a measured value is not.
struct ReportData {
  struct Loss {
    double epoch = 0;  ///< epochs passed, with fraction
    double loss = 0;   ///< mean over the steps since the last point
  };
  struct Epoch {
    std::int64_t epoch = 0;  ///< from 1
    double loss = 0;         ///< mean over the training images
    double clean_accuracy = 0;
    std::vector<double> certified_accuracy;  ///< at each eps
  };
  struct Layer {
    std::string name;
    std::string kind;                 ///< one line: kind, extents, options
    std::string shape;                ///< of the output
    std::string claim;                ///< "orthogonal", "1-Lipschitz", "none"
    std::optional<double> sigma_min;  ///< measured; absent for layers without weights
    std::optional<double> sigma_max;
    std::optional<double> residual;  ///< defect of the layer's constraint
    double bound = 1;
    std::optional<double> share;  ///< of log(bound of the net), in percent
    std::vector<double> sigmas;   ///< measured singular values, in any order
  };
  struct Gradient {
    std::string layer;
    double norm = 0;  ///< of the loss's gradient at the layer's input, relative to the logits'
    double low = 0, median = 0, high = 0;  ///< of single samples, at 5, 50 and 95 percent
    double units = 0;                      ///< entries whose gradient is not 0, in percent
  };

  std::string model;
  std::string dataset;
  std::string command;
  std::int64_t seed = 0;
  std::vector<std::pair<std::string, std::string>> facts;  ///< versions, threads, time, ...
  std::vector<std::string> notes;                          ///< what a reader must know of the data

  std::int64_t test_images = 0;
  std::string epoch = "the last epoch";  ///< whose weights are reported here
  double clean_accuracy = 0;
  std::vector<std::string> eps;  ///< as typed
  std::vector<double> certified_accuracy;
  double mean_radius = 0;
  double bound = 0;  ///< of the whole net

  std::vector<Loss> loss;
  std::vector<Epoch> epochs;
  std::vector<double> radii;  ///< certified radius of each test image, 0 where it is misclassified
  std::vector<Layer> layers;
  std::vector<Gradient> gradients;  ///< from the input to the logits
  std::string proof;                ///< of the bound, as text
  std::string jacobian;             ///< a sentence on its singular values
};

/// The report as one HTML page that loads nothing: styles, scripts and data are inside. Plots need
/// JavaScript, everything else stands without.
std::string report_page(const ReportData& data);

/// Writes the page, whole or not at all. @throws IoError  if it cannot be written
void write_report(const std::filesystem::path& path, const ReportData& data);

/// How many images, in percent, are certified beyond a radius (strictly): the points where the
/// count changes, thinned to at most `points`.
struct CertifiedCurve {
  std::vector<double> eps;
  std::vector<double> percent;
};
CertifiedCurve certified_curve(std::vector<double> radii, std::size_t points);

}  // namespace isotape
