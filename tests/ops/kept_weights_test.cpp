#include <doctest/doctest.h>

#include <isotape/ops/kept_weights.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/kept_weights");

TEST_CASE("KeptWeights: what was made of a tensor is kept until its elements may have changed") {
  KeptWeights kept;
  int made = 0;
  const auto make = [&] {
    ++made;
    return Tensor::full({1}, made);
  };
  Tensor w = Tensor::zeros({2});
  CHECK(kept.get(w, make).item() == 1);
  CHECK(kept.get(w, make).item() == 1);
  w.write<float>()[0] = 3;
  CHECK(kept.get(w, make).item() == 2);
  const Tensor other = Tensor::zeros({2});
  CHECK(kept.get(other, make).item() == 3);
  CHECK(kept.get(w, make).item() == 2);
  // Nine tensors do not fit: the one that came first has gone.
  Tensors more;
  for (int i = 0; i < 8; ++i) {
    more.push_back(Tensor::zeros({2}));
    kept.get(more.back(), make);
  }
  CHECK(kept.get(more.back(), make).item() == 11);
  CHECK(kept.get(w, make).item() == 12);
}

TEST_SUITE_END();
