#include <isotape/ops/reshape.hpp>

#include <algorithm>
#include <numeric>
#include <sstream>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

const Op reshape_op("reshape");
const Op permute_op("permute");
const Op concat_op("concat");
const Op slice_op("slice");

constexpr std::int64_t grain = 1 << 15;
constexpr std::int64_t tile = 16;  // one cache line of floats

using Order = std::vector<int>;

// Copies `rows` runs of `run` elements, between rows of two pitches.
template <class T>
void copy_rows(std::int64_t rows, std::int64_t run, const T* from, std::int64_t from_pitch, T* to,
               std::int64_t to_pitch) {
  parallel_for(rows, grain / std::max<std::int64_t>(run, 1) + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   std::copy_n(from + i * from_pitch, run, to + i * to_pitch);
                 }
               });
}

// An axis of y: its extent, and the steps along it in the elements of x and of y.
struct Axis {
  std::int64_t extent, from, to;
};

// The axes of y, outermost first, as few as will do: those of extent 1 are dropped, neighbours that
// are neighbours in x too are merged.
std::vector<Axis> axes_of(const Shape& x, std::span<const int> order) {
  std::vector<Axis> axes;
  for (const int axis : order) {
    const std::int64_t extent = x[axis];
    const std::int64_t step = x.inner(axis);
    if (extent == 1) continue;
    if (!axes.empty() && axes.back().from == extent * step) {
      axes.back() = {axes.back().extent * extent, step, 0};
    } else {
      axes.push_back({extent, step, 0});
    }
  }
  std::int64_t step = 1;
  for (std::size_t i = axes.size(); i-- > 0; step *= axes[i].extent) axes[i].to = step;
  return axes;
}

// Where entry `index` of the array spanned by some axes lies in x and in y.
Axis locate(const std::vector<Axis>& axes, std::int64_t index) {
  Axis place{0, 0, 0};
  for (std::size_t i = axes.size(); i-- > 0; index /= axes[i].extent) {
    const std::int64_t step = index % axes[i].extent;
    place.from += step * axes[i].from;
    place.to += step * axes[i].to;
  }
  return place;
}

std::int64_t count(const std::vector<Axis>& axes) {
  std::int64_t entries = 1;
  for (const Axis& axis : axes) entries *= axis.extent;
  return entries;
}

// Both have the same innermost axis: copies its runs.
template <class T>
void copy_runs(const T* from, T* to, std::vector<Axis> axes) {
  const std::int64_t run = axes.back().extent;
  axes.pop_back();
  parallel_for(count(axes), grain / run + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Axis place = locate(axes, i);
      std::copy_n(from + place.from, run, to + place.to);
    }
  });
}

// They have not: transposes the planes of the two innermost axes, tile by tile.
template <class T>
void transpose_planes(const T* from, T* to, std::vector<Axis> axes) {
  const Axis column = axes.back();  // contiguous in y
  axes.pop_back();
  const auto innermost =
      std::find_if(axes.begin(), axes.end(), [](const Axis& axis) { return axis.from == 1; });
  const Axis row = *innermost;  // contiguous in x
  axes.erase(innermost);
  const std::int64_t bands = (row.extent + tile - 1) / tile;
  const auto transpose_band = [&](std::int64_t job) {
    const Axis place = locate(axes, job / bands);
    const std::int64_t i0 = job % bands * tile;
    const std::int64_t i1 = std::min(i0 + tile, row.extent);
    for (std::int64_t j0 = 0; j0 < column.extent; j0 += tile) {
      const std::int64_t j1 = std::min(j0 + tile, column.extent);
      for (std::int64_t i = i0; i < i1; ++i) {
        const T* source = from + place.from + i;
        T* target = to + place.to + i * row.to;
        for (std::int64_t j = j0; j < j1; ++j) target[j] = source[j * column.from];
      }
    }
  };
  parallel_for(count(axes) * bands, grain / (tile * column.extent) + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t job = begin; job < end; ++job) transpose_band(job);
               });
}

Tensor permuted(const Tensor& x, const Order& order) {
  Shape shape = x.shape();
  for (int i = 0; i < x.rank(); ++i) shape = shape.with(i, x.dim(order[i]));
  const std::vector<Axis> axes = axes_of(x.shape(), order);
  if (axes.size() <= 1 || x.size() == 0) return x.reshaped(shape);  // the order does not change
  note_copy();
  Tensor y(shape, x.dtype());
  dispatch_float(x.dtype(), "permute", [&]<class T>() {
    if (axes.back().from == 1) {
      copy_runs(x.data<T>(), y.write<T>(), axes);
    } else {
      transpose_planes(x.data<T>(), y.write<T>(), axes);
    }
  });
  return y;
}

int checked_axis(const Op& op, const Shape& shape, int axis) {
  require<ShapeError>(-shape.rank() <= axis && axis < shape.rank(), op.name(),
                      ": expected an axis of ", shape, ", got ", axis);
  return axis < 0 ? axis + shape.rank() : axis;
}

// y[.., to .. to + extent - 1, ..] = x[.., from .. from + extent - 1, ..] along an axis; the other
// extents agree.
void copy_slab(const Op& op, const Tensor& x, std::int64_t from, Tensor& y, std::int64_t to,
               int axis, std::int64_t extent) {
  dispatch_float(x.dtype(), op.name(), [&]<class T>() {
    const std::int64_t inner = x.shape().inner(axis);
    copy_rows(x.shape().outer(axis), extent * inner, x.data<T>() + from * inner,
              x.dim(axis) * inner, y.write<T>() + to * inner, y.dim(axis) * inner);
  });
}

