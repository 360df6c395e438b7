#include <isotape/optim/pointwise_attack.hpp>

#include <algorithm>

#include <isotape/core/error.hpp>
#include <isotape/optim/attack_loss.hpp>
#include <isotape/optim/best_input.hpp>
#include <isotape/optim/far_start.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {
namespace {

// The entries of one image that are not yet what they were, in a random order.
std::vector<std::int64_t> changed(const Tensor& x, const Tensor& y, std::int64_t row, Rng& rng) {
  const std::int64_t n = x.size() / x.dim(0);
  std::vector<std::int64_t> entries;
  for (const std::int64_t k : rng.permutation(n)) {
    if (x.at(row * n + k) != y.at(row * n + k)) entries.push_back(row * n + k);
  }
  return entries;
}

// All images at once, each at an entry of its own: asks whether an entry may have a value.
class Entries {
 public:
  Entries(const Victim& victim, const AttackTask& task, Tensor y)
      : victim_(victim), task_(task), y_(std::move(y)) {}

  // Sets the given entries (one of each image, or -1) where the class then stays wrong.
  // @return  whether it does, by image
  std::vector<std::uint8_t> try_to_set(const std::vector<std::int64_t>& entries,
                                       const std::vector<double>& values) {
    std::vector<double> before(entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (entries[i] >= 0) before[i] = exchange(entries[i], values[i]);
    }
    std::vector<std::uint8_t> wrong = misclassified(victim_.logits(y_), task_.labels);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (entries[i] >= 0 && wrong[i] == 0) exchange(entries[i], before[i]);
    }
    return wrong;
  }

  const Tensor& y() const { return y_; }

 private:
  double exchange(std::int64_t entry, double value) {
    const double before = y_.at(entry);
    dispatch_float(y_.dtype(), "pointwise",
                   [&]<class T>() { y_.write<T>()[entry] = static_cast<T>(value); });
    return before;
  }
  const Victim& victim_;
  const AttackTask& task_;
  Tensor y_;
};

// Goes through all changed entries once. @return  whether any of them moved
template <class Treat>
bool pass(const AttackTask& task, RowRngs& rngs, Entries& entries, const Treat& treat) {
  std::vector<std::vector<std::int64_t>> orders;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < task.labels.size(); ++i) {
    orders.push_back(changed(task.x, entries.y(), static_cast<std::int64_t>(i), rngs[i]));
    longest = std::max(longest, orders.back().size());
  }
  bool has_moved = false;
  for (std::size_t k = 0; k < longest; ++k) {
    std::vector<std::int64_t> at(orders.size(), -1);
    for (std::size_t i = 0; i < orders.size(); ++i) {
      if (k < orders[i].size()) at[i] = orders[i][k];
    }
    has_moved = treat(at) || has_moved;
  }
  return has_moved;
}

bool set_back(const AttackTask& task, const std::vector<std::int64_t>& at, Entries& entries) {
  std::vector<double> values(at.size());
  for (std::size_t i = 0; i < at.size(); ++i) {
    if (at[i] >= 0) values[i] = task.x.at(at[i]);
  }
  const std::vector<std::uint8_t> wrong = entries.try_to_set(at, values);
  bool has_moved = false;
  for (std::size_t i = 0; i < at.size(); ++i) has_moved |= at[i] >= 0 && wrong[i] != 0;
  return has_moved;
}

// Between the image's value, where the class is right, and the present one, where it is wrong.
bool halve(const AttackTask& task, const std::vector<std::int64_t>& at, std::int64_t halvings,
           Entries& entries) {
  std::vector<double> right(at.size());
  for (std::size_t i = 0; i < at.size(); ++i) {
    if (at[i] >= 0) right[i] = task.x.at(at[i]);
  }
  bool has_moved = false;
  for (std::int64_t h = 0; h < halvings; ++h) {
    std::vector<double> middle(at.size());
    for (std::size_t i = 0; i < at.size(); ++i) {
      if (at[i] >= 0) middle[i] = (right[i] + entries.y().at(at[i])) / 2;
    }
    const std::vector<std::uint8_t> wrong = entries.try_to_set(at, middle);
    for (std::size_t i = 0; i < at.size(); ++i) {
      if (wrong[i] == 0) right[i] = middle[i];
      has_moved |= at[i] >= 0 && wrong[i] != 0;
    }
  }
  return has_moved;
}

}  // namespace

Pointwise::Pointwise(const PointwiseOptions& options) : options_(options) {
  require<ValueError>(options.passes >= 1, "pointwise: expected passes >= 1, got ", options.passes);
  require<ValueError>(options.halvings >= 1, "pointwise: expected halvings >= 1, got ",
                      options.halvings);
}

Tensor Pointwise::search(const Victim& victim, const AttackTask& task) const {
  NearestWrong best(task, BallNorm::l2);
  RowRngs rngs = task.rngs;
  offer_far_starts(victim, task, rngs, best);
  const std::vector<std::int64_t> rows = best.found();
  if (rows.empty()) return best.x();
  const AttackTask part = part_of(task, rows);
  RowRngs some = gathered(rngs, rows);
  Entries entries(victim, part, gather_rows(best.x(), rows));
  for (std::int64_t p = 0; p < options_.passes; ++p) {
    if (!pass(part, some, entries, [&](const auto& at) { return set_back(part, at, entries); })) {
      break;
    }
  }
  for (std::int64_t p = 0; p < options_.passes; ++p) {
    if (!pass(part, some, entries,
              [&](const auto& at) { return halve(part, at, options_.halvings, entries); })) {
      break;
    }
  }
  best.offer(rows, entries.y(), victim.logits(entries.y()));
  return best.x();
}

}  // namespace isotape
