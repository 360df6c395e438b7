#include <isotape/datasets/glyphs.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

constexpr std::int64_t side = 28;
constexpr std::int64_t pixels = side * side;
constexpr int classes = 10;

struct Point {
  double x;
  double y;
};
using Points = std::vector<Point>;

// A pen stroke: a smooth curve through its points; a closed one returns to the first.
struct Stroke {
  Points points;
  bool closed = false;
};
using Form = std::vector<Stroke>;

// The ways to write each digit, in a frame of x in [-0.65, 0.65] and y in [-1, 1], y downwards.
const std::array<std::vector<Form>, classes> forms_of_digits{{
    // 0
    {{{{{0, -1}, {.48, -.7}, {.6, 0}, {.48, .7}, {0, 1}, {-.48, .7}, {-.6, 0}, {-.48, -.7}},
       true}}},
    // 1: a flag, a plain bar, a flag and a foot
    {{{{{-.35, -.6}, {0, -1}}}, {{{0, -1}, {0, 1}}}},
     {{{{0, -1}, {0, 1}}}},
     {{{{-.35, -.6}, {0, -1}}}, {{{0, -1}, {0, 1}}}, {{{-.4, 1}, {.4, 1}}}}},
    // 2: an angle at the foot, a loop at the foot
    {{{{{-.55, -.55}, {-.32, -.9}, {.1, -1}, {.5, -.72}, {.45, -.25}, {.05, .3}, {-.55, .95}}},
      {{{-.55, .95}, {.6, .95}}}},
     {{{{-.5, -.6},
        {-.1, -1},
        {.45, -.75},
        {.4, -.2},
        {-.05, .5},
        {-.45, .9},
        {-.55, .65},
        {-.2, .65},
        {.2, .95},
        {.6, .85}}}}},
    // 3
    {{{{{-.5, -.75}, {-.1, -1}, {.4, -.85}, {.48, -.5}, {.3, -.15}, {-.1, -.03}}},
      {{{-.1, -.03}, {.4, .12}, {.58, .5}, {.4, .87}, {-.05, 1}, {-.55, .75}}}}},
    // 4: closed, open
    {{{{{.25, -1}, {-.6, .3}}}, {{{-.6, .3}, {.65, .3}}}, {{{.25, -1}, {.25, 1}}}},
     {{{{-.45, -1}, {-.55, -.3}, {-.5, .12}}},
      {{{-.5, .12}, {0, .15}, {.55, .05}}},
      {{{.4, -.9}, {.4, 0}, {.35, 1}}}}},
    // 5
    {{{{{.5, -1}, {-.4, -1}}},
      {{{-.4, -1}, {-.48, -.1}}},
      {{{-.48, -.1}, {-.1, -.28}, {.4, -.1}, {.55, .35}, {.35, .82}, {-.1, 1}, {-.55, .8}}}}},
    // 6
    {{{{{.4, -.95},
        {-.1, -.7},
        {-.46, -.1},
        {-.5, .45},
        {-.25, .92},
        {.15, .98},
        {.5, .65},
        {.45, .22},
        {.1, 0},
        {-.3, .12},
        {-.5, .45}}}}},
    // 7: plain, with a bar
    {{{{{-.55, -.95}, {.55, -.95}}}, {{{.55, -.95}, {.15, -.1}, {-.15, 1}}}},
     {{{{-.55, -.95}, {.55, -.95}}},
      {{{.55, -.95}, {.15, -.1}, {-.15, 1}}},
      {{{-.2, 0}, {.45, 0}}}}},
    // 8
    {{{{{0, -1}, {.42, -.75}, {.36, -.28}, {0, -.05}, {-.36, -.28}, {-.42, -.75}}, true},
      {{{0, -.05}, {.48, .25}, {.5, .75}, {0, 1}, {-.5, .75}, {-.48, .25}}, true}}},
    // 9: a bent tail, a straight one
    {{{{{.45, -.5}, {.2, -.95}, {-.25, -.92}, {-.5, -.5}, {-.3, -.08}, {.15, -.1}}, true},
      {{{.45, -.5}, {.5, 0}, {.35, .65}, {-.2, 1}, {-.45, .8}}}},
     {{{{.45, -.5}, {.2, -.95}, {-.25, -.92}, {-.5, -.5}, {-.3, -.08}, {.15, -.1}}, true},
      {{{.46, -.55}, {.4, .2}, {.25, 1}}}}},
}};

double uniform(Rng& rng, double low, double high) { return low + (high - low) * rng.uniform(); }

// From the frame of the forms to pixels.
struct Pose {
  double xx, xy, yx, yy, shift_x, shift_y;

  explicit Pose(Rng& rng) {
    constexpr double degree = std::numbers::pi / 180;
    const double angle = 11 * degree * std::clamp(rng.normal(), -2.5, 2.5);
    const double height = uniform(rng, 6.5, 10.5);  // half of it
    const double width = height * uniform(rng, 0.75, 1.3);
    const double slant = uniform(rng, -0.35, 0.2);
    // rotation * shear * scale
    xx = std::cos(angle) * width;
    xy = (std::cos(angle) * slant - std::sin(angle)) * height;
    yx = std::sin(angle) * width;
    yy = (std::sin(angle) * slant + std::cos(angle)) * height;
    shift_x = uniform(rng, 11, 16);
    shift_y = uniform(rng, 11.5, 15.5);
  }
  Point operator()(Point p) const {
    return {xx * p.x + xy * p.y + shift_x, yx * p.x + yy * p.y + shift_y};
  }
};

