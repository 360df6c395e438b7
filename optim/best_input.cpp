#include <isotape/optim/best_input.hpp>

#include <cmath>
#include <limits>

#include <isotape/optim/attack_loss.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {

LowestMargin::LowestMargin(const AttackTask& task, const Tensor& clean, bool ends)
    : x_(task.x.clone()),
      labels_(task.labels),
      margin_(margins(clean, task.labels)),
      broken_(task.labels.size(), 0),
      ends_(ends) {}

void LowestMargin::offer(std::span<const std::int64_t> rows, const Tensor& y,
                         const Tensor& logits) {
  const std::vector<std::int32_t> labels = gathered(labels_, rows);
  const std::vector<double> margin = margins(logits, labels);
  const std::vector<std::uint8_t> wrong = misclassified(logits, labels);
  std::vector<std::int64_t> better;
  std::vector<std::int64_t> from;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const auto row = static_cast<std::size_t>(rows[k]);
    const bool is_last = ends_ && wrong[k] != 0;
    if (broken_[row] != 0 || (!is_last && !(margin[k] < margin_[row]))) continue;
    margin_[row] = margin[k];
    broken_[row] = is_last ? 1 : 0;
    better.push_back(rows[k]);
    from.push_back(static_cast<std::int64_t>(k));
  }
  if (!better.empty()) put_rows(x_, better, gather_rows(y, from));
}

std::vector<std::int64_t> LowestMargin::unbroken() const {
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < broken_.size(); ++i) {
    if (broken_[i] == 0) rows.push_back(static_cast<std::int64_t>(i));
  }
  return rows;
}

NearestWrong::NearestWrong(const AttackTask& task, BallNorm norm)
    : norm_(norm),
      range_(task.range),
      images_(task.x),
      labels_(task.labels),
      x_(task.x.clone()),
      distance_(task.labels.size(), std::numeric_limits<double>::infinity()) {}

std::vector<std::uint8_t> NearestWrong::offer(std::span<const std::int64_t> rows, const Tensor& y,
                                              const Tensor& logits) {
  std::vector<std::uint8_t> wrong = misclassified(logits, gathered(labels_, rows));
  const std::vector<double> far = row_distances(norm_, gather_rows(images_, rows), y);
  std::vector<std::int64_t> better;
  std::vector<std::int64_t> from;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const auto row = static_cast<std::size_t>(rows[k]);
    if (wrong[k] == 0 || !(far[k] < distance_[row])) continue;
    distance_[row] = far[k];
    better.push_back(rows[k]);
    from.push_back(static_cast<std::int64_t>(k));
  }
  if (!better.empty()) put_rows(x_, better, gather_rows(y, from));
  return wrong;
}

std::vector<std::int64_t> NearestWrong::found() const {
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < distance_.size(); ++i) {
    if (std::isfinite(distance_[i])) rows.push_back(static_cast<std::int64_t>(i));
  }
  return rows;
}

void NearestWrong::refine(const Victim& victim, int halvings) {
  const std::vector<std::int64_t> rows = found();
  if (rows.empty()) return;
  Tensor right = gather_rows(images_, rows);
  Tensor wrong = gather_rows(x_, rows);
  for (int h = 0; h < halvings; ++h) {
    Tensor middle = Tensor::zeros(right.shape(), right.dtype());
    add_in_place(middle, right, 0.5);
    add_in_place(middle, wrong, 0.5);
    const std::vector<std::uint8_t> is_wrong = offer(rows, middle, victim.logits(middle));
    for (std::size_t k = 0; k < rows.size(); ++k) {
      const auto row = static_cast<std::int64_t>(k);
      const std::int64_t one[] = {row};
      put_rows(is_wrong[k] != 0 ? wrong : right, one, middle.rows(row, row + 1));
    }
  }
}

}  // namespace isotape
