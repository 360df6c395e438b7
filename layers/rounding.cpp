#include <isotape/layers/rounding.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

// Note [Rounding of the rounding]
//
// All quantities are >= 0. A rule takes fewer than thirty roundings (besides those of branches,
// which are counted), each of at most a factor 1 + 2^-53, after which `up` puts 2^-46 on top.
double up(double value) { return value * (1 + 0x1p-46); }

constexpr double infinity = std::numeric_limits<double>::infinity();

// One operation at work: what goes in, and with which arithmetic.
struct Step {
  const Operation& operation;
  Magnitude in;
  const Arithmetic& arithmetic;

  double m() const { return in.norm + in.error; }
  double outputs() const { return static_cast<double>(operation.output.size()); }
  // What t products with numbers of size at most A and their sum lose to underflow, be denormal
  // inputs, weights and results kept or flushed, for activations of norm `norm`.
  double underflow(std::int64_t t, double a, double norm, double entries) const {
    return 4 * static_cast<double>(t + 2) * entries * arithmetic.smallest * (1 + a + norm);
  }
  double underflow(std::int64_t t, double a, double norm) const {
    return underflow(t, a, norm, outputs());
  }
  double underflow(std::int64_t t, double a) const { return underflow(t, a, m()); }

  double gamma(std::int64_t k) const {
    const double ku = static_cast<double>(k) * arithmetic.unit;
    return ku < 0.5 ? ku / (1 - ku) : infinity;
  }
  std::int64_t integer(std::string_view key) const {
    for (const auto& [name, value] : operation.options) {
      if (name == key) return std::get<std::int64_t>(value);
    }
    throw ValueError(message("rounding: ", operation.name, ": expected an option ", key));
  }
};

Magnitude exact(const Step& s) { return {s.in.norm, s.in.error + s.underflow(0, 1)}; }

// Multiplies every norm, exactly, by its bound.
Magnitude repeated(const Step& s) {
  return {s.operation.bound * s.in.norm, s.operation.bound * s.in.error + s.underflow(0, 1)};
}

// y = W x' + b computed with |error| <= gamma(t + 2) (|W| |x'| + |b|) in every entry, and what
// underflows.
Magnitude linear(const Step& s) {
  const Operation& o = s.operation;
  return {o.bound * s.in.norm + o.added, o.bound * s.in.error +
                                             s.gamma(o.terms + 2) * (o.absolute * s.m() + o.added) +
                                             s.underflow(o.terms, o.absolute)};
}

Magnitude leaky_relu(const Step& s) {
  return {s.in.norm, s.in.error + s.gamma(2) * s.m() + s.underflow(1, 1)};
}

Magnitude gain(const Step& s) {
  const double v = s.operation.bound;
  return {v * s.in.norm, v * (s.in.error + s.gamma(2) * s.m()) + s.underflow(1, v)};
}

// The norm of a window is computed with a relative error, but where its squares underflow.
Magnitude l2pool(const Step& s) {
  const auto k = static_cast<double>(s.integer("kernel"));
  const std::int64_t area = s.integer("kernel") * s.integer("kernel");
  return {s.in.norm, s.in.error + s.gamma(area + 6) * s.m() + s.underflow(area, 1) +
                         2 * k * s.outputs() * std::sqrt(s.arithmetic.smallest)};
}

// A map with weights >= 0 and norm 1: that with |weights| is itself.
Magnitude average(const Step& s, std::int64_t terms) {
  return {s.in.norm, s.in.error + s.gamma(terms + 6) * s.m() + s.underflow(terms, 1)};
}
Magnitude avgpool(const Step& s) { return average(s, s.integer("kernel") * s.integer("kernel")); }
Magnitude global_avgpool(const Step& s) {
  return average(s, s.operation.input[0] * s.operation.input[1]);
}

Magnitude center(const Step& s) {
  const double beta = s.operation.added;
  return {s.in.norm + beta, s.in.error + s.gamma(3) * (s.m() + beta) + s.underflow(1, 1)};
}

Magnitude nact(const Step& s) {
  const double beta = s.operation.added;
  return {s.in.norm + beta, s.in.error + s.gamma(1) * (s.m() + beta) + s.underflow(1, 1)};
}

Magnitude affine(const Step& s) {
  const double largest = s.operation.bound;
  const double beta = s.operation.added;
  return {largest * s.in.norm + beta,
          largest * s.in.error + s.gamma(3) * (largest * s.m() + beta) + s.underflow(1, largest)};
}

// A turn by angles that are slightly off, in a sector that may be the next one's.
Magnitude householder(const Step& s) {
  constexpr std::int64_t products = 4;
  return {s.in.norm, s.in.error + s.gamma(s.operation.terms) * s.m() + s.underflow(products, 1)};
}

