#include <doctest/doctest.h>
#include <cmath>
#include <mutex>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/row_blocks.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/row_blocks");

TEST_CASE("for_row_blocks: covers every row once, in whole blocks, on any number of threads") {
  const int threads = num_threads();
  for (const int count : {1, 3}) {
    set_num_threads(count);
    for (const std::int64_t rows : {0, 1, 255, 256, 257, 5000}) {
      std::vector<int> visits(static_cast<std::size_t>(rows));
      std::mutex mutex;
      for_row_blocks(rows, 64, 1, [&](std::int64_t first, std::int64_t n) {
        const std::scoped_lock lock(mutex);
        CHECK(first % row_block == 0);
        for (std::int64_t i = first; i < first + n; ++i) ++visits[i];
      });
      CHECK(visits == std::vector<int>(static_cast<std::size_t>(rows), 1));
    }
  }
  set_num_threads(threads);
}

TEST_CASE("summed_row_blocks: adds up the blocks' sums; where none is asked for it gives none") {
  const std::int64_t rows = 1000;
  const auto block = [](std::int64_t first, std::int64_t n, float* sums) {
    for (int c = 0; sums != nullptr && c < 3; ++c) {
      sums[c] = 0;
      for (std::int64_t i = first; i < first + n; ++i) sums[c] += static_cast<float>(i % 7 + c);
    }
  };
  const Tensor sum = summed_row_blocks<float>(rows, 3, true, block);
  REQUIRE(sum.shape() == Shape{3});
  for (int c = 0; c < 3; ++c) {
    double expected = 0;
    for (std::int64_t i = 0; i < rows; ++i) expected += static_cast<double>(i % 7 + c);
    CHECK(sum.at(c) == expected);
  }
  CHECK_FALSE(summed_row_blocks<float>(rows, 3, false, block));
  CHECK(max_abs(summed_row_blocks<float>(0, 3, true, block)) == 0);
}

TEST_CASE("row_count, result_for, shifted: rows of any rank; memory that nobody sees; x + bias") {
  CHECK(row_count(Tensor({2, 3, 4})) == 6);
  CHECK(row_count(Tensor({5})) == 1);
  CHECK(row_count(Tensor({3, 0})) == 0);
  Rng rng(1);
  const Tensor x = random_normal(rng, {4, 2});
  const Tensor other = x;
  CHECK_FALSE(result_for(x).shares_storage_with(x));
  const Tensor alone = random_normal(rng, {4, 2});
  CHECK(result_for(alone).shares_storage_with(alone));

  const Tensor bias = Tensor::of({1, 2}, {2});
  const Tensor both = shifted(x.shape(), x, bias);
  const Tensor without_x = shifted(x.shape(), {}, bias);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    CHECK(both.at(i) == double(static_cast<float>(x.at(i)) + static_cast<float>(bias.at(i % 2))));
    CHECK(without_x.at(i) == bias.at(i % 2));
  }
  CHECK(max_abs_diff(shifted(x.shape(), x, {}), x) == 0);
}

TEST_CASE("require_bias: names the op, the shape and the type") {
  CHECK_NOTHROW(require_bias("op", Tensor({2, 4}), {}));
  CHECK_NOTHROW(require_bias("op", Tensor({2, 4}), Tensor({4})));
  CHECK_THROWS_WITH_AS(require_bias("op", Tensor({2, 4}), Tensor({1, 4})),
                       "op: expected bias of shape [4] and type f32, got [1, 4] and f32",
                       ShapeError);
}

TEST_SUITE_END();
