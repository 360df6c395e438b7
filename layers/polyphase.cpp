#include <isotape/layers/polyphase.hpp>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

void check(std::string_view op, const Tensor& kernel, std::int64_t stride, std::int64_t groups) {
  require<ShapeError>(kernel.rank() == 4 && kernel.size() > 0, op,
                      ": expected a kernel of shape [O, h, w, I], got ", kernel.shape());
  require<ValueError>(stride >= 1 && groups >= 1, op, ": expected stride, groups >= 1, got ",
                      stride, " and ", groups);
  require<ShapeError>(kernel.dim(0) % groups == 0, op, ": expected groups that divide ",
                      kernel.dim(0), " outputs, got ", groups);
  require<NumericError>(all_finite(kernel), op, ": expected finite entries, got a kernel of shape ",
                        kernel.shape(), " with NaN or infinity");
}

Tensor unshuffled(const Tensor& kernel, std::int64_t s) {
  if (s == 1) return kernel;
  const Shape& k = kernel.shape();
  Tensor result =
      Tensor::zeros({k[0], (k[1] + s - 1) / s, (k[2] + s - 1) / s, k[3] * s * s}, DType::f64);
  const auto* from = kernel.data<double>();
  auto* to = result.write<double>();
  for (std::int64_t o = 0; o < k[0]; ++o) {
    for (std::int64_t r = 0; r < k[1]; ++r) {
      for (std::int64_t c = 0; c < k[2]; ++c) {
        const std::int64_t phase = r % s * s + c % s;
        const std::int64_t tap = (o * result.dim(1) + r / s) * result.dim(2) + c / s;
        for (std::int64_t i = 0; i < k[3]; ++i) {
          to[(tap * k[3] + i) * s * s + phase] = from[((o * k[1] + r) * k[2] + c) * k[3] + i];
        }
      }
    }
  }
  return result;
}

}  // namespace

std::vector<Tensor> polyphase_kernels(std::string_view op, const Tensor& kernel,
                                      std::int64_t stride, std::int64_t groups) {
  check(op, kernel, stride, groups);
  std::vector<Tensor> kernels;
  const Tensor all = unshuffled(kernel.to(DType::f64), stride);
  const std::int64_t outputs = all.dim(0) / groups;
  for (std::int64_t g = 0; g < groups; ++g) {
    kernels.push_back(all.rows(g * outputs, (g + 1) * outputs));
  }
  return kernels;
}

}  // namespace isotape
