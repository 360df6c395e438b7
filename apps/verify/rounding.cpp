#include <isotape/apps/verify/rounding.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace isotape::verify {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// The rules of one operation on an activation of norm n, off by e, m = n + e.
class Rules {
 public:
  Rules(const Layer& layer, Accuracy x, const Format& format)
      : layer_(layer),
        o_(*layer.op),
        n_(x.norm),
        e_(x.error),
        m_(add_up(n_, e_)),
        format_(format) {}

  Accuracy result() const {
    if (o_.op == "linear" || o_.op == "conv") return affine();
    if (o_.op == "leaky_relu") return {n_, rounded(gamma(2), m_, underflow(1))};
    if (o_.op == "gain") return gain();
    if (o_.op == "l2pool" || o_.op == "avgpool") return pool();
    if (o_.op == "global_avgpool") {
      const auto pixels = static_cast<double>(layer_.in.pixels());
      return {n_, rounded(gamma(pixels + 6), m_, underflow(pixels))};
    }
    if (o_.op == "nact") {
      const double reach = add_up(m_, layer_.added);
      return {add_up(n_, layer_.added), rounded(gamma(1), reach, underflow(1))};
    }
    if (o_.op == "affine") {
      const double bound = lipschitz(layer_);
      const double n = add_up(mul_up(bound, n_), layer_.added);
      const double reach = add_up(mul_up(bound, m_), layer_.added);
      const double lost = add_up(mul_up(gamma(3), reach), underflow(1, bound, m_));
      return {n, add_up(mul_up(bound, e_), lost)};
    }
    if (o_.op == "householder") {
      const double roundings = std::ssize(layer_.angles) == layer_.in.channels / 2 ? 64 : 512;
      if (layer_.absolute > 0) return {n_, infinity};
      return {n_, rounded(gamma(roundings), m_, underflow(4))};
    }
    if (o_.op == "potential") return potential();
    if (o_.op == "skew_exp") return skew_exp();
    if (o_.op == "frequencies") return frequencies();
    if (o_.op == "sandwich" || o_.op == "frequency_sandwich") return sandwich();
    if (o_.op == "center" || o_.op == "bias") {
      const double reach = add_up(m_, layer_.added);
      return {add_up(n_, layer_.added), rounded(gamma(3), reach, underflow(1))};
    }
    if (o_.op == "layer_center") {
      const double t = centered();
      return {n_, rounded(2 * gamma(t + 6), m_, underflow(t))};
    }
    if (o_.op == "sum") return sum();
    if (o_.op == "concat" || o_.op == "split") return join();
    if (o_.op == "convex") return convex();
    const double scale = o_.op == "upsample" ? static_cast<double>(o_.factor) : 1;
    return {mul_up(scale, n_), add_up(mul_up(scale, e_), underflow(0))};
  }

 private:
  double gamma(double k) const { return gamma_up(k, format_); }
  // z(t, A) = 4 (t + 2) M eta (1 + A + m)
  double underflow(double t, double a, double m) const {
    return underflow(t, a, m, static_cast<double>(layer_.out.size()));
  }
  double underflow(double t, double a, double m, double entries) const {
    const double count = 4 * (t + 2) * entries;
    return mul_up(mul_up(count, format_.smallest), add_up(add_up(1, a), m));
  }
  double underflow(double t) const { return underflow(t, 1, m_); }
  // e + gamma size + lost
  double rounded(double gamma, double size, double lost) const {
    return add_up(e_, add_up(mul_up(gamma, size), lost));
  }

  Accuracy affine() const {
    const auto t = static_cast<double>(layer_.products);
    const double sigma = o_.sigma.upper;
    const double reach = add_up(mul_up(layer_.absolute, m_), layer_.added);
    if (!(reach <= format_.largest)) return {n_, infinity};
    const double lost = add_up(mul_up(gamma(t + 2), reach), underflow(t, layer_.absolute, m_));
    return {add_up(mul_up(sigma, n_), layer_.added), add_up(mul_up(sigma, e_), lost)};
  }

