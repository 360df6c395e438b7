#include <isotape/optim/square_attack.hpp>

#include <algorithm>
#include <cmath>

#include <isotape/core/error.hpp>
#include <isotape/optim/attack_loss.hpp>
#include <isotape/optim/best_input.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {
namespace {

struct Image {
  std::int64_t height;
  std::int64_t width;
  std::int64_t channels;
};

Image image_of(const Shape& batch) {
  if (batch.rank() == 4) return {batch[1], batch[2], batch[3]};
  return {1, batch.inner(0), 1};
}

struct Window {
  std::int64_t top;
  std::int64_t left;
  std::int64_t height;
  std::int64_t width;
};

using Plane = std::vector<double>;  // [height, width]

double length_of(const Plane& plane) {
  double square = 0;
  for (const double entry : plane) square += entry * entry;
  return std::sqrt(square);
}

// A pyramid of height 1/(1 + ring)^2 summed over rings around the middle of a rectangle, length 1.
Plane pyramid(std::int64_t height, std::int64_t width) {
  Plane plane(static_cast<std::size_t>(height * width), 0.0);
  std::int64_t top = height / 2;
  std::int64_t left = width / 2;
  for (std::int64_t ring = 0; ring < std::max(height / 2 + 1, width / 2 + 1); ++ring) {
    const std::int64_t bottom = std::min(top + 2 * ring + 1, height);
    const std::int64_t right = std::min(left + 2 * ring + 1, width);
    const double more = 1 / static_cast<double>((ring + 1) * (ring + 1));
    for (std::int64_t i = std::max<std::int64_t>(top, 0); i < bottom; ++i) {
      for (std::int64_t j = std::max<std::int64_t>(left, 0); j < right; ++j) {
        plane[static_cast<std::size_t>(i * width + j)] += more;
      }
    }
    --top;
    --left;
  }
  const double length = length_of(plane);
  for (double& entry : plane) entry /= length;
  return plane;
}

// Two pyramids of opposite signs, one above or beside the other, length 1.
Plane bump(std::int64_t height, std::int64_t width, Rng& rng) {
  const bool is_beside = height < 2 || (width >= 2 && rng.below(2) == 0);
  const std::int64_t rows = is_beside ? width : height;  // along which it is cut
  const std::int64_t columns = is_beside ? height : width;
  Plane cut;
  for (const std::int64_t part : {rows / 2, rows - rows / 2}) {
    if (part == 0) continue;
    const Plane half = pyramid(part, columns);
    const double sign = cut.empty() && part == rows / 2 ? 1 : -1;
    for (const double entry : half) cut.push_back(sign * entry);
  }
  Plane plane(cut.size());
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      const std::int64_t to = is_beside ? j * width + i : i * width + j;
      plane[static_cast<std::size_t>(to)] = cut[static_cast<std::size_t>(i * columns + j)];
    }
  }
  const double length = length_of(plane);
  for (double& entry : plane) entry /= length;
  return plane;
}

double random_sign(Rng& rng) { return rng.below(2) == 0 ? -1 : 1; }

// The share of the image that a query changes: p at first, halved at these of 10,000 queries.
double share(double p, std::int64_t query, std::int64_t queries) {
  constexpr double halvings[] = {10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000};
  const double at = 1e4 * static_cast<double>(query) / static_cast<double>(queries);
  for (const double halving : halvings) {
    if (at > halving) p /= 2;
  }
  return p;
}

// One image's perturbation [H, W, C], of length eps.
class Perturbation {
 public:
  Perturbation(const Image& image, double eps, Rng& rng)
      : image_(image),
        eps_(eps),
        delta_(static_cast<std::size_t>(image.height * image.width * image.channels), 0.0) {
    const std::int64_t height = std::max<std::int64_t>(image.height / 5, 1);
    const std::int64_t width = std::max<std::int64_t>(image.width / 5, 1);
    for (std::int64_t top = 0; top + height <= image.height; top += height) {
      for (std::int64_t left = 0; left + width <= image.width; left += width) {
        const Plane plane = bump(height, width, rng);
        for (std::int64_t c = 0; c < image.channels; ++c) {
          const double sign = random_sign(rng);
          visit({top, left, height, width}, [&](std::size_t k, std::size_t at) {
            if (static_cast<std::int64_t>(at % image_.channels) == c) delta_[at] += sign * plane[k];
          });
        }
      }
    }
    rescale();
  }

  // From what is there: one that was made of x_best - x, clipping included.
  Perturbation(const Image& image, double eps, Plane delta)
      : image_(image), eps_(eps), delta_(std::move(delta)) {}

  void move(double part, Rng& rng) {
    auto side = static_cast<std::int64_t>(
        std::lround(std::sqrt(part * static_cast<double>(image_.height * image_.width))));
    // As published; but in tiny images single pixels must be within reach.
    const bool is_tiny = std::max(image_.height, image_.width) < 5;
    side = std::max<std::int64_t>(side, is_tiny ? 1 : 3);
    side += side % 2 == 0 ? 1 : 0;
    const Window to = window(side, rng);
    const Window from = window(side, rng);
    const auto area = static_cast<std::size_t>(image_.channels);
    double both = 0;
    visit(to, [&](std::size_t, std::size_t at) { both += delta_[at] * delta_[at]; });
    visit(from, [&](std::size_t, std::size_t at) {
      if (!contains(to, at)) both += delta_[at] * delta_[at];
    });
    double all = 0;
    for (const double entry : delta_) all += entry * entry;
    // The length that this channel's window may have, from both windows and from what is unused.
    const double unused = std::max(eps_ * eps_ - all, 0.0);
    const double length = std::sqrt((unused + both) / static_cast<double>(area));
    const Plane plane = bump(to.height, to.width, rng);
    std::vector<Plane> made;
    for (std::int64_t c = 0; c < image_.channels; ++c) made.push_back(channel(to, c, plane, rng));
    visit(from, [&](std::size_t, std::size_t at) { delta_[at] = 0; });
    visit(to, [&](std::size_t k, std::size_t at) { delta_[at] = length * made[at % area][k]; });
    rescale();
  }