// The curve through the points (Catmull and Rom's spline), as a chain of short lines.
Points chain(const Points& points, bool closed) {
  constexpr int pieces = 6;
  const auto n = static_cast<int>(points.size());
  const int spans = closed ? n : n - 1;
  const auto point = [&](int i) {
    return closed ? points[(i + n) % n] : points[std::clamp(i, 0, n - 1)];
  };
  Points result{points[0]};
  for (int i = 0; i < spans; ++i) {
    const std::array<Point, 4> p{point(i - 1), point(i), point(i + 1), point(i + 2)};
    for (int k = 1; k <= pieces; ++k) {
      const double t = static_cast<double>(k) / pieces;
      const std::array<double, 4> weight{0.5 * t * (t * (2 - t) - 1),
                                         0.5 * (t * t * (3 * t - 5) + 2),
                                         0.5 * t * (t * (4 - 3 * t) + 1), 0.5 * t * t * (t - 1)};
      Point sum{0, 0};
      for (int j = 0; j < 4; ++j) {
        sum.x += weight[j] * p[j].x;
        sum.y += weight[j] * p[j].y;
      }
      result.push_back(sum);
    }
  }
  return result;
}

// Lowers each pixel's squared distance to the ink to that of the line a-b, within `reach` of it.
void draw_line(std::array<double, pixels>& distance, Point a, Point b, double reach) {
  const auto range = [&](double u, double v) {
    const auto first = static_cast<std::int64_t>(std::floor(std::min(u, v) - reach));
    const auto last = static_cast<std::int64_t>(std::ceil(std::max(u, v) + reach));
    return std::pair(std::clamp<std::int64_t>(first, 0, side),
                     std::clamp<std::int64_t>(last + 1, 0, side));
  };
  const Point along{b.x - a.x, b.y - a.y};
  const double length2 = std::max(along.x * along.x + along.y * along.y, 1e-12);
  const auto [left, right] = range(a.x, b.x);
  const auto [top, bottom] = range(a.y, b.y);
  for (std::int64_t y = top; y < bottom; ++y) {
    for (std::int64_t x = left; x < right; ++x) {
      const double dx = static_cast<double>(x) - a.x;
      const double dy = static_cast<double>(y) - a.y;
      const double t = std::clamp((dx * along.x + dy * along.y) / length2, 0.0, 1.0);
      const double ex = dx - t * along.x;
      const double ey = dy - t * along.y;
      double& nearest = distance[y * side + x];
      nearest = std::min(nearest, ex * ex + ey * ey);
    }
  }
}

void draw_digit(int digit, Rng rng, std::uint8_t* image) {
  const std::vector<Form>& forms = forms_of_digits.at(digit);
  const Form& form = forms[rng.below(forms.size())];
  const Pose pose(rng);
  const double radius = uniform(rng, 0.7, 1.7);
  const double ink = uniform(rng, 130, 255);
  const double noise = uniform(rng, 0, 0.25);
  constexpr double wobble = 0.08;

  std::array<double, pixels> distance;
  distance.fill(1e6);
  for (const Stroke& stroke : form) {
    Points points = stroke.points;
    for (Point& p : points) {
      p.x += wobble * rng.normal();
      p.y += wobble * rng.normal();
      p = pose(p);
    }
    const Points line = chain(points, stroke.closed);
    for (std::size_t i = 1; i < line.size(); ++i) {
      draw_line(distance, line[i - 1], line[i], radius + 1);
    }
  }
  for (std::int64_t i = 0; i < pixels; ++i) {
    const double covered = std::clamp(radius + 0.5 - std::sqrt(distance[i]), 0.0, 1.0);
    // The four bytes of one draw, summed: a bell of mean 510 and deviation 148.
    std::uint32_t bits = rng.next();
    bits = (bits & 0x00ff00ffU) + (bits >> 8U & 0x00ff00ffU);
    const double bell = static_cast<double>((bits & 0xffffU) + (bits >> 16U)) - 510;
    image[i] = static_cast<std::uint8_t>(std::clamp(ink * covered + noise * bell, 0.0, 255.0));
  }
}

Split draw(std::int64_t count, const Rng& rng) {
  Split split;
  split.images = Tensor({count, side, side, 1}, DType::u8);
  split.labels.resize(static_cast<std::size_t>(count));
  auto* images = split.images.write<std::uint8_t>();
  constexpr std::int64_t grain = 64;
  parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      split.labels[i] = static_cast<std::int32_t>(i % classes);
      draw_digit(split.labels[i], rng.stream(static_cast<std::uint64_t>(i)), images + i * pixels);
    }
  });
  return split;
}

}  // namespace

Dataset make_glyphs(const GlyphOptions& options) {
  require<ValueError>(options.train >= 1 && options.test >= 1,
                      "glyphs: expected at least one training and one test image, got ",
                      options.train, " and ", options.test);
  const Rng rng = Rng(options.seed).stream("glyphs");
  Dataset dataset;
  dataset.name = "glyphs";
  for (int digit = 0; digit < classes; ++digit) dataset.class_names.push_back(message(digit));
  dataset.train = draw(options.train, rng.stream("train"));
  dataset.test = draw(options.test, rng.stream("test"));
  return dataset;
}

}  // namespace isotape
