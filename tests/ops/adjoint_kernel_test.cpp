#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/core/gradcheck.hpp>
#include <isotape/core/lipcheck.hpp>
#include <isotape/core/random.hpp>
#include <isotape/ops/adjoint_kernel.hpp>
#include <isotape/ops/conv2d.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("ops/adjoint_kernel");

namespace {

Tensor normal(const Shape& shape, std::uint64_t seed, DType dtype = DType::f64) {
  Rng rng(seed);
  return random_normal(rng, shape, 1, dtype);
}

Tensor transposed(const Tensor& a) {
  Tensor t({a.dim(1), a.dim(0)}, a.dtype());
  for (std::int64_t i = 0; i < a.size(); ++i) {
    t.write<double>()[i % a.dim(1) * a.dim(0) + i / a.dim(1)] = a.at(i);
  }
  return t;
}

Tensor matrix(const Tensor& w, const Conv2dOptions& options, std::int64_t channels) {
  const auto f = [&](const Var& x) { return conv2d(x, w, {}, options); };
  return dense_operator(f, {1, 4, 5, channels}, DType::f64);
}

struct Case {
  Shape shape;
  int groups;
};
const std::vector<Case> cases = {{{4, 3, 3, 2}, 1}, {{2, 2, 3, 5}, 1}, {{1, 4, 1, 1}, 1},
                                 {{6, 3, 3, 2}, 2}, {{4, 1, 1, 3}, 4}, {{20, 1, 2, 18}, 1}};

}  // namespace

TEST_CASE("adjoint_kernel: convolves with the transpose, under zero and circular borders") {
  for (const Case& c : cases) {
    CAPTURE(c.shape);
    const Tensor w = normal(c.shape, 1);
    const int h = static_cast<int>(c.shape[1]) - 1;
    const int v = static_cast<int>(c.shape[2]) - 1;
    for (const PadMode mode : {PadMode::zero, PadMode::circular}) {
      const Padding border{h / 2, h - h / 2, v / 2, v - v / 2};
      const Padding mirrored{border.bottom, border.top, border.right, border.left};
      const Tensor a = matrix(w, {.groups = c.groups, .border = border, .border_mode = mode},
                              c.shape[3] * c.groups);
      const Tensor at =
          matrix(adjoint_kernel(w, c.groups).value(),
                 {.groups = c.groups, .border = mirrored, .border_mode = mode}, c.shape[0]);
      CHECK(max_abs_diff(at, transposed(a)) == 0);
    }
    CHECK(max_abs_diff(adjoint_kernel(adjoint_kernel(w, c.groups), c.groups).value(), w) == 0);
  }
}

TEST_CASE("adjoint_kernel, skew_kernel: derivatives match finite differences") {
  for (const Case& c : cases) {
    CAPTURE(c.shape);
    const auto f = [&](const Vars& in) { return adjoint_kernel(in[0], c.groups); };
    CHECK(gradcheck("adjoint_kernel", f, {normal(c.shape, 2)}));
    const auto adjoint = [&](const Var& w) { return adjoint_kernel(w, c.groups); };
    CHECK(adjoint_test("adjoint_kernel", adjoint, c.shape, DType::f32, 1e-6));
  }
  const auto skew = [](const Vars& in) { return skew_kernel(in[0], 2); };
  CHECK(gradcheck("skew_kernel", skew, {normal({6, 3, 1, 3}, 3)}));
}

TEST_CASE("skew_kernel: its convolution is skew to the last bit, in f32 too") {
  for (const PadMode mode : {PadMode::zero, PadMode::circular}) {
    const Tensor w = normal({3, 3, 5, 3}, 4, DType::f32);
    const Tensor l = skew_kernel(w).value().to(DType::f64);
    const Tensor a = matrix(l, {.border = {1, 1, 2, 2}, .border_mode = mode}, 3);
    CHECK(max_abs(a) > 1);
    Tensor sum = transposed(a);
    add_in_place(sum, a);
    CHECK(max_abs(sum) == 0);
  }
}

TEST_CASE("adjoint_kernel, skew_kernel: reject other shapes") {
  CHECK_THROWS_WITH_AS(adjoint_kernel(Tensor({3, 3})),
                       "adjoint_kernel: expected w of shape [O, h, w, I/groups] and groups = 1 "
                       "that divide O, got [3, 3]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(adjoint_kernel(Tensor({3, 1, 1, 2}), 2),
                       "adjoint_kernel: expected w of shape [O, h, w, I/groups] and groups = 2 "
                       "that divide O, got [3, 1, 1, 2]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(skew_kernel(Tensor({4, 2, 3, 4})),
                       "skew_kernel: expected w of shape [C, h, w, C/groups] with groups = 1 and "
                       "h, w odd, got [4, 2, 3, 4]",
                       ShapeError);
}

TEST_SUITE_END();