// x - V^T relu(V x + c): the hidden computed activation is off by a, its norm at most h; the second
// product is off by b, and `step` is the norm of what it gives.
Magnitude potential(const Step& s) {
  const Operation& o = s.operation;
  const std::int64_t widest = std::max(o.weight.dim(0), o.weight.dim(-1));
  const auto entries =
      s.outputs() / static_cast<double>(o.output[-1]) * static_cast<double>(widest);
  const double sigma = o.sigma.upper;
  const double a = up(s.gamma(o.terms + 2) * (o.absolute * s.m() + o.added) +
                      s.underflow(o.terms, o.absolute, s.m(), entries));
  const double h = up(sigma * s.m() + o.added + a);
  const double b =
      up(s.gamma(o.terms + 2) * o.absolute * h + s.underflow(o.terms, o.absolute, h, entries));
  const double step = up(sigma * h + b);
  if (!(o.absolute * h <= s.arithmetic.largest)) return {infinity, infinity};
  return {o.bound * s.in.norm + sigma * o.added, o.bound * s.in.error + sigma * a + b +
                                                     s.gamma(1) * (s.m() + step) +
                                                     s.underflow(1, 1, s.m() + step)};
}

// By Horner's rule, z = x + L z / i for i = terms - 1 .. 1: z is off by `error`.
Magnitude skew_exp(const Step& s) {
  const Operation& o = s.operation;
  const double sigma = o.sigma.upper;
  double norm = s.m();
  double error = 0;
  for (std::int64_t i = s.integer("terms") - 1; i > 0; --i) {
    const double z = norm + error;
    if (!(o.absolute * z <= s.arithmetic.largest)) return {infinity, infinity};
    const double a =
        s.gamma(o.terms + 4) * o.absolute * z + s.underflow(o.terms + 2, o.absolute, z);
    const auto divisor = static_cast<double>(i);
    const double sum = up(s.m() + (sigma * z + a) / divisor);
    error = up((sigma * error + a) / divisor + s.gamma(2) * sum + s.underflow(1, 1, sum));
    norm = up(s.m() + sigma * norm / divisor);
  }
  return {o.bound * s.in.norm, o.bound * s.in.error + error};
}

// W x' of an x' of norm m: >= the norm of what is computed, and how far that is off.
Magnitude dense_product(const Step& s, double m) {
  const Operation& o = s.operation;
  const double off =
      up(s.gamma(o.terms + 2) * o.absolute * m + s.underflow(o.terms, o.absolute, m));
  if (!(o.absolute * m <= s.arithmetic.largest)) return {infinity, infinity};
  return {up(o.sigma.upper * m + off), off};
}

// Likewise U^T Q U x': each transform is off by a factor rho of the norm, and what underflows.
Magnitude frequency_product(const Step& s, double m) {
  const Operation& o = s.operation;
  const std::int64_t h = o.input[0];
  const std::int64_t w = o.input[1];
  const std::int64_t t = 2 * std::max(h, w);
  const auto entries =
      static_cast<double>(4 * (h + 2) * (w + 2) * std::max(o.weight.dim(1), o.weight.dim(2)));
  const auto axis = [&](std::int64_t n) {
    return s.gamma(2 * n + 32) * std::sqrt(2 * static_cast<double>(n));
  };
  const double rho = axis(h) + axis(w) + axis(h) * axis(w);
  const double a = up(rho * m + s.underflow(t, 2, m, entries));
  const double first = up(m + a);
  const double b = up(s.gamma(o.terms + 2) * o.absolute * first +
                      s.underflow(o.terms, o.absolute, first, entries));
  const double second = up(o.sigma.upper * first + b);
  const double c = up(rho * second + s.underflow(t, 2, second, entries));
  if (!(o.absolute * first <= s.arithmetic.largest)) return {infinity, infinity};
  return {up(second + c), up(o.sigma.upper * a + b + c)};
}

Magnitude frequencies(const Step& s) {
  const Operation& o = s.operation;
  const Magnitude y = frequency_product(s, s.m());
  const double sum = up(y.norm + o.added);
  return {o.bound * s.in.norm + o.added,
          o.bound * s.in.error + y.error + s.gamma(1) * sum + s.underflow(1, 1, sum)};
}

