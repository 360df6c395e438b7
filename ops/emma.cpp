#include <isotape/ops/emma.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include <isotape/ops/row_loss.hpp>

namespace isotape {
namespace {

const Op class_distances_op("class_distances");
const Op emma_logits_op("emma_logits");

constexpr double least_share = 0.01;

void check_distances(const Op& op, const Tensor& logits, const Tensor& distances, Labels labels) {
  check_rows(op, logits, labels);
  const Shape expected{logits.dim(1), logits.dim(1)};
  require<ShapeError>(distances.shape() == expected && distances.dtype() == logits.dtype(),
                      op.name(), ": expected distances of shape ", expected, " and type ",
                      logits.dtype(), ", got ", distances.shape(), " and ", distances.dtype());
}

// Calls f(i, j, w_i, w_j) for all rows i < j.
template <class T, class F>
void for_each_pair(const Tensor& w, F&& f) {
  const std::int64_t n = w.dim(1);
  for (std::int64_t i = 0; i < w.dim(0); ++i) {
    for (std::int64_t j = i + 1; j < w.dim(0); ++j) {
      f(i, j, w.data<T>() + i * n, w.data<T>() + j * n);
    }
  }
}

}  // namespace

Var class_distances(const Var& w_var) {
  const Tensor& w = w_var.value();
  require<ShapeError>(w.rank() == 2 && w.size() > 0,
                      "class_distances: expected w of shape [C, n], got ", w.shape());
  const std::int64_t classes = w.dim(0);
  Tensor y = Tensor::zeros({classes, classes}, w.dtype());
  dispatch_float(w.dtype(), "class_distances", [&]<class T>() {
    T* d = y.write<T>();
    for_each_pair<T>(w, [&](std::int64_t i, std::int64_t j, const T* a, const T* b) {
      double sum = 0;
      for (std::int64_t k = 0; k < w.dim(1); ++k) {
        const double difference = static_cast<double>(a[k]) - static_cast<double>(b[k]);
        sum += difference * difference;
      }
      d[i * classes + j] = d[j * classes + i] = static_cast<T>(std::sqrt(sum));
    });
  });

  // dy_ij = <w_i - w_j, dw_i - dw_j> / y_ij. Pairing it with dy and collecting dw:
  //     grad_i = sum_j (dy_ij + dy_ji) (w_i - w_j) / y_ij.
  auto vjp = [w, y, classes](const Tensor& dy, Needs) -> Grads<1> {
    Tensor grad = Tensor::zeros(w.shape(), w.dtype());
    dispatch_float(w.dtype(), "class_distances", [&]<class T>() {
      const T* d = y.data<T>();
      const T* up = dy.data<T>();
      T* g = grad.write<T>();
      const std::int64_t n = w.dim(1);
      for_each_pair<T>(w, [&](std::int64_t i, std::int64_t j, const T* a, const T* b) {
        if (d[i * classes + j] == 0) return;
        const T factor = (up[i * classes + j] + up[j * classes + i]) / d[i * classes + j];
        for (std::int64_t k = 0; k < n; ++k) {
          const T part = factor * (a[k] - b[k]);
          g[i * n + k] += part;
          g[j * n + k] -= part;
        }
      });
    });
    return {grad};
  };
  auto jvp = [w, y, classes](const Tangents<1>& dw) {
    Tensor dy = Tensor::zeros(y.shape(), y.dtype());
    dispatch_float(w.dtype(), "class_distances", [&]<class T>() {
      const T* d = y.data<T>();
      const T* v = dw[0].data<T>();
      T* t = dy.write<T>();
      const std::int64_t n = w.dim(1);
      for_each_pair<T>(w, [&](std::int64_t i, std::int64_t j, const T* a, const T* b) {
        if (d[i * classes + j] == 0) return;
        double sum = 0;
        for (std::int64_t k = 0; k < n; ++k) {
          sum += static_cast<double>((a[k] - b[k]) * (v[i * n + k] - v[j * n + k]));
        }
        t[i * classes + j] = t[j * classes + i] =
            static_cast<T>(sum / static_cast<double>(d[i * classes + j]));
      });
    });
    return dy;
  };
  return record(class_distances_op, y, {w_var}, {w, y}, std::move(vjp), std::move(jvp));
}

Tensor emma_slack(const Tensor& logits, const Tensor& distances, Labels labels, double eps) {
  require<ValueError>(std::isfinite(eps) && eps > 0, "emma_logits: expected a finite eps > 0, got ",
                      eps);
  check_distances(emma_logits_op, logits, distances, labels);
  const std::int64_t classes = logits.dim(1);
  Tensor slack(logits.shape(), logits.dtype());
  dispatch_float(logits.dtype(), "emma_logits", [&]<class T>() {
    T* s = slack.write<T>();
    for (std::int64_t i = 0; i < logits.dim(0); ++i) {
      const T* f = logits.data<T>() + i * classes;
      const T* d = distances.data<T>() + labels[static_cast<std::size_t>(i)] * classes;
      for (std::int64_t j = 0; j < classes; ++j) {
        const auto lead = static_cast<double>(f[labels[static_cast<std::size_t>(i)]] - f[j]);
        const double radius = lead / static_cast<double>(d[j]);
        const bool is_same = d[j] == 0;
        s[i * classes + j] =
            is_same ? T{0} : static_cast<T>(std::clamp(radius, least_share * eps, eps));
      }
    }
  });
  return slack;
}

Var emma_logits(const Var& logits_var, const Var& distances_var, Labels labels,
                const Tensor& slack) {
  const Tensor& logits = logits_var.value();
  const Tensor& distances = distances_var.value();
  check_distances(emma_logits_op, logits, distances, labels);
  require_same("emma_logits", logits, slack);
  const std::int64_t classes = logits.dim(1);
  const std::vector<std::int32_t> kept(labels.begin(), labels.end());

  // to_ij += slack_ij d_(label_i)j, of which the adjoint in d is d_(label_i)j += slack_ij to_ij.
  const auto add_raised = [slack, kept, classes](Tensor& to, const Tensor& d) {
    dispatch_float(to.dtype(), "emma_logits", [&]<class T>() {
      T* y = to.write<T>();
      for (std::int64_t i = 0; i < to.dim(0); ++i) {
        const T* row = d.data<T>() + kept[static_cast<std::size_t>(i)] * classes;
        const T* s = slack.data<T>() + i * classes;
        for (std::int64_t j = 0; j < classes; ++j) y[i * classes + j] += s[j] * row[j];
      }
    });
  };
  Tensor y = logits.clone();
  add_raised(y, distances);

  auto vjp = [slack, kept, classes](const Tensor& dy, Needs needs) -> Grads<2> {
    if (!needs(1)) return {dy, Tensor()};
    Tensor grad = Tensor::zeros({classes, classes}, dy.dtype());
    dispatch_float(dy.dtype(), "emma_logits", [&]<class T>() {
      T* g = grad.write<T>();
      for (std::int64_t i = 0; i < dy.dim(0); ++i) {
        T* row = g + kept[static_cast<std::size_t>(i)] * classes;
        const T* s = slack.data<T>() + i * classes;
        const T* up = dy.data<T>() + i * classes;
        for (std::int64_t j = 0; j < classes; ++j) row[j] += s[j] * up[j];
      }
    });
    return {dy, grad};
  };
  auto jvp = [shape = y.shape(), add_raised](const Tangents<2>& dx) {
    Tensor dy = dx[0] ? dx[0].clone() : Tensor::zeros(shape, dx[1].dtype());
    if (dx[1]) add_raised(dy, dx[1]);
    return dy;
  };
  return record(emma_logits_op, std::move(y), {logits_var, distances_var}, {slack}, std::move(vjp),
                std::move(jvp));
}

}  // namespace isotape