  Accuracy gain() const {
    const double v = std::abs(o_.value);
    const double off = add_up(e_, mul_up(gamma(2), m_));
    return {mul_up(v, n_), add_up(mul_up(v, off), underflow(1, v, m_))};
  }

  Accuracy pool() const {
    const auto k = static_cast<double>(o_.kernel);
    const double e = rounded(gamma(k * k + 6), m_, underflow(k * k));
    if (o_.op == "avgpool") return {n_, e};
    const double count = 2 * k * static_cast<double>(layer_.out.size());
    return {n_, add_up(e, mul_up(count, sqrt_up(format_.smallest)))};
  }

  double lost(double k, double norm, double lost) const {
    return add_up(mul_up(gamma(k), mul_up(layer_.absolute, norm)), lost);
  }
  bool overflows(double norm) const { return !(mul_up(layer_.absolute, norm) <= format_.largest); }

  Accuracy potential() const {
    const auto t = static_cast<double>(layer_.products);
    const auto channels = std::max(layer_.filters[0], layer_.filters[1]);
    const auto entries = static_cast<double>(layer_.in.pixels() * channels);
    const double absolute = layer_.absolute;
    const double sigma = o_.sigma.upper;
    const double a = add_up(lost(t + 2, m_, underflow(t, absolute, m_, entries)),
                            mul_up(gamma(t + 2), layer_.added));
    const double h = add_up(add_up(mul_up(sigma, m_), layer_.added), a);
    const double b = lost(t + 2, h, underflow(t, absolute, h, entries));
    const double reach = add_up(m_, add_up(mul_up(sigma, h), b));
    if (overflows(m_) || overflows(h)) return {n_, infinity};
    const double last = add_up(mul_up(gamma(1), reach), underflow(1, 1, reach));
    const double bound = lipschitz(layer_);
    const double own = add_up(mul_up(sigma, a), add_up(b, last));
    return {add_up(mul_up(bound, n_), mul_up(sigma, layer_.added)), add_up(mul_up(bound, e_), own)};
  }

  // z = x + L z / i, off by e.
  Accuracy skew_exp() const {
    const auto t = static_cast<double>(layer_.products);
    const double sigma = o_.sigma.upper;
    double n = m_;
    double e = 0;
    for (std::int64_t i = o_.terms - 1; i > 0; --i) {
      const double z = add_up(n, e);
      if (overflows(z)) return {n_, infinity};
      const double a = lost(t + 4, z, underflow(t + 2, layer_.absolute, z));
      const auto divisor = static_cast<double>(i);
      const double sum = add_up(m_, div_up(add_up(mul_up(sigma, z), a), divisor));
      const double last = add_up(mul_up(gamma(2), sum), underflow(1, 1, sum));
      e = add_up(div_up(add_up(mul_up(sigma, e), a), divisor), last);
      n = add_up(m_, div_up(mul_up(sigma, n), divisor));
    }
    const double bound = lipschitz(layer_);
    return {mul_up(bound, n_), add_up(mul_up(bound, e_), e)};
  }

  // Of W x for a computed x of norm m: >= the norm of what is computed, and its error.
  Accuracy dense_product(double m) const {
    const auto t = static_cast<double>(layer_.products);
    if (overflows(m)) return {infinity, infinity};
    const double off = lost(t + 2, m, underflow(t, layer_.absolute, m));
    return {add_up(mul_up(o_.sigma.upper, m), off), off};
  }

  // Of U^T Q U x. Each transform is off by a factor rho, (1 + rho) = (1 + axis(H)) (1 + axis(W)).
  Accuracy frequency_product(double m) const {
    const auto h = static_cast<double>(layer_.in.rows);
    const auto w = static_cast<double>(layer_.in.columns);
    const auto t = static_cast<double>(layer_.products);
    const auto channels = static_cast<double>(std::max(layer_.filters[1], layer_.filters[2]));
    const double entries = 4 * (h + 2) * (w + 2) * channels;
    const double sigma = o_.sigma.upper;
    const auto axis = [&](double n) { return mul_up(gamma(2 * n + 32), sqrt_up(2 * n)); };
    const double rho = add_up(add_up(axis(h), axis(w)), mul_up(axis(h), axis(w)));
    const auto transform = [&](double norm) {
      return add_up(mul_up(rho, norm), underflow(2 * std::max(h, w), 2, norm, entries));
    };
    const double a = transform(m);
    const double first = add_up(m, a);
    if (overflows(first)) return {infinity, infinity};
    const double b = lost(t + 2, first, underflow(t, layer_.absolute, first, entries));
    const double second = add_up(mul_up(sigma, first), b);
    const double c = transform(second);
    return {add_up(second, c), add_up(mul_up(sigma, a), add_up(b, c))};
  }