  const Plane& delta() const { return delta_; }

 private:
  // Calls f(k, at) for the entries of a window: k counts its pixels, at all entries of the image.
  template <class F>
  void visit(const Window& window, F&& f) const {
    for (std::int64_t i = 0; i < window.height; ++i) {
      for (std::int64_t j = 0; j < window.width; ++j) {
        const std::int64_t pixel = (window.top + i) * image_.width + window.left + j;
        for (std::int64_t c = 0; c < image_.channels; ++c) {
          f(static_cast<std::size_t>(i * window.width + j),
            static_cast<std::size_t>(pixel * image_.channels + c));
        }
      }
    }
  }

  bool contains(const Window& window, std::size_t at) const {
    const std::int64_t pixel = static_cast<std::int64_t>(at) / image_.channels;
    const std::int64_t row = pixel / image_.width - window.top;
    const std::int64_t column = pixel % image_.width - window.left;
    return 0 <= row && row < window.height && 0 <= column && column < window.width;
  }

  Window window(std::int64_t side, Rng& rng) const {
    const std::int64_t height = std::min(side, image_.height);
    const std::int64_t width = std::min(side, image_.width);
    const auto draw = [&rng](std::int64_t room) {
      return static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(room) + 1));
    };
    const std::int64_t top = draw(image_.height - height);
    return {top, draw(image_.width - width), height, width};
  }

  // (sign bump + old / |old|) / |...| of one channel.
  Plane channel(const Window& to, std::int64_t c, const Plane& plane, Rng& rng) const {
    Plane old(plane.size(), 0.0);
    visit(to, [&](std::size_t k, std::size_t at) {
      if (static_cast<std::int64_t>(at % image_.channels) == c) old[k] = delta_[at];
    });
    const double size = length_of(old);
    const double sign = random_sign(rng);
    for (std::size_t k = 0; k < old.size(); ++k) {
      old[k] = sign * plane[k] + (size > 0 ? old[k] / size : 0);
    }
    const double length = length_of(old);
    for (double& entry : old) entry = length > 0 ? entry / length : 0;
    return old;
  }

  void rescale() {
    const double length = length_of(delta_);
    if (!(length > 0)) return;
    for (double& entry : delta_) entry *= eps_ / length;
  }

  Image image_;
  double eps_;
  Plane delta_;
};

Tensor moved(const Tensor& x, const Plane& delta) {
  Tensor y = x.clone();
  dispatch_float(x.dtype(), "square", [&]<class T>() {
    T* to = y.write<T>();
    for (std::size_t k = 0; k < delta.size(); ++k) {
      to[k] = static_cast<T>(static_cast<double>(to[k]) + delta[k]);
    }
  });
  return y;
}

Plane difference(const Tensor& y, const Tensor& x) {
  Plane delta(static_cast<std::size_t>(x.size()));
  for (std::size_t k = 0; k < delta.size(); ++k) {
    const auto at = static_cast<std::int64_t>(k);
    delta[k] = y.at(at) - x.at(at);
  }
  return delta;
}

}  // namespace

Square::Square(const SquareOptions& options) : options_(options) {
  require<ValueError>(options.queries >= 1, "square: expected queries >= 1, got ", options.queries);
  require<ValueError>(0 < options.p && options.p <= 1, "square: expected p in (0, 1], got ",
                      options.p);
}

Tensor Square::search(const Victim& victim, const AttackTask& task) const {
  require<ValueError>(std::isfinite(task.eps), "square: expected a finite eps, got ", task.eps);
  const Image image = image_of(task.x.shape());
  LowestMargin best(task, victim.logits(task.x));
  std::vector<std::int64_t> rows = best.unbroken();
  RowRngs rngs = task.rngs;
  for (std::int64_t query = 0; query < options_.queries && !rows.empty(); ++query) {
    const AttackTask part = part_of(task, rows);
    Tensor y = part.x.clone();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::int64_t row = rows[i];
      Rng& rng = rngs[static_cast<std::size_t>(row)];
      const Tensor x = task.x.rows(row, row + 1);
      Plane delta;
      if (query == 0) {
        delta = Perturbation(image, task.eps, rng).delta();
      } else {
        Perturbation perturbation(image, task.eps, difference(best.x().rows(row, row + 1), x));
        perturbation.move(share(options_.p, query, options_.queries), rng);
        delta = perturbation.delta();
      }
      const std::int64_t one[] = {static_cast<std::int64_t>(i)};
      put_rows(y, one, moved(x, delta));
    }
    project(ball_of(task, BallNorm::l2), part.x, y);
    best.offer(rows, y, victim.logits(y));
    rows = best.unbroken();
  }
  return best.x();
}

}  // namespace isotape
