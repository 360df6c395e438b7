#include <isotape/layers/lipsdp.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include <isotape/core/blas.hpp>
#include <isotape/core/error.hpp>
#include <isotape/ops/definite_bound.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/reshape.hpp>

namespace isotape {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
// What the search leaves of P beyond semidefinite, relative: far above the roundings of a proof in
// f64, far below what the bound shows.
constexpr double slack = 1e-7;
constexpr std::int64_t largest_side = 4096;

using Diagonals = std::vector<std::vector<double>>;  // T_1, ..., T_l

// The matrices of the net in f64, [n_(k+1), n_k].
Tensors dense_matrices(const Sequential& net) {
  Tensors matrices;
  bool after_dense = false;
  std::int64_t side = 0;
  for (const Sequential::Part& part : net.parts()) {
    const std::string kind = part.module->kind();
    const std::optional<DenseMap> dense = part.module->dense_map();
    const bool is_activation = kind == "ReLU" || kind == "LeakyReLU";
    const bool fits = dense           ? !after_dense && dense->factor == 1
                      : is_activation ? after_dense
                                      : matrices.empty() && kind == "Flatten";
    require<ValueError>(fits, "lipsdp: ", part.name, " (", kind,
                        "): expected dense layers with relu or leaky-relu between each two");
    after_dense = dense.has_value();
    if (!dense) continue;
    matrices.push_back(dense->weight.to(DType::f64));
    side += matrices.back().dim(1);
  }
  require<ValueError>(after_dense, "lipsdp: expected a dense layer at the end, got none");
  side += matrices.back().dim(0);
  require<ValueError>(side <= largest_side, "lipsdp: expected at most ", largest_side,
                      " inputs, neurons and outputs together, got ", side);
  return matrices;
}

// R with X^-1 = R R^T, or none where X is not positive definite.
std::optional<Tensor> inverse_root(const Tensor& x) {
  const std::int64_t n = x.dim(0);
  Tensor vectors = x.clone();
  std::vector<double> values(static_cast<std::size_t>(n));
  blas::symmetric_eigen(n, vectors.write<double>(), values.data());
  if (!(values.front() > 1e-13 * values.back())) return std::nullopt;
  for (std::int64_t i = 0; i < n; ++i) {
    const double scale = 1 / std::sqrt(values[i]);
    for (std::int64_t j = 0; j < n; ++j) vectors.write<double>()[i * n + j] *= scale;
  }
  return transpose(vectors).value();
}

Tensor scaled_rows(const Tensor& a, const std::vector<double>& t) {
  Tensor result = a.clone();
  const std::int64_t n = a.dim(1);
  for (std::int64_t i = 0; i < a.size(); ++i) result.write<double>()[i] *= t[i / n];
  return result;
}

// Schur complements of P from its end, without the block of the inputs: X_k = 2 T_k - W_k^T N_(k+1)
// W_k with N_k = T_k X_k^-1 T_k and N_(l+1) = I; X_k^-1 = R_k R_k^T.
struct Complements {
  Tensors x;
  Tensors roots;
};

// None where one of them is not positive definite: P is not then, whatever L is.
std::optional<Complements> complements(const Tensors& w, const Diagonals& t) {
  Complements result{Tensors(t.size()), Tensors(t.size())};
  for (std::size_t k = t.size(); k-- > 0;) {
    // W^T N W = (R^T T W)^T (R^T T W) of the layer behind.
    const Tensor below =
        k + 1 == t.size()
            ? w[k + 1]
            : matmul(result.roots[k + 1], scaled_rows(w[k + 1], t[k + 1]), {.trans_a = true})
                  .value();
    Tensor x = matmul(below, below, {.trans_a = true}).value();
    const std::int64_t n = x.dim(0);
    auto* entries = x.write<double>();
    for (std::int64_t e = 0; e < n * n; ++e) entries[e] *= -(1 + slack);
    for (std::int64_t i = 0; i < n; ++i) entries[i * (n + 1)] += (2 - slack) * t[k][i];
    const std::optional<Tensor> root = inverse_root(x);
    if (!root) return std::nullopt;
    result.x[k] = x;
    result.roots[k] = *root;
  }
  return result;
}

// L^2 for multipliers, and its derivative by their logarithms, over L^2.
struct Evaluation {
  double square = infinity;
  Diagonals gradient;
};

// Adds the share of one eigenvector u of (R_1^T T_1 W_0) (R_1^T T_1 W_0)^T. With a_1 = W_0 v, v the
// unit eigenvector of W_0^T N_1 W_0 that belongs to u, y_k = X_k^-1 T_k a_k and a_(k+1) = W_k y_k,
//     d L^2 = sum over k of 2 y_k^T dT_k (a_k - y_k),
// as dN_k = dT Y + Y^T dT - Y^T (2 dT - W^T dN_(k+1) W) Y, Y = X_k^-1 T_k. In terms of u, y_1 = L
// R_1 u and T_1 a_1 = X_1 y_1.
void add_gradient(const Tensors& w, const Diagonals& t, const Complements& s, const Tensor& u,
                  double share, Diagonals& gradient) {
  Tensor y = matmul(s.roots[0], transpose(u).value()).value();  // without the factor L
  Tensor a = matmul(s.x[0], y).value();
  for (std::int64_t e = 0; e < a.size(); ++e) a.write<double>()[e] /= t[0][e];
  for (std::size_t k = 0;; ++k) {
    for (std::int64_t e = 0; e < y.size(); ++e) {
      gradient[k][e] += share * 2 * y.at(e) * (a.at(e) - y.at(e)) * t[k][e];
    }
    if (k + 1 == t.size()) return;
    a = matmul(w[k + 1], y).value();
    const Tensor ta = scaled_rows(a, t[k + 1]);
    y = matmul(s.roots[k + 1], matmul(s.roots[k + 1], ta, {.trans_a = true}).value()).value();
  }
}

// L^2 is the largest eigenvalue of W_0^T N_1 W_0. Its derivative is a mean over the largest few,
// which is smooth where they cross.
Evaluation evaluate(const Tensors& w, const Diagonals& t) {
  const std::optional<Complements> schur = complements(w, t);
  if (!schur) return {};
  const Tensor c = matmul(schur->roots[0], scaled_rows(w[0], t[0]), {.trans_a = true}).value();
  Tensor vectors = matmul(c, c, {.trans_b = true}).value();
  const std::int64_t n = vectors.dim(0);
  std::vector<double> values(static_cast<std::size_t>(n));
  blas::symmetric_eigen(n, vectors.write<double>(), values.data());

  Evaluation result{values.back() * (1 + slack), {}};
  for (const auto& diagonal : t) result.gradient.emplace_back(diagonal.size());
  constexpr std::int64_t most = 6;
  double total = 0;
  for (std::int64_t i = std::max<std::int64_t>(0, n - most); i < n; ++i) {
    const double weight = std::exp(200 * (values[i] / values.back() - 1));
    total += weight;
    add_gradient(w, t, *schur, vectors.rows(i, i + 1), weight, result.gradient);
  }
  for (auto& diagonal : result.gradient) {
    for (double& entry : diagonal) entry /= total;
  }
  return result;
}

// Normalised descent on the logarithms, from multipliers that give the product of the norms; a step
// that leaves the feasible set, or goes up by too much, is taken back and halved.
Diagonals search(const Tensors& w, const std::vector<double>& norms, std::int64_t steps) {
  Diagonals t;
  double c = 1;
  for (std::size_t k = w.size(); k-- > 1;) {
    c *= std::max(norms[k] * norms[k], 1e-200) * (1 + 4 * slack);
    t.insert(t.begin(), std::vector<double>(static_cast<std::size_t>(w[k].dim(1)), c));
  }
  Diagonals best = t;
  Evaluation at = evaluate(w, t);
  double least = at.square;
  double rate = 0.3;
  for (std::int64_t step = 0; step < steps && rate > 1e-5 && std::isfinite(least); ++step) {
    double length = 0;
    for (const auto& diagonal : at.gradient) {
      for (const double g : diagonal) length = std::max(length, std::abs(g));
    }
    if (length == 0) break;
    Diagonals next = t;
    for (std::size_t k = 0; k < t.size(); ++k) {
      for (std::size_t i = 0; i < t[k].size(); ++i) {
        next[k][i] *= std::exp(-rate * at.gradient[k][i] / length);
      }
    }
    const Evaluation there = evaluate(w, next);
    if (!(there.square < at.square)) {
      rate /= 2;
      continue;
    }
    t = next;
    at = there;
    rate *= 1.2;
    if (at.square < least) {
      least = at.square;
      best = t;
    }
  }
  return best;
}

// P for a square, scaled to a diagonal between 1/2 and 4 by powers of two on both sides, which
// keeps it semidefinite or not.
Tensor lmi(const Tensors& w, const Diagonals& t, double square) {
  std::int64_t side = w.back().dim(0);
  for (const Tensor& matrix : w) side += matrix.dim(1);
  Tensor p = Tensor::zeros({side, side}, DType::f64);
  auto* entries = p.write<double>();
  const auto diagonal = [&](std::int64_t begin, std::int64_t i, double value) {
    entries[(begin + i) * (side + 1)] = value;
  };
  std::int64_t row = 0;
  for (std::int64_t i = 0; i < w[0].dim(1); ++i) diagonal(0, i, square);
  for (std::size_t k = 0; k < w.size(); ++k) {
    const std::int64_t columns = w[k].dim(1);
    const std::int64_t next = row + columns;
    for (std::int64_t i = 0; i < w[k].dim(0); ++i) {
      const double ti = k < t.size() ? t[k][i] : 1;
      diagonal(next, i, k < t.size() ? 2 * ti : 1);
      for (std::int64_t j = 0; j < columns; ++j) {
        const double entry = -ti * w[k].at(i * columns + j);
        entries[(next + i) * side + row + j] = entry;
        entries[(row + j) * side + next + i] = entry;
      }
    }
    row = next;
  }
  std::vector<double> scale(static_cast<std::size_t>(side));
  for (std::int64_t i = 0; i < side; ++i) {
    const double value = entries[i * (side + 1)];
    scale[i] = value > 0 ? std::ldexp(1.0, -std::ilogb(value) / 2) : 1;
  }
  for (std::int64_t e = 0; e < side * side; ++e) {
    entries[e] *= scale[e / side] * scale[e % side];
    if (std::abs(entries[e]) < 0x1p-300) entries[e] = 0;
  }
  return p;
}

// Whether P is proved. Its entries are off by one rounding each, in sum at most 2^-53 |P| <= 2^-53
// times the largest sum of a row of |P|; with 2^-52 instead, what that sum itself rounds and what
// was set to zero are in it too: the sum is 1/2 or more, as the diagonal is.
bool is_proved(Tensor p) {
  const std::int64_t n = p.dim(0);
  double largest = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    double sum = 0;
    for (std::int64_t j = 0; j < n; ++j) sum += std::abs(p.at(i * n + j));
    largest = std::max(largest, sum);
  }
  const double rounding = 0x1p-52 * largest;
  // P - s I + r I >= 0 and r + rounding <= s together prove P; taking s off rounds the diagonal
  // once more, which the factor 2 above covers too.
  const double s = 0.25 * slack;
  for (std::int64_t i = 0; i < n; ++i) p.write<double>()[i * (n + 1)] -= s;
  return indefiniteness_bound(p) + 2 * rounding <= s;
}

}  // namespace

