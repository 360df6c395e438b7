#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <isotape/core/random.hpp>
#include <isotape/core/tensor.hpp>
#include <isotape/datasets/dataset.hpp>

namespace isotape {

/// One step's images and labels.
struct Batch {
  Tensor images;                     ///< [n, H, W, C], f32; u8 pixels scaled to [0, 1]
  std::vector<std::int32_t> labels;  ///< n class indices
  std::int64_t epoch = 0;
  std::int64_t index = 0;  ///< within the epoch
};

struct LoaderOptions {
  std::int64_t batch = 128;       ///< images per batch; the last one of an epoch may have fewer
  bool shuffle = true;            ///< a new order each epoch
  std::int64_t crop_padding = 0;  ///< zeros around the image before a random crop to its own size
  bool flip = false;              ///< mirror left and right with probability 1/2
  /// A further change of one image [H, W, C], with a generator of its own; called from the
  /// loader's thread.
  std::function<void(std::span<float> image, Rng& rng)> transform = {};
};

/// An endless sequence of batches, epoch after epoch, prepared by one background thread while the
/// step runs. Order and augmentation are functions of (rng's key, epoch, image) alone: they depend
/// neither on threads nor on where the sequence was entered, so that a run resumes bit for bit with
/// seek(). Batches are built in recycled memory.
class BatchLoader {
 public:
  /// Where a batch stands in the sequence.
  struct Position {
    std::int64_t epoch = 0;
    std::int64_t batch = 0;
    friend bool operator==(const Position&, const Position&) = default;
  };

  /// @throws ValueError  for a batch size < 1, a negative padding or one beyond the image, or an
  ///                     empty split
  BatchLoader(Split split, const Rng& rng, LoaderOptions options = {});
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;
  BatchLoader(BatchLoader&&) noexcept;
  BatchLoader& operator=(BatchLoader&&) noexcept;
  ~BatchLoader();

  std::int64_t batches_per_epoch() const;
  /// Of the batch that next() gives next: what to store, to resume.
  Position position() const;
  /// Continues from there. @throws ValueError  if there is no such batch
  void seek(Position position);
  /// The next batch, waiting for it if need be. The reference is good until the next call; images
  /// that are kept longer stay valid, they are then not recycled.
  /// Whatever the thread failed with (a transform that throws) is thrown here.
  const Batch& next();

 private:
  struct Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace isotape
