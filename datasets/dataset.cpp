#include <isotape/datasets/dataset.hpp>

#include <algorithm>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

Split select(const Split& split, const std::vector<std::int64_t>& rows) {
  Split result;
  result.images = Tensor(split.images.shape().with(0, static_cast<std::int64_t>(rows.size())),
                         split.images.dtype());
  const std::span<const std::byte> source = split.images.bytes();
  const std::span<std::byte> target = result.images.write_bytes();
  const std::size_t stride = source.size() / split.labels.size();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(source.begin() + rows[i] * stride, stride, target.begin() + i * stride);
    result.labels.push_back(split.labels[rows[i]]);
  }
  return result;
}

}  // namespace

Tensor Split::pixels(std::int64_t begin, std::int64_t end) const {
  Tensor selected = images.rows(begin, end);
  if (selected.dtype() != DType::u8) return selected;
  Tensor result(selected.shape());
  std::transform(selected.data<std::uint8_t>(), selected.data<std::uint8_t>() + selected.size(),
                 result.write<float>(),
                 [](std::uint8_t pixel) { return static_cast<float>(pixel) / 255.0F; });
  return result;
}

Shape Dataset::image_shape() const {
  return {train.images.dim(1), train.images.dim(2), train.images.dim(3)};
}

std::pair<Split, Split> hold_out(const Split& split, std::int64_t count, const Rng& rng) {
  require<ValueError>(1 <= count && count < split.size(), "hold_out: expected 1 to ",
                      split.size() - 1, " images to set aside, got ", count);
  std::vector<std::int64_t> aside = rng.stream("hold out").permutation(split.size());
  std::vector<std::int64_t> kept(aside.begin() + count, aside.end());
  aside.resize(static_cast<std::size_t>(count));
  std::sort(aside.begin(), aside.end());
  std::sort(kept.begin(), kept.end());
  return {select(split, kept), select(split, aside)};
}

void check_split(std::string_view name, const Split& split, int classes) {
  const Tensor& images = split.images;
  require<ValueError>(images && images.rank() == 4, name, ": expected images [N, H, W, C], got ",
                      images.shape());
  require<ValueError>(images.dtype() != DType::f64, name,
                      ": expected images of u8 or f32, got f64");
  require<ValueError>(images.size() > 0, name, ": expected at least one pixel, got images ",
                      images.shape());
  require<ValueError>(images.dim(0) == split.size(), name, ": expected ", images.dim(0),
                      " labels, one for each image, got ", split.size());
  require<ValueError>(images.dtype() == DType::u8 || all_finite(images), name,
                      ": expected finite pixels, got NaN or infinity");
  for (std::size_t i = 0; i < split.labels.size(); ++i) {
    require<ValueError>(0 <= split.labels[i] && split.labels[i] < classes, name,
                        ": expected labels in 0..", classes - 1, ", got ", split.labels[i],
                        " for image ", i);
  }
}

}  // namespace isotape