// A^T z, z what the activation makes of B x: c is how far the computed z is off.
Magnitude activated(const Step& s, Magnitude (*product)(const Step& s, double m)) {
  const Operation& o = s.operation;
  constexpr double scale = 0x1p24;
  const Magnitude inner = product(s, s.m());
  const double r = up(2 * inner.norm + o.added);
  const double c = up(2 * inner.error + s.gamma(48) * r + s.underflow(16, scale, r));
  const double last = product(s, up(r + c)).error;
  return {o.bound * s.in.norm + o.sigma.upper * o.added,
          o.bound * s.in.error + o.sigma.upper * c + last};
}
Magnitude sandwich(const Step& s) { return activated(s, dense_product); }
Magnitude frequency_sandwich(const Step& s) { return activated(s, frequency_product); }

// x less a mean of t entries: |mean| <= |x|, each computed to gamma(t + 2), and one subtraction.
Magnitude layer_center(const Step& s) {
  const std::int64_t t = s.operation.terms;
  return {s.in.norm, s.in.error + 2 * s.gamma(t + 6) * s.m() + s.underflow(t, 1)};
}

Magnitude sum(const Step& s) {
  const auto& branches = s.operation.branches;
  Magnitude all;
  double joined = 0;
  for (const Operations& branch : branches) {
    const Magnitude y = rounding(branch, s.in, s.arithmetic);
    all = {up(all.norm + y.norm), up(all.error + y.error)};
    joined = up(joined + y.norm + y.error);
  }
  const auto count = static_cast<std::int64_t>(branches.size());
  return {all.norm, all.error + s.gamma(count) * joined + s.underflow(count, 1, joined)};
}

// Side by side, without rounding.
Magnitude joined(const Step& s) {
  Magnitude squares;
  for (const Operations& branch : s.operation.branches) {
    const Magnitude y = rounding(branch, s.in, s.arithmetic);
    squares = {up(squares.norm + y.norm * y.norm), up(squares.error + y.error * y.error)};
  }
  // A square that underflows is less than the last term's.
  return {std::sqrt(squares.norm) + 0x1p-500, std::sqrt(squares.error) + 0x1p-500};
}

// x + a (f(x) - x); `absolute` is a, rounded up.
Magnitude convex(const Step& s) {
  const Magnitude y = rounding(s.operation.branches[0], s.in, s.arithmetic);
  const double a = s.operation.absolute;
  const double rest = up(1 - a) + 0x1p-50;
  return {rest * s.in.norm + a * y.norm, rest * s.in.error + a * y.error +
                                             s.gamma(16) * (s.m() + y.norm + y.error) +
                                             s.underflow(16, 1, s.m() + y.norm + y.error)};
}

struct Rule {
  std::string_view op;
  Magnitude (*apply)(const Step& step);
};

constexpr std::array rules = {
    Rule{"linear", linear},
    Rule{"conv", linear},
    Rule{"sort", exact},
    Rule{"maxout", exact},
    Rule{"abs", exact},
    Rule{"relu", exact},
    Rule{"leaky_relu", leaky_relu},
    Rule{"flatten", exact},
    Rule{"pixel_unshuffle", exact},
    Rule{"pixel_shuffle", exact},
    Rule{"channel_pad", exact},
    Rule{"channel_shuffle", exact},
    Rule{"first_channels", exact},
    Rule{"l2pool", l2pool},
    Rule{"avgpool", avgpool},
    Rule{"global_avgpool", global_avgpool},
    Rule{"upsample", repeated},
    Rule{"center", center},
    Rule{"bias", center},
    Rule{"shift", exact},
    Rule{"nact", nact},
    Rule{"potential", potential},
    Rule{"skew_exp", skew_exp},
    Rule{"sandwich", sandwich},
    Rule{"frequencies", frequencies},
    Rule{"frequency_sandwich", frequency_sandwich},
    Rule{"layer_center", layer_center},
    Rule{"affine", affine},
    Rule{"householder", householder},
    Rule{"gain", gain},
    Rule{"sum", sum},
    Rule{"concat", joined},
    Rule{"split", joined},
    Rule{"convex", convex},
};

}  // namespace

Magnitude rounding(const Operations& operations, Magnitude x, const Arithmetic& arithmetic) {
  for (const Operation& operation : operations) {
    const auto* const rule = std::find_if(
        rules.begin(), rules.end(), [&](const Rule& known) { return known.op == operation.op; });
    require<ValueError>(rule != rules.end(), "rounding: ", operation.name,
                        ": expected an operation with a rule, got ", operation.op);
    const Step step{operation, x, arithmetic};
    const Magnitude y = rule->apply(step);
    x = {up(y.norm), up(y.error)};
    const double largest =
        std::max({x.norm + x.error, operation.absolute * step.m(), operation.added});
    if (!(largest <= arithmetic.largest)) return {infinity, infinity};
  }
  return x;
}

}  // namespace isotape