  Accuracy frequencies() const {
    const Accuracy y = frequency_product(m_);
    const double sum = add_up(y.norm, layer_.added);
    const double last = add_up(mul_up(gamma(1), sum), underflow(1, 1, sum));
    const double sigma = o_.sigma.upper;
    return {add_up(mul_up(sigma, n_), layer_.added),
            add_up(mul_up(sigma, e_), add_up(y.error, last))};
  }

  Accuracy sandwich() const {
    const auto product = [&](double m) {
      return o_.op == "sandwich" ? dense_product(m) : frequency_product(m);
    };
    const double beta = layer_.added;
    const Accuracy inner = product(m_);
    const double r = add_up(2 * inner.norm, beta);
    const double c =
        add_up(2 * inner.error, add_up(mul_up(gamma(48), r), underflow(16, 0x1p24, r)));
    const double last = product(add_up(r, c)).error;
    const double bound = lipschitz(layer_);
    const double sigma = o_.sigma.upper;
    return {add_up(mul_up(bound, n_), mul_up(sigma, beta)),
            add_up(mul_up(bound, e_), add_up(mul_up(sigma, c), last))};
  }

  double centered() const {
    return static_cast<double>(o_.over == "pixels"     ? layer_.in.pixels()
                               : o_.over == "channels" ? layer_.in.channels
                                                       : layer_.in.size());
  }

  Accuracy sum() const {
    Accuracy total{0, 0};
    for (const Network& branch : layer_.branches) {
      const Accuracy y = propagate(branch, {n_, e_}, format_);
      total = {add_up(total.norm, y.norm), add_up(total.error, y.error)};
    }
    const double m = add_up(total.norm, total.error);
    const auto count = static_cast<double>(layer_.branches.size());
    const double lost = add_up(mul_up(gamma(count), m), underflow(count, 1, m));
    return {total.norm, add_up(total.error, lost)};
  }

  Accuracy join() const {
    Accuracy squares{0, 0};
    for (const Network& branch : layer_.branches) {
      const Accuracy y = propagate(branch, {n_, e_}, format_);
      squares.norm = add_up(squares.norm, mul_up(y.norm, y.norm));
      squares.error = add_up(squares.error, mul_up(y.error, y.error));
    }
    return {sqrt_up(squares.norm), sqrt_up(squares.error)};
  }

  // (1 - a) x + a y is linear in a: largest at an end of a's enclosure.
  double mixed(double x, double y) const {
    const auto at = [&](double a) { return add_up(mul_up(sub_up(1, a), x), mul_up(a, y)); };
    return std::max(at(layer_.share.lower), at(layer_.share.upper));
  }

  Accuracy convex() const {
    const Accuracy f = propagate(layer_.branches[0], {n_, e_}, format_);
    const double m = add_up(m_, add_up(f.norm, f.error));
    const double lost = add_up(mul_up(gamma(16), m), underflow(16, 1, m));
    return {mixed(n_, f.norm), add_up(mixed(e_, f.error), lost)};
  }

  const Layer& layer_;
  const Operation& o_;
  double n_, e_, m_;
  const Format& format_;
};

}  // namespace

Accuracy propagate(const Network& network, Accuracy input, const Format& format) {
  Accuracy x = input;
  for (const Layer& layer : network) {
    x = Rules(layer, x, format).result();
    if (!(add_up(x.norm, x.error) <= format.largest)) return {x.norm, infinity};
  }
  return x;
}

}  // namespace isotape::verify
