#include <isotape/optim/noise_attack.hpp>

#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/optim/best_input.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {

Noise::Noise(const NoiseOptions& options) : options_(options) {
  require<ValueError>(options.samples >= 1, "noise: expected samples >= 1, got ", options.samples);
}

Tensor Noise::search(const Victim& victim, const AttackTask& task) const {
  require<ValueError>(std::isfinite(task.eps), "noise: expected a finite eps, got ", task.eps);
  LowestMargin best(task, victim.logits(task.x));
  RowRngs rngs = task.rngs;
  for (std::int64_t sample = 0; sample < options_.samples; ++sample) {
    const std::vector<std::int64_t> rows = best.unbroken();
    if (rows.empty()) break;
    const AttackTask part = part_of(task, rows);
    RowRngs some = gathered(rngs, rows);
    Tensor y = part.x.clone();
    add_in_place(y, random_directions(options_.norm, y, some), task.eps);
    for (std::size_t i = 0; i < rows.size(); ++i) rngs[static_cast<std::size_t>(rows[i])] = some[i];
    project(ball_of(task, options_.norm), part.x, y);
    best.offer(rows, y, victim.logits(y));
  }
  return best.x();
}

}  // namespace isotape
