#include <isotape/optim/ball.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

constexpr std::int64_t rows_per_thread = 16;
constexpr double unit_roundoff = std::numeric_limits<double>::epsilon() / 2;

// Eight running sums: faster than one, and their error is within the same bound.
template <class T>
double l2_distance(const T* a, const T* b, std::int64_t n) {
  constexpr std::int64_t lanes = 8;
  std::array<double, lanes> sums{};
  for (std::int64_t k = 0; k < n; ++k) {
    const double offset = static_cast<double>(a[k]) - static_cast<double>(b[k]);
    sums[static_cast<std::size_t>(k % lanes)] += offset * offset;
  }
  double square = 0;
  for (const double sum : sums) square += sum;
  // Relative errors: of each difference u, so 2u + u of its square; of n sums of terms >= 0, n u;
  // of the root u. Doubled, against second-order terms and the rounding of this product.
  const double slack = 2 * (static_cast<double>(n) + lanes + 4) * unit_roundoff;
  return std::sqrt(square) * (1 + slack);
}

template <class T>
double linf_distance(const T* a, const T* b, std::int64_t n) {
  double largest = 0;
  for (std::int64_t k = 0; k < n; ++k) {
    largest = std::max(largest, std::abs(static_cast<double>(a[k]) - static_cast<double>(b[k])));
  }
  return largest * (1 + 2 * unit_roundoff);
}

template <class T>
double distance(BallNorm norm, const T* a, const T* b, std::int64_t n) {
  return norm == BallNorm::l2 ? l2_distance(a, b, n) : linf_distance(a, b, n);
}

template <class T>
void clip_row(const PixelRange& range, T* y, std::int64_t n) {
  if (!range.is_bounded()) return;
  for (std::int64_t k = 0; k < n; ++k) {
    y[k] = std::clamp(y[k], static_cast<T>(range.low), static_cast<T>(range.high));
  }
}

// The nearest point of ball and range to y is clip(x + s (y - x)) with s the largest that keeps it
// in the ball. Where the border of the range stops an entry short, the others may go further:
//
//     s^2 = (eps^2 - sum of squares of the stopped) / (sum of squares of y - x of the others).
//
// From s = eps / |y - x| on more and more are stopped, until none is added.
template <class T>
double largest_factor(const T* x, const T* y, std::int64_t n, double eps, double far,
                      const PixelRange& range) {
  double s = eps / far;
  if (!range.is_bounded()) return s;
  while (true) {
    double stopped = 0;
    double free = 0;
    for (std::int64_t k = 0; k < n; ++k) {
      const auto at = static_cast<double>(x[k]);
      const double offset = static_cast<double>(y[k]) - at;
      const double room = offset > 0 ? range.high - at : at - range.low;
      if (s * std::abs(offset) >= room)
        stopped += room * room;
      else
        free += offset * offset;
    }
    const double next = free > 0 ? std::sqrt(std::max(eps * eps - stopped, 0.0) / free) : s;
    if (!(next > s)) return s;
    s = next;
  }
}

// Rounding to T may leave the ball, so s is lowered until the distance, measured, is within eps.
template <class T>
void shrink_row(const T* x, T* y, std::int64_t n, double eps, const PixelRange& range) {
  const double far = l2_distance(x, y, n);
  if (far <= eps) return clip_row(range, y, n);
  require<NumericError>(std::isfinite(far), "project: expected finite inputs, got a distance of ",
                        far);
  const std::vector<T> from(y, y + n);
  clip_row(range, y, n);
  if (l2_distance(x, y, n) <= eps) return;
  const double s = largest_factor(x, from.data(), n, eps, far, range);
  for (double less = std::numeric_limits<T>::epsilon() / 4;; less *= 2) {
    const double factor = std::max(s * (1 - less), 0.0);
    for (std::int64_t k = 0; k < n; ++k) {
      const auto centre = static_cast<double>(x[k]);
      y[k] = static_cast<T>(centre + factor * (static_cast<double>(from[k]) - centre));
    }
    clip_row(range, y, n);
    if (factor == 0 || l2_distance(x, y, n) <= eps) return;
  }
}

template <class T>
void clamp_row(const T* x, T* y, std::int64_t n, double eps, const PixelRange& range) {
  clip_row(range, y, n);
  for (std::int64_t k = 0; k < n; ++k) {
    if (linf_distance(x + k, y + k, 1) <= eps) continue;
    const auto centre = static_cast<double>(x[k]);
    y[k] = static_cast<T>(y[k] > x[k] ? centre + eps : centre - eps);
    while (linf_distance(x + k, y + k, 1) > eps) y[k] = std::nextafter(y[k], x[k]);
  }
}

// Calls f.template operator()<T>(row, entries per row), by rows and in parallel.
template <class F>
void for_rows(const Tensor& x, const F& f) {
  const std::int64_t rows = x.dim(0);
  if (x.size() == 0) return;
  const std::int64_t n = x.size() / rows;
  dispatch_float(x.dtype(), "ball", [&]<class T>() {
    parallel_for(rows, rows_per_thread, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) f.template operator()<T>(i, n);
    });
  });
}