Tensor sliced(const Op& op, const Tensor& x, int axis, std::int64_t begin, std::int64_t end) {
  if (axis == 0) return x.rows(begin, end);
  note_copy();
  Tensor y(x.shape().with(axis, end - begin), x.dtype());
  copy_slab(op, x, begin, y, 0, axis, end - begin);
  return y;
}

// The order that undoes `order`.
Order inverse_of(const Order& order, const Shape& shape) {
  const auto rank = static_cast<std::size_t>(shape.rank());
  Order inverse(rank, -1);
  std::ostringstream text;
  for (std::size_t i = 0; i < order.size(); ++i) {
    text << (i > 0 ? ", " : "") << order[i];
    if (0 <= order[i] && order[i] < shape.rank()) inverse.at(order[i]) = static_cast<int>(i);
  }
  require<ShapeError>(
      order.size() == rank && std::find(inverse.begin(), inverse.end(), -1) == inverse.end(),
      "permute: expected an order of the axes of ", shape, ", got [", text.str(), "]");
  return inverse;
}

}  // namespace

Var reshape(const Var& x_var, const Shape& shape) {
  const Tensor& x = x_var.value();
  return record(
      reshape_op, x.reshaped(shape), {x_var}, {},
      [from = x.shape()](const Tensor& dy, Needs) -> Grads<1> { return {dy.reshaped(from)}; },
      [shape](const Tangents<1>& dx) { return dx[0].reshaped(shape); });
}

Var permute(const Var& x_var, std::span<const int> axes) {
  const Tensor& x = x_var.value();
  const Order order(axes.begin(), axes.end());
  const Order inverse = inverse_of(order, x.shape());
  return record(
      permute_op, permuted(x, order), {x_var}, {},
      [inverse](const Tensor& dy, Needs) -> Grads<1> { return {permuted(dy, inverse)}; },
      [order](const Tangents<1>& dx) { return permuted(dx[0], order); });
}

Var permute(const Var& x, std::initializer_list<int> order) {
  return permute(x, std::span<const int>(order.begin(), order.size()));
}

Var transpose(const Var& x) {
  const int rank = x.shape().rank();
  require<ShapeError>(rank >= 2, "transpose: expected a matrix or a batch of them, got ",
                      x.shape());
  Order order(static_cast<std::size_t>(rank));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  return permute(x, order);
}

Var concat(const Vars& xs, int signed_axis) {
  require<ShapeError>(!xs.empty(), "concat: expected at least one value");
  const Tensor& first = xs[0].value();
  const int axis = checked_axis(concat_op, first.shape(), signed_axis);
  std::vector<std::int64_t> begins{0};  // of each x in y, and the end
  for (const Var& x : xs) {
    require<ShapeError>(
        x.shape().rank() == first.rank() && x.shape().with(axis, first.dim(axis)) == first.shape(),
        "concat: expected equal shapes but for axis ", axis, ", got ", first.shape(), " and ",
        x.shape());
    require<ShapeError>(x.dtype() == first.dtype(), "concat: expected equal element types, got ",
                        first.dtype(), " and ", x.dtype());
    begins.push_back(begins.back() + x.dim(axis));
  }
  const auto joined = [axis, begins, shape = first.shape().with(axis, begins.back()),
                       dtype = first.dtype()](auto&& part) {
    note_copy();
    Tensor y(shape, dtype);
    for (std::size_t i = 0; i + 1 < begins.size(); ++i) {
      const Tensor x = part(i);
      copy_slab(concat_op, x, 0, y, begins[i], axis, begins[i + 1] - begins[i]);
    }
    return y;
  };

  auto vjp = [axis, begins](const Tensors& dys, Needs needs) {
    Tensors grads(begins.size() - 1);
    for (std::size_t i = 0; i < grads.size(); ++i) {
      if (needs(i)) grads[i] = sliced(concat_op, dys[0], axis, begins[i], begins[i + 1]);
    }
    return grads;
  };
  auto jvp = [axis, begins, joined, shape = first.shape(),
              dtype = first.dtype()](const Tensors& dxs) -> Tensors {
    return {joined([&](std::size_t i) {
      return dxs[i] ? dxs[i] : Tensor::zeros(shape.with(axis, begins[i + 1] - begins[i]), dtype);
    })};
  };
  Tensor y = joined([&](std::size_t i) { return xs[i].value(); });
  return record_many(concat_op, {std::move(y)}, xs, {}, std::move(vjp), std::move(jvp))[0];
}

Var slice(const Var& x_var, int signed_axis, std::int64_t begin, std::int64_t end) {
  const Tensor& x = x_var.value();
  const int axis = checked_axis(slice_op, x.shape(), signed_axis);
  require<ShapeError>(0 <= begin && begin <= end && end <= x.dim(axis),
                      "slice: expected 0 <= begin <= end <= ", x.dim(axis), " of axis ", axis,
                      " of ", x.shape(), ", got ", begin, " and ", end);
  auto vjp = [axis, begin, end, shape = x.shape()](const Tensor& dy, Needs) -> Grads<1> {
    Tensor grad = Tensor::zeros(shape, dy.dtype());
    copy_slab(slice_op, dy, 0, grad, begin, axis, end - begin);
    return {grad};
  };
  auto jvp = [axis, begin, end](const Tangents<1>& dx) {
    return sliced(slice_op, dx[0], axis, begin, end);
  };
  return record(slice_op, sliced(slice_op, x, axis, begin, end), {x_var}, {}, std::move(vjp),
                std::move(jvp));
}

}  // namespace isotape
