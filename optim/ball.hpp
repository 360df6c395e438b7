#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/core/tensor.hpp>

namespace isotape {

/// How the size of a perturbation is measured: over all entries of an input.
enum class BallNorm : std::uint8_t { l2, linf };

/// The values that an entry of an input may take; for pixels 0 to 1.
struct PixelRange {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool is_bounded() const;
};

/// The inputs within eps of a centre whose entries are in the range. The centre is, too.
struct Ball {
  BallNorm norm = BallNorm::l2;
  double eps = 0;  ///< >= 0, in units of the input
  PixelRange range;
};

/// One generator per row, so that what is drawn for an input does not depend on its batch.
using RowRngs = std::vector<Rng>;

/// Distance of each row of a from that row of b, not below the exact one: the rounding of the f64
/// sum is added. Equal rows have distance 0.
/// @param a, b  [N, ...], of one type, f32 or f64
std::vector<double> row_distances(BallNorm norm, const Tensor& a, const Tensor& b);

/// Moves every row of y to the nearest point of the ball around that row of `centre`: within eps,
/// entries in the range (which holds the centre's). In l2, with x the centre,
///
///     P(y) = clip(x + s (y - x)),   s in [0, 1] the largest with |P(y) - x| <= eps;
///
/// in linf each entry is clamped. What comes out is in the ball for certain, rounding included, and
/// what is in it stays as it is, to the bit.
void project(const Ball& ball, const Tensor& centre, Tensor& y);

/// Moves entries into the range.
void clip(const PixelRange& range, Tensor& y);

/// A point of the ball around each row, uniform before it is moved into the range: in l2 a normal
/// direction and the radius eps U^(1/d), d entries per row; in linf every entry by itself.
Tensor random_start(const Ball& ball, const Tensor& centre, RowRngs& rngs);

/// y += step times the direction in which a linear function with this gradient grows fastest within
/// a ball: g / |g|_2 in l2, sign(g) in linf. A row whose gradient is zero goes a random way of the
/// same length.
/// @param steps  one per row, in units of the input
void ascend(BallNorm norm, const Tensor& gradient, std::span<const double> steps, Tensor& y,
            RowRngs& rngs);

/// Directions of that length, uniform on the sphere; in linf random signs.
Tensor random_directions(BallNorm norm, const Tensor& like, RowRngs& rngs);

/// "2" or "inf".
std::string_view name(BallNorm norm);

}  // namespace isotape
