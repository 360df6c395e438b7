#include <isotape/ops/sandwich.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/op.hpp>
#include <isotape/core/tensor.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

const Op sandwich_op("sandwich_activation");

constexpr std::int64_t block = 256;  // rows whose gradients are summed plainly, in f64 beyond
constexpr std::int64_t elements_worth_a_thread = 1 << 15;

constexpr std::array<std::pair<std::string_view, SlopeRestricted>, 5> names = {
    {{"relu", SlopeRestricted::relu},
     {"softplus", SlopeRestricted::softplus},
     {"tanh", SlopeRestricted::tanh},
     {"sigmoid", SlopeRestricted::sigmoid},
     {"identity", SlopeRestricted::identity}}};

bool is_homogeneous(SlopeRestricted sigma) {
  return sigma == SlopeRestricted::relu || sigma == SlopeRestricted::identity;
}

template <class T>
T sigmoid(T u) {
  return u >= 0 ? 1 / (1 + std::exp(-u)) : std::exp(u) / (1 + std::exp(u));
}

template <class T>
T value(SlopeRestricted sigma, T u) {
  switch (sigma) {
    case SlopeRestricted::softplus:
      return std::max(u, T(0)) + std::log1p(std::exp(-std::abs(u)));
    case SlopeRestricted::tanh:
      return std::tanh(u);
    case SlopeRestricted::sigmoid:
      return sigmoid(u);
    default:
      return u;
  }
}

template <class T>
T slope(SlopeRestricted sigma, T u) {
  switch (sigma) {
    case SlopeRestricted::softplus:
      return sigmoid(u);
    case SlopeRestricted::tanh: {
      const T t = std::tanh(u);
      return (1 - t) * (1 + t);
    }
    case SlopeRestricted::sigmoid:
      return sigmoid(u) * sigmoid(-u);
    default:
      return 1;
  }
}

// Per channel: s, s bias, and bias.
struct Channels {
  std::int64_t count;
  std::vector<double> s, shift, bias;

  Channels(std::int64_t channels, const Tensor& d, const Tensor& b) : count(channels) {
    for (std::int64_t c = 0; c < count; ++c) {
      s.push_back(std::numbers::sqrt2 * std::exp(d ? d.at(c) : 0));
      bias.push_back(b ? b.at(c) : 0);
      shift.push_back(s.back() * bias.back());
    }
  }
};

// Calls f(first row, last row) for ranges of whole blocks, in parallel.
template <class F>
void for_rows(std::int64_t rows, std::int64_t channels, F&& f) {
  parallel_for(
      (rows + block - 1) / block, elements_worth_a_thread / (block * channels + 1) + 1,
      [&](std::int64_t begin, std::int64_t end) { f(begin * block, std::min(end * block, rows)); });
}

// y; keeps t = 2 x + s bias in `kept` for a sigma that is not homogeneous. y may be x.
template <class T>
void forward(const Channels& channels, SlopeRestricted sigma, std::int64_t rows, const T* x, T* y,
             T* kept) {
  const std::int64_t c = channels.count;
  std::vector<T> shift(channels.shift.begin(), channels.shift.end());
  const std::vector<T> s(channels.s.begin(), channels.s.end());
  const T least = sigma == SlopeRestricted::relu ? T(0) : -std::numeric_limits<T>::infinity();
  for_rows(rows, c, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const T* from = x + row * c;
      T* to = y + row * c;
      if (kept == nullptr) {
        for (std::int64_t i = 0; i < c; ++i) {
          const T t = 2 * from[i] + shift[i];
          to[i] = t < least ? least : t;  // NaN stays NaN
        }
        continue;
      }
      for (std::int64_t i = 0; i < c; ++i) {
        const T t = 2 * from[i] + shift[i];
        kept[row * c + i] = t;
        to[i] = s[i] * value(sigma, t / s[i]);
      }
    }
  });
}

// One row: dx, sums[0..c) += m dy, and, where t is kept, sums[c..2c) += (y - m t) dy.
template <class T>
void backward_row(std::int64_t c, SlopeRestricted sigma, const T* s, const T* y, const T* t,
                  const T* dy, T* dx, T* sums) {
  if (t == nullptr) {
    const T least = sigma == SlopeRestricted::relu ? T(0) : -std::numeric_limits<T>::infinity();
    for (std::int64_t i = 0; i < c; ++i) {
      const T passed = y[i] > least || sigma == SlopeRestricted::identity ? dy[i] : T(0);
      sums[i] += passed;
      dx[i] = 2 * passed;
    }
    return;
  }
  for (std::int64_t i = 0; i < c; ++i) {
    const T m = slope(sigma, t[i] / s[i]);
    sums[i] += m * dy[i];
    sums[c + i] += (y[i] - m * t[i]) * dy[i];
    dx[i] = 2 * m * dy[i];
  }
}

