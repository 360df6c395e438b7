#pragma once

#include <memory>
#include <string>

#include <isotape/layers/module.hpp>
#include <isotape/ops/elementwise.hpp>

/// y = factor x on vectors of two entries, with whatever claims it is told to make.
struct Claims {
  double factor = 1;
  double bound = 1;
  double least = 0;  ///< lower end of the limits
  isotape::NormPreservation gnp = isotape::NormPreservation::both;
  isotape::Spectrum spectrum = {{1, 1}, "as told"};
  double residual = 0;
};

class FakeLayer final : public isotape::Module {
 public:
  explicit FakeLayer(Claims claims) : claims_(std::move(claims)) {}
  isotape::Var forward(const isotape::Var& x) const override {
    return isotape::scale(x, claims_.factor);
  }
  isotape::Shape output_shape(const isotape::Shape& input) const override { return input; }
  std::string kind() const override { return "Fake"; }
  std::string describe() const override { return "Fake layer"; }
  isotape::Enclosure enclosure() const override { return {claims_.least, claims_.bound, "as told"}; }
  isotape::NormPreservation gnp() const override { return claims_.gnp; }
  isotape::Spectrum spectrum(const isotape::Shape& /*input*/) const override {
    return claims_.spectrum;
  }
  isotape::Residual residual() const override { return {claims_.residual, "as told"}; }
  std::unique_ptr<isotape::Module> materialize(isotape::DType /*dtype*/) const override {
    return std::make_unique<FakeLayer>(claims_);
  }

 private:
  Claims claims_;
};
