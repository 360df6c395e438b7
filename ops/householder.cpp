#include <isotape/ops/householder.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/broadcast.hpp>

namespace isotape {
namespace {

const Op householder_op("householder");
const Op householder2_op("householder2");

using std::numbers::pi;

constexpr std::int64_t elements_worth_a_thread = 1 << 14;

// Pair i of a row is the channels i * step and i * step + gap.
struct Pairs {
  std::int64_t count, step, gap;

  Pairs(std::int64_t channels, Pairing pairing)
      : count(channels / 2),
        step(pairing == Pairing::split ? 1 : 2),
        gap(pairing == Pairing::split ? count : 1) {}
};

// In sector s an angle phi becomes alpha_s + phi (s even) or alpha_s - phi (s odd):
// y = (cos z1 - sign sin z2, sin z1 + sign cos z2). Tables of cos and sin of alpha, [sectors, h].
struct Sectors {
  Tensor cos, sin;
  Tensor edges;  // what finds the sector, in a form of its own for each order
};

template <class F>
void for_rows(const Tensor& x, F&& f) {
  const std::int64_t channels = std::max<std::int64_t>(x.dim(-1), 1);
  parallel_for(x.size() / channels, elements_worth_a_thread / channels + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) f(row);
               });
}

Tensor table(const std::vector<double>& values, std::int64_t pairs, DType dtype) {
  const auto rows = pairs == 0 ? 0 : static_cast<std::int64_t>(values.size()) / pairs;
  return Tensor::of(values, {rows, pairs}, dtype);
}

Sectors tables(const std::vector<double>& alpha, const std::vector<double>& edges,
               std::int64_t pairs, DType dtype) {
  std::vector<double> cosines(alpha.size());
  std::vector<double> sines(alpha.size());
  for (std::size_t i = 0; i < alpha.size(); ++i) {
    cosines[i] = std::cos(alpha[i]);
    sines[i] = std::sin(alpha[i]);
  }
  return {table(cosines, pairs, dtype), table(sines, pairs, dtype), table(edges, pairs, dtype)};
}

// alpha = (0, theta); edges = (cos(theta/2), sin(theta/2)), the direction of the mirror.
Sectors sectors_of_order_1(const Tensor& theta, std::int64_t pairs) {
  const auto n = static_cast<std::size_t>(pairs);
  std::vector<double> alpha(2 * n, 0);
  std::vector<double> edges(2 * n);
  for (std::size_t i = 0; i < n; ++i) {
    alpha[n + i] = theta.at(static_cast<std::int64_t>(i));
    edges[i] = std::cos(alpha[n + i] / 2);
    edges[n + i] = std::sin(alpha[n + i] / 2);
  }
  return tables(alpha, edges, pairs, theta.dtype());
}

// An angle folded into [0, 2 pi] by mirrors at the ends, and the slope of that, 1 or -1.
std::pair<double, double> folded(double theta) {
  const double turn = std::fmod(std::abs(theta), 4 * pi);
  const double sign = theta < 0 ? -1 : 1;
  return turn <= 2 * pi ? std::pair{turn, sign} : std::pair{4 * pi - turn, -sign};
}

// A monotone function of the angle of (x, y) in [0, 2 pi), with values in [0, 4) and no
// trigonometry: the distance travelled round the unit ball of l1, over sqrt(2). 0 at the origin.
template <class T>
T round_trip(T x, T y) {
  const T length = std::abs(x) + std::abs(y);
  const T q = length > 0 ? x / length : T{1};
  return y < 0 ? 3 + q : 1 - q;
}

double round_trip_of(double angle) {
  return angle >= 2 * pi ? 4 : round_trip(std::cos(angle), std::sin(angle));
}

// alpha = (0, theta0 + theta1, -theta2, theta0); edges = (cos, sin of theta0/2, and the round trips
// at which the sectors 1, 2, 3 begin, seen from there).
Sectors sectors_of_order_2(const Tensor& theta, std::int64_t pairs) {
  const auto n = static_cast<std::size_t>(pairs);
  std::vector<double> alpha(4 * n, 0);
  std::vector<double> edges(5 * n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::int64_t>(i);
    const double theta0 = theta.at(at);
    const double theta1 = folded(theta.at(pairs + at)).first;
    const double theta2 = folded(theta.at(2 * pairs + at)).first;
    const std::array<double, 4> alphas = {0, theta0 + theta1, -theta2, theta0};
    const std::array<double, 5> edge = {
        std::cos(theta0 / 2), std::sin(theta0 / 2), round_trip_of(theta1 / 2),
        round_trip_of((theta1 + theta2) / 2), round_trip_of(pi + theta2 / 2)};
    for (std::size_t s = 0; s < 4; ++s) alpha[s * n + i] = alphas[s];
    for (std::size_t s = 0; s < 5; ++s) edges[s * n + i] = edge[s];
  }
  return tables(alpha, edges, pairs, theta.dtype());
}

