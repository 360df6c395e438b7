#include <isotape/optim/far_start.hpp>

#include <cmath>
#include <limits>

#include <isotape/core/threads.hpp>
#include <isotape/optim/attack_loss.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {
namespace {

constexpr int tries = 64;

// For each image the nearest start of another class; -1 if there is none.
std::vector<std::int64_t> nearest_starts(const AttackTask& task,
                                         const std::vector<std::int32_t>& classes) {
  std::vector<std::int64_t> nearest(task.labels.size(), -1);
  const std::int64_t n = task.x.size() / task.x.dim(0);
  dispatch_float(task.x.dtype(), "attack", [&]<class T>() {
    parallel_for(task.x.dim(0), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T* x = task.x.data<T>() + i * n;
        double least = std::numeric_limits<double>::infinity();
        for (std::size_t s = 0; s < classes.size(); ++s) {
          if (classes[s] == task.labels[i]) continue;
          const T* start = task.starts.data<T>() + static_cast<std::int64_t>(s) * n;
          double square = 0;
          for (std::int64_t k = 0; k < n && square < least; ++k) {
            const auto offset = static_cast<double>(start[k] - x[k]);
            square += offset * offset;
          }
          if (!(square < least)) continue;
          least = square;
          nearest[i] = static_cast<std::int64_t>(s);
        }
      }
    });
  });
  return nearest;
}

Tensor noise(const AttackTask& part, int attempt, RowRngs& rngs) {
  Tensor y = part.x.clone();
  const bool is_bounded = std::isfinite(part.range.low) && std::isfinite(part.range.high);
  for (std::int64_t i = 0; i < y.dim(0); ++i) {
    const std::int64_t one[] = {i};
    Tensor row;
    if (is_bounded) {
      row =
          random_uniform(rngs[i], y.shape().with(0, 1), part.range.low, part.range.high, y.dtype());
    } else {
      row =
          random_normal(rngs[i], y.shape().with(0, 1), std::ldexp(1.0, attempt / 2 - 3), y.dtype());
      add_in_place(row, part.x.rows(i, i + 1));
    }
    put_rows(y, one, row);
  }
  return y;
}

}  // namespace

void offer_far_starts(const Victim& victim, const AttackTask& task, RowRngs& rngs,
                      NearestWrong& best) {
  if (task.starts) {
    const std::vector<std::int32_t> classes = predicted(victim.logits(task.starts));
    const std::vector<std::int64_t> nearest = nearest_starts(task, classes);
    std::vector<std::int64_t> rows;
    std::vector<std::int64_t> from;
    for (std::size_t i = 0; i < nearest.size(); ++i) {
      if (nearest[i] < 0) continue;
      rows.push_back(static_cast<std::int64_t>(i));
      from.push_back(nearest[i]);
    }
    if (!rows.empty()) {
      Tensor y = gather_rows(task.starts, from);
      clip(task.range, y);
      best.offer(rows, y, victim.logits(y));
    }
  }
  for (int attempt = 0; attempt < tries; ++attempt) {
    std::vector<std::int64_t> rows;
    for (std::size_t i = 0; i < task.labels.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i);
      if (!std::isfinite(best.distance(row))) rows.push_back(row);
    }
    if (rows.empty()) return;
    RowRngs some = gathered(rngs, rows);
    Tensor y = noise(part_of(task, rows), attempt, some);
    for (std::size_t k = 0; k < rows.size(); ++k) rngs[rows[k]] = some[k];
    best.offer(rows, y, victim.logits(y));
  }
}

}  // namespace isotape
