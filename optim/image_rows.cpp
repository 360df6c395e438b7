#include <isotape/optim/image_rows.hpp>

#include <cstring>
#include <numeric>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

std::size_t row_bytes(const Tensor& x) {
  return static_cast<std::size_t>(x.shape().inner(0)) * size_of(x.dtype());
}

void check(const Tensor& x, std::span<const std::int64_t> rows) {
  require<ShapeError>(x.rank() >= 1, "image_rows: expected [N, ...], got ", x.shape());
  for (const std::int64_t row : rows) {
    require<ShapeError>(0 <= row && row < x.dim(0), "image_rows: expected rows in 0..",
                        x.dim(0) - 1, ", got ", row);
  }
}

}  // namespace

Tensor gather_rows(const Tensor& x, std::span<const std::int64_t> rows) {
  check(x, rows);
  Tensor taken(x.shape().with(0, static_cast<std::int64_t>(rows.size())), x.dtype());
  if (taken.size() == 0) return taken;
  const std::size_t bytes = row_bytes(x);
  std::byte* to = taken.write_bytes().data();
  for (const std::int64_t row : rows) {
    std::memcpy(to, x.bytes().data() + static_cast<std::size_t>(row) * bytes, bytes);
    to += bytes;
  }
  return taken;
}

void put_rows(Tensor& x, std::span<const std::int64_t> rows, const Tensor& source) {
  check(x, rows);
  require_same("put_rows", source,
               Tensor(x.shape().with(0, static_cast<std::int64_t>(rows.size())), x.dtype()));
  if (source.size() == 0) return;
  const std::size_t bytes = row_bytes(x);
  std::byte* const to = x.write_bytes().data();
  const std::byte* from = source.bytes().data();
  for (const std::int64_t row : rows) {
    std::memcpy(to + static_cast<std::size_t>(row) * bytes, from, bytes);
    from += bytes;
  }
}

std::vector<std::int64_t> all_rows(std::int64_t n) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

}  // namespace isotape