template <class T>
int sector(const T* edges, std::int64_t pairs, int order, T z1, T z2) {
  const T cos = edges[0];
  const T sin = edges[pairs];
  if (order == 1) return sin * z1 < cos * z2 ? 1 : 0;
  const T at = round_trip(cos * z1 + sin * z2, cos * z2 - sin * z1);
  return static_cast<int>(at >= edges[2 * pairs]) + static_cast<int>(at >= edges[3 * pairs]) +
         static_cast<int>(at >= edges[4 * pairs]);
}

// The sector of every pair, [rows, h].
Tensor found(const Op& op, int order, const Pairs& pairs, const Sectors& sectors,
             const Tensor& x_tensor) {
  const std::int64_t channels = x_tensor.dim(-1);
  Tensor places({x_tensor.shape().outer(-1), pairs.count}, DType::u8);
  auto* const all = places.write<std::uint8_t>();
  dispatch_float(x_tensor.dtype(), op.name(), [&]<class T>() {
    const T* const edges = sectors.edges.data<T>();
    for_rows(x_tensor, [&](std::int64_t row) {
      const T* const x = x_tensor.data<T>() + row * channels;
      for (std::int64_t i = 0; i < pairs.count; ++i) {
        const T* const z = x + i * pairs.step;
        all[row * pairs.count + i] =
            static_cast<std::uint8_t>(sector(edges + i, pairs.count, order, z[0], z[pairs.gap]));
      }
    });
  });
  return places;
}

// y = M x with the orthogonal M of each pair's sector, or y = M^T x.
template <bool transposed>
Tensor turned(const Op& op, const Pairs& pairs, const Sectors& sectors, const Tensor& places,
              const Tensor& x_tensor) {
  const std::int64_t channels = x_tensor.dim(-1);
  Tensor y_tensor(x_tensor.shape(), x_tensor.dtype());
  dispatch_float(x_tensor.dtype(), op.name(), [&]<class T>() {
    const T* const cosines = sectors.cos.data<T>();
    const T* const sines = sectors.sin.data<T>();
    T* const y_data = y_tensor.write<T>();
    for_rows(x_tensor, [&](std::int64_t row) {
      const auto* const s = places.data<std::uint8_t>() + row * pairs.count;
      const T* const x = x_tensor.data<T>() + row * channels;
      T* const y = y_data + row * channels;
      for (std::int64_t i = 0; i < pairs.count; ++i) {
        const T cos = cosines[s[i] * pairs.count + i];
        const T sin = sines[s[i] * pairs.count + i];
        const T sign = s[i] % 2 == 0 ? T{1} : T{-1};
        const std::int64_t at = i * pairs.step;
        const T z1 = x[at];
        const T z2 = x[at + pairs.gap];
        y[at] = transposed ? cos * z1 + sin * z2 : cos * z1 - sign * (sin * z2);
        y[at + pairs.gap] =
            transposed ? sign * (cos * z2 - sin * z1) : sin * z1 + sign * (cos * z2);
      }
    });
  });
  return y_tensor;
}

// dL/d(alpha), [sectors, h]: a turn of y by a small angle adds it times (-y2, y1).
Tensor turn_gradient(const Op& op, const Pairs& pairs, const Sectors& sectors, const Tensor& places,
                     const Tensor& y_tensor, const Tensor& dy_tensor) {
  const std::int64_t channels = y_tensor.dim(-1);
  const std::int64_t count = sectors.cos.dim(0);
  Tensor terms = Tensor::zeros({places.dim(0), count, pairs.count}, y_tensor.dtype());
  dispatch_float(y_tensor.dtype(), op.name(), [&]<class T>() {
    T* const data = terms.write<T>();
    for_rows(y_tensor, [&](std::int64_t row) {
      const auto* const s = places.data<std::uint8_t>() + row * pairs.count;
      const T* const y = y_tensor.data<T>() + row * channels;
      const T* const dy = dy_tensor.data<T>() + row * channels;
      for (std::int64_t i = 0; i < pairs.count; ++i) {
        const std::int64_t at = i * pairs.step;
        data[(row * count + s[i]) * pairs.count + i] =
            dy[at + pairs.gap] * y[at] - dy[at] * y[at + pairs.gap];
      }
    });
  });
  return sum_to(terms, {count, pairs.count});
}