template <class T>
Grads<3> backward(const Channels& channels, SlopeRestricted sigma, const Tensor& y, const Tensor& t,
                  const Tensor& dy, Tensor dx, bool with_d, bool with_bias) {
  const std::int64_t c = channels.count;
  const std::int64_t rows = y.size() / std::max<std::int64_t>(c, 1);
  const std::int64_t blocks = (rows + block - 1) / block;
  Tensor partial = Tensor::zeros({blocks, 2 * c}, y.dtype());
  const std::vector<T> s(channels.s.begin(), channels.s.end());
  T* sums = partial.write<T>();
  T* to = dx.write<T>();
  const T* kept = t ? t.data<T>() : nullptr;
  for_rows(rows, c, [&, from = dy.data<T>(), value = y.data<T>()](auto begin, auto end) {
    for (std::int64_t row = begin; row < end; ++row) {
      backward_row(c, sigma, s.data(), value + row * c, kept == nullptr ? nullptr : kept + row * c,
                   from + row * c, to + row * c, sums + row / block * 2 * c);
    }
  });
  Grads<3> grads{std::move(dx), with_d ? Tensor({c}, y.dtype()) : Tensor(),
                 with_bias ? Tensor({c}, y.dtype()) : Tensor()};
  for (std::int64_t i = 0; i < c; ++i) {
    double passed = 0;  // sum m dy
    double rest = 0;    // sum (y - m t) dy, zero for a homogeneous sigma
    for (std::int64_t k = 0; k < blocks; ++k) {
      passed += double(partial.at(k * 2 * c + i));
      rest += double(partial.at((k * 2 + 1) * c + i));
    }
    const auto at = static_cast<std::size_t>(i);
    const double grad_bias = channels.s[at] * passed;
    if (with_bias) grads[2].write<T>()[i] = T(grad_bias);
    if (with_d) grads[1].write<T>()[i] = T(rest + channels.bias[at] * grad_bias);
  }
  return grads;
}

// dy = 2 m dx + s m dbias + (y - m t + m s bias) dd.
template <class T>
Tensor tangent(const Channels& channels, SlopeRestricted sigma, const Tensor& y, const Tensor& t,
               const Tangents<3>& d) {
  Tensor dy(y.shape(), y.dtype());
  T* to = dy.write<T>();
  for (std::int64_t at = 0; at < y.size(); ++at) {
    const std::int64_t i = at % channels.count;
    const auto c = static_cast<std::size_t>(i);
    const double out = y.at(at);
    const double u = t ? t.at(at) / channels.s[c] : 0;
    const double m = sigma == SlopeRestricted::relu ? (out > 0 ? 1 : 0) : slope(sigma, u);
    double sum = 0;
    if (d[0]) sum += 2 * m * d[0].at(at);
    if (d[2]) sum += channels.s[c] * m * d[2].at(i);
    if (d[1]) {
      sum += ((t ? out - m * t.at(at) : 0) + m * channels.shift[c]) * d[1].at(i);
    }
    to[at] = T(sum);
  }
  return dy;
}

Tensor result_for(const Tensor& x) { return x.unique() ? x : Tensor(x.shape(), x.dtype()); }

}  // namespace

std::string_view name(SlopeRestricted sigma) {
  return names[static_cast<std::size_t>(sigma)].first;
}

SlopeRestricted slope_restricted(std::string_view name) {
  for (const auto& [known, sigma] : names) {
    if (known == name) return sigma;
  }
  throw ValueError(message(
      "activation: expected one of relu, softplus, tanh, sigmoid, identity, got '", name, "'"));
}

// x is taken by value: only so can it be the last handle.
// NOLINTNEXTLINE(performance-unnecessary-value-param)
Var sandwich_activation(Var x_var, const Var& d_var, const Var& bias_var, SlopeRestricted sigma) {
  const Tensor& x = x_var.value();
  require<ShapeError>(x.rank() >= 1, "sandwich_activation: expected x of shape [..., C], got ",
                      x.shape());
  for (const Tensor& row : {d_var.value(), bias_var.value()}) {
    require<ShapeError>(!row || (row.shape() == Shape{x.dim(-1)} && row.dtype() == x.dtype()),
                        "sandwich_activation: expected d and bias of shape ", Shape{x.dim(-1)},
                        " and type ", x.dtype(), ", got ", row.shape(), " and ", row.dtype());
  }
  return dispatch_float(x.dtype(), "sandwich_activation", [&]<class T>() {
    const Channels channels(x.dim(-1), d_var.value(), bias_var.value());
    const std::int64_t rows = x.size() / std::max<std::int64_t>(channels.count, 1);
    Tensor t = is_homogeneous(sigma) ? Tensor() : Tensor(x.shape(), x.dtype());
    Tensor y = result_for(x);
    forward(channels, sigma, rows, x.data<T>(), y.write<T>(), t ? t.write<T>() : nullptr);

    auto vjp = [=](Tensor dy, Needs needs) {  // NOLINT: as above
      Tensor dx = result_for(dy);
      return backward<T>(channels, sigma, y, t, dy, std::move(dx), needs(1), needs(2));
    };
    auto jvp = [=](const Tangents<3>& d) { return tangent<T>(channels, sigma, y, t, d); };
    return record(sandwich_op, y, {x_var, d_var, bias_var}, {y}, std::move(vjp), std::move(jvp));
  });
}

}  // namespace isotape
