#include <isotape/layers/head_proof.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/layers/gain.hpp>
#include <isotape/layers/sequential.hpp>

namespace isotape {
namespace {

// The proofs of a chain, chains within it spread out: what is multiplied, in order.
struct Link {
  const Module* module;
  Proof proof;
};

void spread(const Module& module, const Proof& proof, const std::string& prefix,
            std::vector<Link>& links) {
  if (const auto* chain = dynamic_cast<const Sequential*>(&module)) {
    for (std::size_t i = 0; i < chain->parts().size(); ++i) {
      spread(*chain->parts()[i].module, proof.parts[i], prefix + proof.parts[i].name + ".", links);
    }
    return;
  }
  links.push_back({&module, proof});
  links.back().proof.name = prefix.substr(0, prefix.find_last_of('.'));
}

// >= |w_i - w_j|: a difference of doubles is off by u relative to itself, and so is its norm.
double difference_bound(const Tensor& w, std::int64_t i, std::int64_t j) {
  const std::int64_t n = w.dim(1);
  Tensor difference({1, n}, DType::f64);
  auto* d = difference.write<double>();
  const auto* rows = w.data<double>();
  for (std::int64_t k = 0; k < n; ++k) d[k] = rows[i * n + k] - rows[j * n + k];
  return frobenius_bound(difference) * (1 + 0x1p-50);
}

// Over the pairs i != j; of one class there is none.
Enclosure limits(const Tensor& norms) {
  Enclosure all{HUGE_VAL, 0, "proved |w_i - w_j| of the rows, least and largest"};
  for (std::int64_t i = 0; i < norms.dim(0); ++i) {
    for (std::int64_t j = i + 1; j < norms.dim(0); ++j) {
      const double norm = norms.data<double>()[i * norms.dim(0) + j];
      all.lower = std::min(all.lower, norm);
      if (!(norm <= all.upper)) all.upper = norm;
    }
  }
  if (norms.dim(0) < 2) all.lower = 0;
  return all;
}

// The links before the head, as one line.
Proof body_proof(std::vector<Link>& links, std::size_t head) {
  std::vector<Proof> parts;
  for (std::size_t i = 0; i < head; ++i) parts.push_back(std::move(links[i].proof));
  Proof body = compose(Composition::chain, "Sequential", std::move(parts), false);
  body.name = "body";
  return body;
}

void prove_linear(HeadProof& result, std::vector<Link>& links, std::size_t head,
                  const DenseMap& dense) {
  double gain = 1;
  for (std::size_t i = head + 1; i < links.size(); ++i) {
    gain = bound_product(gain, links[i].proof.enclosure.upper);
  }
  result.is_linear = true;
  result.head = links[head].proof.name;
  result.pair_norms = pair_norms(dense, gain);
  Proof pairs = proof_line(result.head, links[head].module->kind(), limits(result.pair_norms));
  if (head + 1 < links.size()) pairs.enclosure.rule += ", times the gains behind it";
  Proof body = body_proof(links, head);
  result.body = body.bound();
  result.proof = proof_line(
      "logit differences", "Pairs",
      {0, bound_product(pairs.enclosure.upper, result.body.value),
       "largest |w_i - w_j| times the body's bound; a certificate uses each pair's own"});
  result.proof.parts.push_back(std::move(body));
  result.proof.parts.push_back(std::move(pairs));
}

}  // namespace

Tensor pair_norms(const DenseMap& dense, double gain) {
  const Tensor w = dense.weight.to(DType::f64);
  const std::int64_t classes = w.dim(0);
  const double factor = bound_product(dense.factor, gain);
  Tensor norms = Tensor::zeros({classes, classes}, DType::f64);
  auto* to = norms.write<double>();
  for (std::int64_t i = 0; i < classes; ++i) {
    for (std::int64_t j = i + 1; j < classes; ++j) {
      const double norm = bound_product(difference_bound(w, i, j), factor);
      to[i * classes + j] = to[j * classes + i] = norm;
    }
  }
  return norms;
}

double HeadProof::pair_bound(std::int64_t i, std::int64_t j) const {
  if (i == j) return 0;
  if (!is_linear) return bound_product(bound_root(2), body.value);
  require<ShapeError>(0 <= i && i < pair_norms.dim(0) && 0 <= j && j < pair_norms.dim(0),
                      "pair_bound: expected classes below ", pair_norms.dim(0), ", got ", i,
                      " and ", j);
  return bound_product(pair_norms.at(i * pair_norms.dim(0) + j), body.value);
}

HeadProof prove_head(const Module& net) { return prove_head(net, net.proof()); }

HeadProof prove_head(const Module& net, const Proof& whole) {
  HeadProof result;
  result.net = whole.bound();
  std::vector<Link> links;
  spread(net, whole, "", links);
  std::size_t head = links.size();
  while (head > 0 && dynamic_cast<const Gain*>(links[head - 1].module) != nullptr) --head;
  const std::optional<DenseMap> dense =
      head > 0 ? links[head - 1].module->dense_map() : std::nullopt;
  if (dense) {
    prove_linear(result, links, head - 1, *dense);
    return result;
  }
  result.body = result.net;
  result.proof =
      proof_line("logit differences", "Pairs",
                 {0, bound_product(bound_root(2), result.net.value),
                  "sqrt(2) times the bound of the net: its last layer is not a dense one"});
  result.proof.parts.push_back(whole);
  return result;
}

}  // namespace isotape
