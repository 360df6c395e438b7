#include <isotape/apps/report_body.hpp>

#include <fmt/format.h>
#include <algorithm>

#include <isotape/apps/html.hpp>
#include <isotape/apps/table.hpp>
#include <isotape/version.hpp>

namespace isotape {
namespace {

using html::escaped;

std::string header(const ReportData& data) {
  std::string text = fmt::format(
      "<header>\n<h1>{} on {}</h1>\n"
      "<p class=\"lead\">A network whose robustness is proved, image by image, from one forward "
      "pass.</p>\n<code class=\"command\">{}</code>\n",
      escaped(data.model), escaped(data.dataset), escaped(data.command));
  for (const std::string& note : data.notes) {
    text += fmt::format("<p class=\"note\">{}</p>\n", escaped(note));
  }
  return text + "</header>\n";
}

std::string figures(const ReportData& data) {
  std::string text = "<dl class=\"figures\">\n";
  text += html::figure("Clean accuracy", html::percent(data.clean_accuracy));
  for (std::size_t i = 0; i < data.eps.size() && i < data.certified_accuracy.size(); ++i) {
    text += html::figure("Certified accuracy at eps&nbsp;=&nbsp;" + escaped(data.eps[i]),
                         html::percent(data.certified_accuracy[i]));
  }
  text += html::figure("Mean certified radius", fmt::format("{:.3f}", data.mean_radius));
  text += html::figure("Bound of the net", html::near_one(data.bound));
  text += "</dl>\n";
  text += fmt::format(
      "<p class=\"small\">Of {}, on all {} test images. An image counts as certified "
      "at eps if it is classified correctly and its margin exceeds sqrt(2) L eps, with L the "
      "proved bound of the whole net: then no change of its raw pixels of l2 norm up to eps "
      "changes its class. A misclassified image has radius 0.</p>\n",
      escaped(data.epoch), with_commas(data.test_images));
  return text;
}

std::string facts(const ReportData& data) {
  std::string text = "<dl class=\"facts\">\n";
  const auto add = [&](std::string_view name, std::string_view value) {
    text += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", escaped(name), escaped(value));
  };
  add("model", data.model);
  add("data set", data.dataset);
  add("seed", std::to_string(data.seed));
  for (const auto& [name, value] : data.facts) add(name, value);
  return text + "</dl>\n";
}

std::string epochs_table(const ReportData& data) {
  std::vector<std::string> head = {"epoch", "training loss", "clean"};
  for (const std::string& eps : data.eps) head.push_back("certified at " + escaped(eps));
  std::vector<std::vector<std::string>> rows;
  for (const ReportData::Epoch& epoch : data.epochs) {
    std::vector<std::string> row = {std::to_string(epoch.epoch), html::number(epoch.loss),
                                    html::percent(epoch.clean_accuracy)};
    for (const double value : epoch.certified_accuracy) row.push_back(html::percent(value));
    rows.push_back(std::move(row));
  }
  return html::table(
      "Loss: mean over the training images of the epoch. Accuracies: of the weights "
      "at its end, on the test images.",
      head, rows, 0);
}

std::string training(const ReportData& data) {
  if (data.loss.empty() && data.epochs.empty()) return "";
  std::string text = "<section>\n<h2>Training</h2>\n<div class=\"pair\">\n";
  if (!data.loss.empty()) {
    text += html::plot("loss", "Loss", "by epoch",
                       "Mean training loss over the steps since the point before.");
  }
  if (!data.epochs.empty()) {
    text += html::plot("accuracy", "Clean and certified accuracy", "by epoch",
                       "On the test images, after each epoch. Nothing is chosen by these figures.");
  }
  text += "</div>\n";
  if (!data.epochs.empty()) text += html::details("All epochs as a table", epochs_table(data));
  return text + "</section>\n";
}

std::string curve_table(const ReportData& data) {
  const CertifiedCurve curve = certified_curve(data.radii, 24);
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < curve.eps.size(); ++i) {
    rows.push_back({fmt::format("{:.4g}", curve.eps[i]), html::percent(curve.percent[i])});
  }
  return html::table("Images certified beyond a radius.", {"eps", "certified"}, rows, 0);
}

std::string certificates(const ReportData& data) {
  if (data.radii.empty()) return "";
  return "<section>\n<h2>Certificates</h2>\n" +
         html::plot(
             "curve", "Certified accuracy", "against the radius",
             "Part of the test images whose certified radius, margin / (sqrt(2) L), exceeds eps: "
             "a proved lower bound of the accuracy under every attack of that l2 norm. Made from "
             "the margins of all images; dashed: the radii reported above. At eps = 0 it is "
             "the clean accuracy.") +
         html::details("The curve as a table", curve_table(data)) + "</section>\n";
}

std::string layers_table(const ReportData& data) {
  double top = 1;
  for (const auto& layer : data.layers) top = std::max(top, layer.sigma_max.value_or(0));
  std::vector<std::vector<std::string>> rows;
  for (const ReportData::Layer& layer : data.layers) {
    const bool measured = layer.sigma_min && layer.sigma_max;
    rows.push_back(
        {escaped(layer.name), fmt::format("<span class=\"kind\">{}</span>", escaped(layer.kind)),
         fmt::format("<span class=\"w\">{}</span>", escaped(layer.shape)), escaped(layer.claim),
         measured ? html::range_bar(*layer.sigma_min, *layer.sigma_max, 1.05 * top) : "",
         measured ? html::near_one(*layer.sigma_min) : "-",
         measured ? html::near_one(*layer.sigma_max) : "-", html::number(layer.residual),
         html::near_one(layer.bound), layer.share ? html::percent(*layer.share) : "-"});
  }
  return html::table(
      "Sigma: smallest and largest singular value, measured in f64 at the layer's own image size, "
      "for convolutions by the transform of the kernel; the bar runs from one to the other, with "
      "a tick at 1. Residual: defect of the layer's own constraint. Bound: proved upper bound of "
      "the layer's norm. Share: its part of the logarithm of the net's bound.",
      {"layer", "kind", "output", "claim", "range", "sigma min", "sigma max", "residual", "bound",
       "share"},
      rows, 5);
}

std::string layers(const ReportData& data) {
  if (data.layers.empty()) return "";
  const bool any = std::any_of(data.layers.begin(), data.layers.end(),
                               [](const auto& layer) { return !layer.sigmas.empty(); });
  std::string text = "<section>\n<h2>Layers</h2>\n" + layers_table(data);
  if (any) {
    text +=
        html::plot("sigmas", "Singular values", "per layer",
                   "All measured singular values of each layer's folded weights, largest first. An "
                   "orthogonal layer is a line at 1; where it falls, activations and gradients "
                   "shrink.");
  }
  if (!data.proof.empty()) {
    text += html::details("Proof of the bound", "<pre>" + escaped(data.proof) + "</pre>\n");
  }
  return text + "</section>\n";
}

std::string gradients(const ReportData& data) {
  if (data.gradients.empty()) return "";
  std::vector<std::vector<std::string>> rows;
  for (const ReportData::Gradient& at : data.gradients) {
    rows.push_back({escaped(at.layer), html::number(at.norm), html::number(at.low),
                    html::number(at.median), html::number(at.high), html::percent(at.units)});
  }
  return "<section>\n<h2>Gradient norm by depth</h2>\n" +
         html::plot(
             "gradients", "Norm of the gradient", "at the input of each layer",
             "l2 norm of the gradient of the loss at each layer's input, root mean square over a "
             "batch of test images, relative to that at the logits; measured. Read it from right "
             "to left: backpropagation starts at the "
             "logits. A flat line is gradient-norm preservation, a fall to the left is "
             "attenuation. Thin lines: 5 and 95 percent of the single images, relative to their "
             "own gradient at the logits.") +
         (data.jacobian.empty() ? "" : "<p>" + escaped(data.jacobian) + "</p>\n") +
         html::details(
             "Gradient norms as a table",
             html::table("Measured, from the input to the logits. Units: entries whose gradient "
                         "is not 0.",
                         {"layer", "gradient norm", "5 %", "median", "95 %", "units"}, rows, 1)) +
         "</section>\n";
}

std::string footer() {
  return fmt::format(
      "<footer><p>A <em>bound</em> is proved: an upper bound, rounding included. A "
      "<em>measured</em> value or <em>estimate</em> is not a proof. Written by isotape {}; the "
      "page "
      "loads nothing. Plots by uPlot (MIT licence).</p></footer>\n",
      version);
}

}  // namespace

std::string report_body(const ReportData& data) {
  return header(data) + figures(data) + facts(data) + training(data) + certificates(data) +
         layers(data) + gradients(data) + footer();
}

}  // namespace isotape
