#pragma once

#include <isotape/optim/attack.hpp>
#include <isotape/optim/best_input.hpp>

namespace isotape {

/// A misclassified input for each image, from which an attack by classes alone sets out: the
/// nearest (in l2) of task.starts that is not classified as the image's label; where there is none,
/// noise: uniform in the range, or normal around the image with a deviation that doubles from 1/8
/// on where the range has no ends. Offered to `best`; images that 64 tries find nothing for have
/// none.
void offer_far_starts(const Victim& victim, const AttackTask& task, RowRngs& rngs,
                      NearestWrong& best);

}  // namespace isotape
