#include <algorithm>
#include <array>
#include <cmath>
#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/datasets/glyphs.hpp>
#include <numbers>

namespace isotape {
namespace {

constexpr std::int64_t side = 28;
constexpr std::int64_t pixels = side * side;
constexpr int classes = 10;

struct Point {
  float x;
  float y;
};
using Points = std::vector<Point>;

// A pen stroke: a smooth curve through its points; a closed one returns to the first.
struct Stroke {
  Points points;
  bool closed = false;
};
using Form = std::vector<Stroke>;

// The ways to write each digit, in a frame of x in [-0.65, 0.65] and y in [-1, 1], y downwards.
const std::array<std::vector<Form>, classes>& forms_of_digits() {
  static const std::array<std::vector<Form>, classes> forms{{
      // 0
      {{{{{0, -1},
          {.48F, -.7F},
          {.6F, 0},
          {.48F, .7F},
          {0, 1},
          {-.48F, .7F},
          {-.6F, 0},
          {-.48F, -.7F}},
         true}}},
      // 1: a flag, a plain bar, a flag and a foot
      {{{{{-.35F, -.6F}, {0, -1}}}, {{{0, -1}, {0, 1}}}},
       {{{{0, -1}, {0, 1}}}},
       {{{{-.35F, -.6F}, {0, -1}}}, {{{0, -1}, {0, 1}}}, {{{-.4F, 1}, {.4F, 1}}}}},
      // 2: an angle at the foot, a loop at the foot
      {{{{{-.55F, -.55F},
          {-.32F, -.9F},
          {.1F, -1},
          {.5F, -.72F},
          {.45F, -.25F},
          {.05F, .3F},
          {-.55F, .95F}}},
        {{{-.55F, .95F}, {.6F, .95F}}}},
       {{{{-.5F, -.6F},
          {-.1F, -1},
          {.45F, -.75F},
          {.4F, -.2F},
          {-.05F, .5F},
          {-.45F, .9F},
          {-.55F, .65F},
          {-.2F, .65F},
          {.2F, .95F},
          {.6F, .85F}}}}},
      // 3
      {{{{{-.5F, -.75F}, {-.1F, -1}, {.4F, -.85F}, {.48F, -.5F}, {.3F, -.15F}, {-.1F, -.03F}}},
        {{{-.1F, -.03F}, {.4F, .12F}, {.58F, .5F}, {.4F, .87F}, {-.05F, 1}, {-.55F, .75F}}}}},
      // 4: closed, open
      {{{{{.25F, -1}, {-.6F, .3F}}}, {{{-.6F, .3F}, {.65F, .3F}}}, {{{.25F, -1}, {.25F, 1}}}},
       {{{{-.45F, -1}, {-.55F, -.3F}, {-.5F, .12F}}},
        {{{-.5F, .12F}, {0, .15F}, {.55F, .05F}}},
        {{{.4F, -.9F}, {.4F, 0}, {.35F, 1}}}}},
      // 5
      {{{{{.5F, -1}, {-.4F, -1}}},
        {{{-.4F, -1}, {-.48F, -.1F}}},
        {{{-.48F, -.1F},
          {-.1F, -.28F},
          {.4F, -.1F},
          {.55F, .35F},
          {.35F, .82F},
          {-.1F, 1},
          {-.55F, .8F}}}}},
      // 6
      {{{{{.4F, -.95F},
          {-.1F, -.7F},
          {-.46F, -.1F},
          {-.5F, .45F},
          {-.25F, .92F},
          {.15F, .98F},
          {.5F, .65F},
          {.45F, .22F},
          {.1F, 0},
          {-.3F, .12F},
          {-.5F, .45F}}}}},
      // 7: plain, with a bar
      {{{{{-.55F, -.95F}, {.55F, -.95F}}}, {{{.55F, -.95F}, {.15F, -.1F}, {-.15F, 1}}}},
       {{{{-.55F, -.95F}, {.55F, -.95F}}},
        {{{.55F, -.95F}, {.15F, -.1F}, {-.15F, 1}}},
        {{{-.2F, 0}, {.45F, 0}}}}},
      // 8
      {{{{{0, -1}, {.42F, -.75F}, {.36F, -.28F}, {0, -.05F}, {-.36F, -.28F}, {-.42F, -.75F}}, true},
        {{{0, -.05F}, {.48F, .25F}, {.5F, .75F}, {0, 1}, {-.5F, .75F}, {-.48F, .25F}}, true}}},
      // 9: a bent tail, a straight one
      {{{{{.45F, -.5F}, {.2F, -.95F}, {-.25F, -.92F}, {-.5F, -.5F}, {-.3F, -.08F}, {.15F, -.1F}},
         true},
        {{{.45F, -.5F}, {.5F, 0}, {.35F, .65F}, {-.2F, 1}, {-.45F, .8F}}}},
       {{{{.45F, -.5F}, {.2F, -.95F}, {-.25F, -.92F}, {-.5F, -.5F}, {-.3F, -.08F}, {.15F, -.1F}},
         true},
        {{{.46F, -.55F}, {.4F, .2F}, {.25F, 1}}}}},
  }};
  return forms;
}

float uniform(Rng& rng, double low, double high) {
  return static_cast<float>(low + (high - low) * rng.uniform());
}

// From the frame of the forms to pixels.
struct Pose {
  float xx, xy, yx, yy, shift_x, shift_y;

