#include <isotape/ops/cyclic_shift.hpp>

#include <algorithm>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

const Op cyclic_shift_op("cyclic_shift");

// The channels 0..C-1 as runs in order, with the ones that stay as runs of their own.
std::vector<ChannelShift> complete(std::vector<ChannelShift> runs, std::int64_t channels) {
  std::sort(runs.begin(), runs.end(),
            [](const ChannelShift& a, const ChannelShift& b) { return a.begin < b.begin; });
  std::vector<ChannelShift> all;
  std::int64_t at = 0;
  for (const ChannelShift& run : runs) {
    require<ValueError>(at <= run.begin && run.begin <= run.end && run.end <= channels,
                        "cyclic_shift: expected disjoint runs within ", channels, " channels, got ",
                        run.begin, "..", run.end);
    if (at < run.begin) all.push_back({at, run.begin, 0, 0});
    if (run.begin < run.end) all.push_back(run);
    at = run.end;
  }
  if (at < channels) all.push_back({at, channels, 0, 0});
  return all;
}

std::int64_t wrapped(std::int64_t i, std::int64_t n) { return ((i % n) + n) % n; }

Tensor shifted(const Tensor& x, const std::vector<ChannelShift>& runs, int direction) {
  const std::int64_t h = x.dim(1);
  const std::int64_t w = x.dim(2);
  const std::int64_t c = x.dim(3);
  Tensor y(x.shape(), x.dtype());
  dispatch_float(x.dtype(), "cyclic_shift", [&]<class T>() {
    const T* from = x.data<T>();
    T* to = y.write<T>();
    parallel_for(x.dim(0) * h, 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const std::int64_t image = row / h;
        for (std::int64_t j = 0; j < w; ++j) {
          for (const ChannelShift& run : runs) {
            const std::int64_t i = wrapped(row % h - direction * run.dy, h);
            const T* source = from + ((image * h + i) * w + wrapped(j - direction * run.dx, w)) * c;
            std::copy(source + run.begin, source + run.end, to + (row * w + j) * c + run.begin);
          }
        }
      }
    });
  });
  return y;
}

}  // namespace

Var cyclic_shift(const Var& x, const std::vector<ChannelShift>& runs) {
  require<ShapeError>(x.value().rank() == 4, "cyclic_shift: expected images [N, H, W, C], got ",
                      x.shape());
  const auto all = complete(runs, x.dim(3));
  auto vjp = [all](const Tensor& dy, Needs) -> Grads<1> { return {shifted(dy, all, -1)}; };
  auto jvp = [all](const Tangents<1>& dx) { return shifted(dx[0], all, 1); };
  return record(cyclic_shift_op, shifted(x.value(), all, 1), {x}, {}, vjp, jvp);
}

}  // namespace isotape