LipSdp lipsdp(const Sequential& net, std::int64_t steps) {
  const Tensors w = dense_matrices(net);
  LipSdp result;
  result.product = 1;
  std::vector<double> norms;
  for (const Tensor& matrix : w) {
    norms.push_back(singular_value_enclosure(matrix).upper);
    require<NumericError>(std::isfinite(norms.back()),
                          "lipsdp: expected weights of finite numbers, got a norm of ",
                          norms.back());
    result.product = bound_product(result.product, norms.back());
  }
  for (std::size_t k = 1; k < w.size(); ++k) result.hidden += w[k].dim(1);
  result.steps = steps;
  result.bound = {result.product, "product of the layers' norms"};
  if (result.hidden == 0) return result;
  const Diagonals t = search(w, norms, steps);
  double square = evaluate(w, t).square;
  // A few attempts with more room, where rounding wants it.
  for (int attempt = 0; attempt < 8 && std::isfinite(square); ++attempt) {
    if (bound_root(square) < result.product && is_proved(lmi(w, t, square))) {
      result.bound = {bound_root(square),
                      "diagonal multipliers, their matrix inequality proved by Cholesky"};
      return result;
    }
    square *= 1 + slack * std::ldexp(1.0, 2 * attempt);
  }
  return result;
}

}  // namespace isotape
