#include <doctest/doctest.h>
#include <limits>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/layers/bcop.hpp>
#include <isotape/layers/linear.hpp>
#include <isotape/layers/model.hpp>
#include <isotape/layers/self_audit.hpp>
#include <isotape/layers/sequential.hpp>
#include <isotape/layers/weight.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("layers/self_audit");

namespace {

// Far from orthogonal, and not by a factor.
Tensor stretched(const Shape& shape, double least) {
  Rng rng(5);
  Tensor raw = random_orthogonal(rng, shape, 0.2);
  const std::int64_t columns = shape[-1];
  for (std::int64_t i = 0; i < raw.size(); ++i) {
    if (i % columns == 0) raw.write<float>()[i] *= static_cast<float>(least);
  }
  return raw;
}

// A layer that is off its constraint by a given amount.
class Drifting final : public Module {
 public:
  explicit Drifting(double residual, double bound) : residual_(residual), bound_(bound) {}
  Var forward(const Var& x) const override { return x; }
  Shape output_shape(const Shape& input) const override { return input; }
  std::string kind() const override { return "Drifting"; }
  std::string describe() const override { return "Drifting"; }
  Enclosure enclosure() const override { return {0, bound_, "said so"}; }
  NormPreservation gnp() const override { return NormPreservation::none; }
  Residual residual() const override { return {residual_, "by construction"}; }
  std::unique_ptr<Module> materialize(DType) const override {
    return std::make_unique<Drifting>(*this);
  }

 private:
  double residual_;
  double bound_;
};

}  // namespace

TEST_CASE("self_audit: a network that keeps its constraints is left alone") {
  Rng rng(1);
  Sequential net;
  net.add("fc1", Linear(6, 4, Bjorck{}, rng)).add("fc2", Linear(4, 3, Bjorck{}, rng));
  const SelfAudit audit = self_audit(net);
  CHECK(audit.remedies.empty());
  CHECK(!audit.drift);
  CHECK(audit.residual.value <= 1e-6);
  CHECK(audit.bound <= 1 + 1e-6);
  CHECK(broken_constraints(net).empty());
}

TEST_CASE("self_audit: a weight that has not converged iterates more, in training and folded") {
  Rng rng(2);
  Sequential net;
  net.add("fc", Linear(6, 6, Bjorck{{.iterations = 1}}, rng));
  Weight& weight = *net.weights()[0].weight;
  weight.raw.write() = stretched({6, 6}, 0.05);
  const double before = weight.unconverged().value;
  CHECK(before > 0.1);
  CHECK(broken_constraints(net).size() == 1);

  const SelfAudit audit = self_audit(net);
  CHECK(!audit.drift);
  REQUIRE(audit.remedies.size() == 1);
  CHECK(audit.remedies[0].find("fc: max |W^T W - I|, smaller side, after 1 iterations was ") == 0);
  CHECK(audit.remedies[0].find("16 iterations from now on make it ") != std::string::npos);
  CHECK(weight.polar_options().iterations == 16);
  CHECK(weight.unconverged().value <= 1e-6);
  const Tensor folded = weight.folded();
  Tape tape;
  net.prepare();
  CHECK(max_abs_diff(weight.var().value(), folded) <= 1e-5);
  // The next check has nothing to do.
  const Paused paused;
  CHECK(self_audit(net).remedies.empty());
}

TEST_CASE("self_audit: a convolution's kernel follows the iterations of its matrices") {
  Rng rng(3);
  Sequential net;
  net.add("conv", BcopConv2d(4, 4, 3, rng, {.orthogonalization = Bjorck{{.iterations = 1}}}));
  Weight& weight = *net.weights()[0].weight;
  weight.raw.write() = stretched(weight.raw.value().shape(), 0.1);
  const Module& conv = *net.parts()[0].module;
  CHECK(conv.enclosure().lower < 0.9);
  CHECK(self_audit(net).remedies.size() == 1);
  CHECK(conv.enclosure().lower > 1 - 1e-5);
}

TEST_CASE("self_audit: what no number of iterations mends is a drift") {
  Rng rng(4);
  Sequential net;
  net.add("fc", Linear(6, 6, Bjorck{{.iterations = 2}}, rng));
  Weight& weight = *net.weights()[0].weight;
  weight.raw.write() = stretched({6, 6}, 0);
  const SelfAudit audit = self_audit(net);
  REQUIRE(audit.drift);
  CHECK(audit.drift->find("fc: expected a residual of at most 1e-06, got 1") == 0);
  CHECK(audit.drift->find("after 64 iterations") != std::string::npos);
}

TEST_CASE("self_audit: residuals and bounds of other layers, NaN too") {
  const auto drift_of = [](double residual, double bound) {
    Sequential net;
    net.add("odd", Drifting(residual, bound));
    return self_audit(net).drift.value_or("");
  };
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(drift_of(0, 1).empty());
  CHECK(drift_of(1e-3, 1) ==
        "expected a residual of at most 1e-06, got 0.001, odd: by construction");
  CHECK(drift_of(nan, 1).find("got nan") != std::string::npos);
  CHECK(drift_of(0, std::numeric_limits<double>::infinity()) ==
        "expected a finite bound of the net, got inf");
}
