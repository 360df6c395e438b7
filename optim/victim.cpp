#include <isotape/optim/victim.hpp>

#include <cmath>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

Tensor checked_logits(const Tensor& y, const Tensor& x) {
  require<ShapeError>(y.rank() == 2 && y.dim(0) == x.dim(0) && y.dim(1) >= 2,
                      "attack: expected logits of shape [", x.dim(0), ", C] with C >= 2, got ",
                      y.shape());
  Tensor logits = y.to(DType::f64);
  const auto* f = logits.data<double>();
  for (std::int64_t i = 0; i < logits.size(); ++i) {
    require<NumericError>(std::isfinite(f[i]), "attack: expected finite logits, got ", f[i],
                          " for class ", i % y.dim(1), " of row ", i / y.dim(1));
  }
  return logits;
}

}  // namespace

Tensor Victim::logits(const Tensor& x) const {
  const Paused paused;
  return checked_logits(forward(x).value(), x);
}

Look::Look(const Victim& victim, const Tensor& x)
    : x_(tape_.leaf(x.clone())), y_(victim.forward(x_)), logits_(checked_logits(y_.value(), x)) {}

Tensor Look::gradient(const Tensor& seed) {
  if (y_.tape() == nullptr) return Tensor::zeros(x_.shape(), x_.dtype());  // not a function of x
  tape_.clear_grads();
  tape_.backward(y_, seed.to(y_.dtype()).clone(), {.retain = true});
  Tensor gradient = x_.grad();
  if (!gradient) return Tensor::zeros(x_.shape(), x_.dtype());
  require<NumericError>(all_finite(gradient),
                        "attack: expected a finite gradient of the logits, got NaN or infinity");
  return gradient;
}

}  // namespace isotape
