#include <doctest/doctest.h>

#include <isotape/ops/eight_lanes.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/eight_lanes");

TEST_CASE("band_rows: a band of f32 stays within 16 KiB but where four rows are longer") {
  for (const std::int64_t channels : {1, 2, 63, 64, 65, 512, 1024, 1025, 100'000}) {
    const std::int64_t rows = band_rows(channels);
    CHECK(rows >= 4);
    CHECK(rows <= 64);
    CHECK((rows == 4 || rows * channels <= 4096));
  }
}

TEST_CASE("Vectors: as many lanes of either type, and a mask that chooses among them") {
  static_assert(sizeof(Vectors<float>::Values) == sizeof(Vectors<float>::Mask));
  static_assert(sizeof(Vectors<double>::Values) == sizeof(Vectors<double>::Mask));
  const Vectors<double>::Values a = {1, 2, 3, 4, 5, 6, 7, 8};
  const Vectors<double>::Mask odd = {-1, 0, -1, 0, -1, 0, -1, 0};
  const Vectors<double>::Values chosen = odd ? a : -a;
  for (int lane = 0; lane < eight; ++lane) {
    CHECK(chosen[lane] == (lane % 2 == 0 ? 1 : -1) * (lane + 1));
  }
}

TEST_SUITE_END();
