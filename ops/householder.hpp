#pragma once

#include <isotape/core/tape.hpp>
#include <isotape/ops/max_min.hpp>

namespace isotape {

// Piecewise linear maps of pairs of channels, z = (z1, z2), that keep |z| [Singla 2022]: in each of
// a few sectors of the plane a rotation or a reflection with a learnable angle, which agree where
// sectors meet. Nothing is divided by sqrt(2): a reflection is 1-Lipschitz as it is.

/// Order 1: one mirror, at the angle theta/2,
///
///     y = z                                                   where sin(theta/2) z1 >=
///     cos(theta/2) z2 y = (cos theta z1 + sin theta z2, sin theta z1 - cos theta z2)    elsewhere.
///
/// theta = pi/2 is max_min(). On the mirror both sides have one value; the derivative taken is that
/// of the identity. (The code of the paper reflects the other side, so that its pi/2 puts the
/// smaller one first.)
/// Lipschitz: 1 in l2; GNP: yes, orthogonal at every point.
///
/// @param x      at least one axis, [..., C], C even
/// @param theta  of each pair, [C/2], radians, of x's type
/// @return       [..., C]
/// @throws ShapeError  if x has no axis, C is odd or theta does not fit
Var householder(const Var& x, const Var& theta, Pairing pairing = Pairing::split);

/// Order 2: four sectors, that begin at the angles (mod 2 pi)
///
///     theta0/2, (theta0 + theta1)/2, (theta0 + theta1 + theta2)/2, theta0/2 + pi + theta2/2,
///
/// and in which the angle phi of z becomes phi, theta0 + theta1 - phi, phi - theta2, theta0 - phi.
/// theta1 and theta2 lie in [0, 2 pi]; beyond its ends an angle is folded back, as by mirrors,
/// where the code of the paper clamps it and loses the gradient. theta1 = theta2 = 0 is order 1
/// with theta = theta0 + 2 pi: one mirror, seen from its other side. Where sectors meet, the
/// derivative is that of the later one; at z = 0 that of the sector seen in direction theta0/2.
/// Lipschitz: 1 in l2; GNP: yes, orthogonal at every point.
///
/// @param x      at least one axis, [..., C], C even
/// @param theta  theta0, theta1, theta2 of each pair, [3, C/2], radians, of x's type
/// @return       [..., C]
/// @throws ShapeError  if x has no axis, C is odd or theta does not fit
Var householder2(const Var& x, const Var& theta, Pairing pairing = Pairing::split);

}  // namespace isotape
