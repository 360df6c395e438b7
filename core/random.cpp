#include <isotape/core/random.hpp>

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>

namespace isotape {
namespace {

// SplitMix64's finaliser: a bijection that spreads every bit.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

template <class F>
Tensor fill(const Shape& shape, DType dtype, F&& draw) {
  Tensor result(shape, dtype);
  dispatch_float(dtype, "random", [&]<class T>() {
    T* data = result.write<T>();
    for (std::int64_t i = 0; i < result.size(); ++i) data[i] = static_cast<T>(draw());
  });
  return result;
}

// Columns of q [m, n], m >= n, by QR of a normal matrix; R's diagonal made positive, which makes
// the distribution Haar's.
std::vector<double> haar_columns(Rng& rng, std::int64_t m, std::int64_t n) {
  std::vector<double> q(static_cast<std::size_t>(m * n));
  for (double& entry : q) entry = rng.normal();
  std::vector<double> signs(static_cast<std::size_t>(n));
  blas::qr_orthonormal(m, n, q.data(), signs.data());
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) q[i * n + j] *= signs[j];
  }
  return q;
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53U} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57U} * counter[2];
    counter = {
        static_cast<std::uint32_t>(b >> 32U) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
        static_cast<std::uint32_t>(a >> 32U) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  return counter;
}

Rng Rng::stream(std::string_view name) const { return Rng(mix(state_.key ^ fnv1a(name))); }

Rng Rng::stream(std::uint64_t index) const { return Rng(mix(mix(state_.key) + index)); }

std::uint32_t Rng::next() {
  const std::uint64_t block = state_.counter / 4;
  const auto words = philox(
      {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32U), 0, 0},
      {static_cast<std::uint32_t>(state_.key), static_cast<std::uint32_t>(state_.key >> 32U)});
  return words[state_.counter++ % 4];
}

double Rng::uniform() {
  const std::uint64_t high = next() >> 5U;  // 27 bits
  const std::uint64_t low = next() >> 6U;   // 26 bits
  return static_cast<double>((high << 26U) | low) * 0x1p-53;
}

double Rng::normal() {
  const double radius = std::sqrt(-2 * std::log1p(-uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

std::uint64_t Rng::below(std::uint64_t n) {
  require<ValueError>(n >= 1, "below: expected n >= 1, got ", n);
  const std::uint64_t excess = (0 - n) % n;  // 2^64 mod n: draws below it would be a bias
  while (true) {
    const std::uint64_t high = next();
    const std::uint64_t draw = (high << 32U) | next();
    if (draw >= excess) return draw % n;
  }
}

std::vector<std::int64_t> Rng::permutation(std::int64_t n) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::int64_t i = n - 1; i > 0; --i) {
    std::swap(order[i], order[below(static_cast<std::uint64_t>(i) + 1)]);
  }
  return order;
}

Tensor random_uniform(Rng& rng, const Shape& shape, double low, double high, DType dtype) {
  return fill(shape, dtype, [&] { return low + (high - low) * rng.uniform(); });
}

Tensor random_normal(Rng& rng, const Shape& shape, double deviation, DType dtype) {
  return fill(shape, dtype, [&] { return deviation * rng.normal(); });
}

Tensor random_orthogonal(Rng& rng, const Shape& shape, double gain, DType dtype) {
  require<ShapeError>(shape.rank() == 2 || shape.rank() == 3,
                      "random_orthogonal: expected shape [m, n] or [b, m, n], got ", shape);
  const std::int64_t batch = shape.rank() == 3 ? shape[0] : 1;
  const std::int64_t m = shape[-2];
  const std::int64_t n = shape[-1];
  Tensor result(shape, dtype);
  dispatch_float(dtype, "random_orthogonal", [&]<class T>() {
    T* data = result.write<T>();
    for (std::int64_t b = 0; b < batch; ++b) {
      const std::vector<double> q = haar_columns(rng, std::max(m, n), std::min(m, n));
      for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
          const double entry = m >= n ? q[i * n + j] : q[j * m + i];
          data[(b * m + i) * n + j] = static_cast<T>(gain * entry);
        }
      }
    }
  });
  return result;
}

}  // namespace isotape