// dy += (-y2, y1) dalpha
void add_turn(const Op& op, const Pairs& pairs, const Tensor& places, const Tensor& y_tensor,
              const Tensor& dalpha, Tensor& dy_tensor) {
  const std::int64_t channels = y_tensor.dim(-1);
  dispatch_float(y_tensor.dtype(), op.name(), [&]<class T>() {
    T* const dy_data = dy_tensor.write<T>();
    for_rows(y_tensor, [&](std::int64_t row) {
      const auto* const s = places.data<std::uint8_t>() + row * pairs.count;
      const T* const y = y_tensor.data<T>() + row * channels;
      T* const dy = dy_data + row * channels;
      for (std::int64_t i = 0; i < pairs.count; ++i) {
        const std::int64_t at = i * pairs.step;
        const T turn = dalpha.data<T>()[s[i] * pairs.count + i];
        dy[at] -= turn * y[at + pairs.gap];
        dy[at + pairs.gap] += turn * y[at];
      }
    });
  });
}

// alpha is linear in the (folded) angles: alpha_s = sum_k coefficient(s, k, pair) theta_k.
double coefficient(int order, std::int64_t s, std::int64_t k, double theta) {
  if (order == 1) return s == 1 ? 1 : 0;
  if (k == 0) return s == 1 || s == 3 ? 1 : 0;
  const double slope = folded(theta).second;
  if (k == 1) return s == 1 ? slope : 0;
  return s == 2 ? -slope : 0;
}

// to[row] += coefficient from[...]: dtheta = A^T dalpha (to_theta), or dalpha = A dtheta.
Tensor through_angles(int order, bool to_theta, const Tensor& from, const Tensor& theta) {
  const std::int64_t pairs = theta.dim(-1);
  const std::int64_t angles = order == 1 ? 1 : 3;
  const std::int64_t sectors = order == 1 ? 2 : 4;
  const std::int64_t rows = to_theta ? angles : sectors;
  std::vector<double> sums(static_cast<std::size_t>(rows * pairs), 0);
  for (std::int64_t s = 0; s < sectors; ++s) {
    for (std::int64_t k = 0; k < angles; ++k) {
      for (std::int64_t i = 0; i < pairs; ++i) {
        const double c = coefficient(order, s, k, theta.at(k * pairs + i));
        const auto target = static_cast<std::size_t>((to_theta ? k : s) * pairs + i);
        sums[target] += c * from.at((to_theta ? s : k) * pairs + i);
      }
    }
  }
  return Tensor::of(sums, to_theta ? theta.shape() : Shape{sectors, pairs}, theta.dtype());
}

void check(const Op& op, int order, const Tensor& x, const Tensor& theta) {
  require<ShapeError>(x.rank() >= 1 && x.dim(-1) % 2 == 0, op.name(),
                      ": expected x of shape [..., C] with C even, got ", x.shape());
  const Shape shape = order == 1 ? Shape{x.dim(-1) / 2} : Shape{3, x.dim(-1) / 2};
  require<ShapeError>(theta.shape() == shape && theta.dtype() == x.dtype(), op.name(),
                      ": expected theta of shape ", shape, " and type ", x.dtype(), ", got ",
                      theta.shape(), " and ", theta.dtype());
}

Var apply(const Op& op, int order, const Var& x_var, const Var& theta_var, Pairing pairing) {
  const Tensor& x = x_var.value();
  const Tensor& theta = theta_var.value();
  check(op, order, x, theta);
  const Pairs pairs(x.dim(-1), pairing);
  const Sectors sectors =
      order == 1 ? sectors_of_order_1(theta, pairs.count) : sectors_of_order_2(theta, pairs.count);
  const Tensor places = found(op, order, pairs, sectors, x);
  const Tensor y = turned<false>(op, pairs, sectors, places, x);

  // y = M_s(alpha) x:  grad_x = M_s^T dy,  grad_alpha_s = sum over the sector of dy2 y1 - dy1 y2,
  // and alpha is linear in theta. Sectors meet in equal values: their edges have no share.
  auto vjp = [&op, order, pairs, sectors, places, y, theta](const Tensor& dy,
                                                            Needs needs) -> Grads<2> {
    Grads<2> grads;
    if (needs(0)) grads[0] = turned<true>(op, pairs, sectors, places, dy);
    if (needs(1)) {
      const Tensor dalpha = turn_gradient(op, pairs, sectors, places, y, dy);
      grads[1] = through_angles(order, true, dalpha, theta);
    }
    return grads;
  };
  auto jvp = [&op, order, pairs, sectors, places, y, theta](const Tangents<2>& dx) {
    Tensor dy = dx[0] ? turned<false>(op, pairs, sectors, places, dx[0])
                      : Tensor::zeros(y.shape(), y.dtype());
    if (dx[1]) add_turn(op, pairs, places, y, through_angles(order, false, dx[1], theta), dy);
    return dy;
  };
  return record(op, y, {x_var, theta_var}, {y, theta}, std::move(vjp), std::move(jvp));
}

}  // namespace

Var householder(const Var& x, const Var& theta, Pairing pairing) {
  return apply(householder_op, 1, x, theta, pairing);
}

Var householder2(const Var& x, const Var& theta, Pairing pairing) {
  return apply(householder2_op, 2, x, theta, pairing);
}

}  // namespace isotape