void check(const Tensor& x, const RowRngs& rngs) {
  require<ShapeError>(x.rank() >= 1 && x.dim(0) == static_cast<std::int64_t>(rngs.size()),
                      "ball: expected a generator for each row of ", x.shape(), ", got ",
                      rngs.size());
}

template <class T>
void random_direction(BallNorm norm, T* y, std::int64_t n, Rng& rng) {
  if (norm == BallNorm::linf) {
    for (std::int64_t k = 0; k < n; ++k) y[k] = rng.below(2) == 0 ? T{-1} : T{1};
    return;
  }
  std::vector<double> direction(static_cast<std::size_t>(n));
  double square = 0;
  while (square == 0) {
    for (double& entry : direction) {
      entry = rng.normal();
      square += entry * entry;
    }
  }
  const double length = std::sqrt(square);
  for (std::int64_t k = 0; k < n; ++k) y[k] = static_cast<T>(direction[k] / length);
}

}  // namespace

bool PixelRange::is_bounded() const { return std::isfinite(low) || std::isfinite(high); }

std::vector<double> row_distances(BallNorm norm, const Tensor& a, const Tensor& b) {
  require_same("row_distances", a, b);
  std::vector<double> distances(static_cast<std::size_t>(a.dim(0)), 0.0);
  for_rows(a, [&]<class T>(std::int64_t i, std::int64_t n) {
    distances[i] = distance(norm, a.data<T>() + i * n, b.data<T>() + i * n, n);
  });
  return distances;
}

void project(const Ball& ball, const Tensor& centre, Tensor& y) {
  require_same("project", centre, y);
  std::byte* const bytes = y.write_bytes().data();
  for_rows(centre, [&]<class T>(std::int64_t i, std::int64_t n) {
    const T* x = centre.data<T>() + i * n;
    T* row = reinterpret_cast<T*>(bytes) + i * n;
    if (ball.norm == BallNorm::l2)
      shrink_row(x, row, n, ball.eps, ball.range);
    else
      clamp_row(x, row, n, ball.eps, ball.range);
  });
}

void clip(const PixelRange& range, Tensor& y) {
  std::byte* const bytes = y.write_bytes().data();
  for_rows(y, [&]<class T>(std::int64_t i, std::int64_t n) {
    clip_row(range, reinterpret_cast<T*>(bytes) + i * n, n);
  });
}

Tensor random_directions(BallNorm norm, const Tensor& like, RowRngs& rngs) {
  check(like, rngs);
  Tensor directions(like.shape(), like.dtype());
  std::byte* const bytes = directions.write_bytes().data();
  for_rows(like, [&]<class T>(std::int64_t i, std::int64_t n) {
    random_direction(norm, reinterpret_cast<T*>(bytes) + i * n, n, rngs[i]);
  });
  return directions;
}

Tensor random_start(const Ball& ball, const Tensor& centre, RowRngs& rngs) {
  Tensor y = random_directions(BallNorm::l2, centre, rngs);
  std::byte* const bytes = y.write_bytes().data();
  for_rows(centre, [&]<class T>(std::int64_t i, std::int64_t n) {
    const T* x = centre.data<T>() + i * n;
    T* row = reinterpret_cast<T*>(bytes) + i * n;
    const double radius = ball.eps * std::pow(rngs[i].uniform(), 1 / static_cast<double>(n));
    for (std::int64_t k = 0; k < n; ++k) {
      const double offset = ball.norm == BallNorm::l2 ? radius * static_cast<double>(row[k])
                                                      : ball.eps * (2 * rngs[i].uniform() - 1);
      row[k] = static_cast<T>(static_cast<double>(x[k]) + offset);
    }
  });
  project(ball, centre, y);
  return y;
}

void ascend(BallNorm norm, const Tensor& gradient, std::span<const double> steps, Tensor& y,
            RowRngs& rngs) {
  require_same("ascend", gradient, y);
  check(y, rngs);
  std::byte* const bytes = y.write_bytes().data();
  for_rows(gradient, [&]<class T>(std::int64_t i, std::int64_t n) {
    const T* g = gradient.data<T>() + i * n;
    T* row = reinterpret_cast<T*>(bytes) + i * n;
    double largest = 0;
    for (std::int64_t k = 0; k < n; ++k) {
      largest = std::max(largest, std::abs(static_cast<double>(g[k])));
    }
    std::vector<T> instead;
    if (largest == 0) {
      instead.resize(static_cast<std::size_t>(n));
      random_direction(norm, instead.data(), n, rngs[i]);
      g = instead.data();
      largest = 1;
    }
    // Scaled by the largest entry, so that squares neither overflow nor vanish.
    double square = 0;
    for (std::int64_t k = 0; k < n; ++k) {
      const double entry = static_cast<double>(g[k]) / largest;
      square += entry * entry;
    }
    const double factor = steps[i] / (std::sqrt(square) * largest);
    for (std::int64_t k = 0; k < n; ++k) {
      const auto entry = static_cast<double>(g[k]);
      const double move = norm == BallNorm::l2
                              ? factor * entry
                              : steps[i] * (static_cast<double>(entry > 0) - (entry < 0));
      row[k] = static_cast<T>(static_cast<double>(row[k]) + move);
    }
  });
}

std::string_view name(BallNorm norm) { return norm == BallNorm::l2 ? "2" : "inf"; }

}  // namespace isotape
