#include <isotape/apps/gradient_flow.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

constexpr double least_gradient = 1e-30;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// Row norms of a batch, times a factor; an absent gradient is zero.
std::vector<double> row_norms(const Tensor& gradient, std::int64_t rows, double factor) {
  std::vector<double> norms(static_cast<std::size_t>(rows), 0.0);
  if (!gradient) return norms;
  for (std::int64_t i = 0; i < rows; ++i) {
    norms[i] = factor * frobenius_norm(gradient.rows(i, i + 1));
    require<NumericError>(std::isfinite(norms[i]), "audit: expected a finite gradient, got norm ",
                          norms[i], " for sample ", i);
  }
  return norms;
}

double root_mean_square(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

// The value below which a share of the values lies, the nearest one; NaN of none.
double quantile(std::vector<double> values, double share) {
  if (values.empty()) return nan;
  const auto at =
      static_cast<std::ptrdiff_t>(std::lround(share * static_cast<double>(values.size() - 1)));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

void append_quantiles(const std::vector<double>& norms, const std::vector<double>& last,
                      GradientFlow& flow) {
  std::vector<double> relative;
  for (std::size_t i = 0; i < norms.size(); ++i) {
    if (last[i] >= least_gradient) relative.push_back(norms[i] / last[i]);
  }
  flow.low.push_back(quantile(relative, 0.05));
  flow.median.push_back(quantile(relative, 0.5));
  flow.high.push_back(quantile(relative, 0.95));
  flow.least.push_back(quantile(relative, 0));
  flow.largest.push_back(quantile(relative, 1));
}

std::int64_t count_nonzero(const Tensor& gradient) {
  return dispatch_float(gradient.dtype(), "audit", [&]<class Real>() {
    const auto values = gradient.values<Real>();
    return static_cast<std::int64_t>(
        std::count_if(values.begin(), values.end(), [](Real g) { return g != 0; }));
  });
}

void append_units(const Tensor& gradient, const std::vector<double>& last, GradientFlow& flow) {
  std::int64_t alive = 0;
  std::int64_t count = 0;
  for (std::size_t i = 0; gradient && i < last.size(); ++i) {
    if (last[i] < least_gradient) continue;
    const auto row = static_cast<std::int64_t>(i);
    alive += count_nonzero(gradient.rows(row, row + 1));
    count += gradient.size() / gradient.dim(0);
  }
  const bool none = flow.active == 0;
  flow.units.push_back(none ? nan
                            : static_cast<double>(alive) /
                                  static_cast<double>(std::max<std::int64_t>(count, 1)));
}

void append_gains(const std::vector<double>& in, const std::vector<double>& out,
                  GradientFlow& flow) {
  double least = nan;
  double largest = nan;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] < least_gradient) continue;
    const double gain = in[i] / out[i];
    least = std::isnan(least) ? gain : std::min(least, gain);
    largest = std::isnan(largest) ? gain : std::max(largest, gain);
  }
  flow.gain_min.push_back(least);
  flow.gain_max.push_back(largest);
}

void check_images(const Model& model, const Tensor& images) {
  std::vector<std::int64_t> expected{images.rank() > 0 ? images.dim(0) : 0};
  expected.insert(expected.end(), model.input.begin(), model.input.end());
  require<ShapeError>(images.size() > 0 && images.shape() == Shape(expected),
                      "audit: expected a batch of images ", model.input, ", got ", images.shape());
}

}  // namespace

GradientFlow gradient_flow(Model& model, const Tensor& images, std::span<const std::int32_t> labels,
                           const BatchLoss& loss) {
  check_images(model, images);
  GradientFlow flow;
  flow.samples = images.dim(0);

  const ConstantParameters constant;
  Tape tape;
  Vars depth{tape.leaf(images)};
  for (const Sequential::Part& part : model.net.parts()) {
    depth.push_back(part.module->forward(depth.back()));
    tape.keep_grad(depth.back());
  }
  const Var value = loss(depth.back(), labels);
  flow.loss = value.value().item();
  require<NumericError>(std::isfinite(flow.loss), "audit: expected a finite loss, got ", flow.loss);
  tape.backward(value);

  // The loss is a mean: row i of its gradient is 1/N of dL_i / dh.
  std::vector<std::vector<double>> norms;
  for (const Var& h : depth) {
    norms.push_back(row_norms(h.grad(), flow.samples, static_cast<double>(flow.samples)));
  }
  flow.active = std::count_if(norms.back().begin(), norms.back().end(),
                              [](double norm) { return norm >= least_gradient; });
  const double last = root_mean_square(norms.back());
  for (const auto& at : norms) {
    flow.norm.push_back(flow.active > 0 ? root_mean_square(at) / last : nan);
  }
  for (std::size_t l = 0; l < norms.size(); ++l) {
    append_quantiles(norms[l], norms.back(), flow);
    append_units(depth[l].grad(), norms.back(), flow);
  }
  for (std::size_t l = 1; l < norms.size(); ++l) append_gains(norms[l - 1], norms[l], flow);
  return flow;
}

}  // namespace isotape