  explicit Pose(Rng& rng) {
    constexpr double degree = std::numbers::pi / 180;
    const double angle = 11 * degree * std::clamp(rng.normal(), -2.5, 2.5);
    const double height = uniform(rng, 6.5, 10.5);  // half of it
    const double width = height * uniform(rng, 0.75, 1.3);
    const double slant = uniform(rng, -0.35, 0.2);
    // rotation * shear * scale
    xx = static_cast<float>(std::cos(angle) * width);
    xy = static_cast<float>((std::cos(angle) * slant - std::sin(angle)) * height);
    yx = static_cast<float>(std::sin(angle) * width);
    yy = static_cast<float>((std::sin(angle) * slant + std::cos(angle)) * height);
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
      const float t = static_cast<float>(k) / pieces;
      const std::array<float, 4> weight{0.5F * t * (t * (2 - t) - 1),
                                        0.5F * (t * t * (3 * t - 5) + 2),
                                        0.5F * t * (t * (4 - 3 * t) + 1), 0.5F * t * t * (t - 1)};
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
void draw_line(std::array<float, pixels>& distance, Point a, Point b, float reach) {
  const auto range = [&](float u, float v) {
    const auto first = static_cast<std::int64_t>(std::floor(std::min(u, v) - reach));
    const auto last = static_cast<std::int64_t>(std::ceil(std::max(u, v) + reach));
    return std::pair(std::clamp<std::int64_t>(first, 0, side),
                     std::clamp<std::int64_t>(last + 1, 0, side));
  };
  const Point along{b.x - a.x, b.y - a.y};
  const float length2 = std::max(along.x * along.x + along.y * along.y, 1e-12F);
  const auto [left, right] = range(a.x, b.x);
  const auto [top, bottom] = range(a.y, b.y);
  for (std::int64_t y = top; y < bottom; ++y) {
    for (std::int64_t x = left; x < right; ++x) {
      const float dx = static_cast<float>(x) - a.x;
      const float dy = static_cast<float>(y) - a.y;
      const float t = std::clamp((dx * along.x + dy * along.y) / length2, 0.0F, 1.0F);
      const float ex = dx - t * along.x;
      const float ey = dy - t * along.y;
      float& nearest = distance[y * side + x];
      nearest = std::min(nearest, ex * ex + ey * ey);
    }
  }
}

void draw_digit(int digit, Rng rng, std::uint8_t* image) {
  const std::vector<Form>& forms = forms_of_digits().at(digit);
  const Form& form = forms[rng.below(forms.size())];
  const Pose pose(rng);
  const float radius = uniform(rng, 0.7, 1.7);
  const float ink = uniform(rng, 130, 255);
  const float noise = uniform(rng, 0, 0.25);
  constexpr double wobble = 0.08;

  std::array<float, pixels> distance;
  distance.fill(1e6F);
  for (const Stroke& stroke : form) {
    Points points = stroke.points;
    for (Point& p : points) {
      p.x += static_cast<float>(wobble * rng.normal());
      p.y += static_cast<float>(wobble * rng.normal());
      p = pose(p);
    }
    const Points line = chain(points, stroke.closed);
    for (std::size_t i = 1; i < line.size(); ++i) {
      draw_line(distance, line[i - 1], line[i], radius + 1);
    }
  }
  for (std::int64_t i = 0; i < pixels; ++i) {
    const float covered = std::clamp(radius + 0.5F - std::sqrt(distance[i]), 0.0F, 1.0F);
    // The four bytes of one draw, summed: a bell of mean 510 and deviation 148.
    std::uint32_t bits = rng.next();
    bits = (bits & 0x00ff00ffU) + (bits >> 8U & 0x00ff00ffU);
    const auto bell = static_cast<float>((bits & 0xffffU) + (bits >> 16U)) - 510.0F;
    image[i] = static_cast<std::uint8_t>(std::clamp(ink * covered + noise * bell, 0.0F, 255.0F));
  }
}

Split draw(std::int64_t count, const Rng& rng) {
  Split split;
  split.images = Tensor({count, side, side, 1}, DType::u8);
  split.labels.resize(static_cast<std::size_t>(count));
  std::uint8_t* images = split.images.write<std::uint8_t>();
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
