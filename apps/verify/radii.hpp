#pragma once

#include <optional>
#include <string>
#include <vector>

#include <isotape/apps/verify/certificate.hpp>

namespace isotape::verify {

/// What bounds the change of a difference of two logits.
struct Slopes {
  double lipschitz = 0;
  std::optional<Head> head;
};

/// The certified radius of an image of label y, rounded down, 0 where nothing is proved:
///
///     min over j != y of (z_y - z_j - sqrt(2) (error + later)) / d_j,
///
/// d_j = body pairs[y][j] or sqrt(2) lipschitz, whichever makes it larger.
///
/// @param error  >= the norm of the error of z
/// @param later  >= that of the logits as computed anywhere in the ball
double certified_radius(const std::vector<double>& z, std::int64_t y, double error, double later,
                        const Slopes& slopes);

/// Whether z[y] is larger than every other one.
bool is_clean(const std::vector<double>& z, std::int64_t y);

/// >= the number that a text such as "0.3" or "36/255" denotes.
/// @throws Failure  if it is not such a text
double eps_up(const std::string& text);

}  // namespace isotape::verify
