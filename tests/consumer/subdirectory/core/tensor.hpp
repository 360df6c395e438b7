#pragma once

// Not isotape's: a header of the consumer, under a path that ours also has.
struct Tensor {
  int weight = 7;
};
