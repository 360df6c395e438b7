#include <isotape/datasets/loader.hpp>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>

#include <isotape/core/error.hpp>

namespace isotape {
namespace {

// What an image is moved by: its pixel (y, x) shows the source's (y + down, x + right), zero
// beyond its borders, mirrored afterwards.
struct Window {
  std::int64_t down = 0;
  std::int64_t right = 0;
  bool mirrored = false;
};

float value_of(std::uint8_t pixel) { return static_cast<float>(pixel) / 255.0F; }
float value_of(float pixel) { return pixel; }

template <class T>
void copy_image(const T* source, const Shape& shape, const Window& window, float* target) {
  const std::int64_t height = shape[1];
  const std::int64_t width = shape[2];
  const std::int64_t channels = shape[3];
  if (window.down == 0 && window.right == 0 && !window.mirrored) {
    std::transform(source, source + height * width * channels, target,
                   [](T pixel) { return value_of(pixel); });
    return;
  }
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x, target += channels) {
      const std::int64_t from_y = y + window.down;
      const std::int64_t from_x = (window.mirrored ? width - 1 - x : x) + window.right;
      if (from_y < 0 || from_y >= height || from_x < 0 || from_x >= width) {
        std::fill_n(target, channels, 0.0F);
      } else {
        const T* pixel = source + (from_y * width + from_x) * channels;
        for (std::int64_t c = 0; c < channels; ++c) target[c] = value_of(pixel[c]);
      }
    }
  }
}

}  // namespace

// Three slots in a ring: one is held by the caller of next(), two are ahead of it. The thread
// prepares slot `produced` while produced - delivered < 2; the caller holds slot delivered - 1.
struct BatchLoader::Worker {
  struct Slot {
    Tensor buffer;  // of a full batch
    Batch batch;
  };
  static constexpr std::uint64_t slots = 3;
  static constexpr std::uint64_t ahead = slots - 1;

  Split split;
  LoaderOptions options;
  Rng shuffle;
  Rng augment;
  std::int64_t batches;
  std::int64_t batch_size;
  std::array<Slot, slots> ring;

  std::mutex mutex;  // guards what follows, up to the thread
  std::condition_variable changed;
  std::uint64_t produced = 0;
  std::uint64_t delivered = 0;
  Position next_produced;
  Position next_delivered;
  std::uint64_t generation = 0;  // advanced by seek: what was prepared before is void
  std::exception_ptr failure;
  bool stopping = false;

  std::vector<std::int64_t> order;  // of order_epoch; the thread's own
  std::int64_t order_epoch = -1;
  std::thread thread;

  Worker(Split split_, const Rng& rng, LoaderOptions options_)
      : split(std::move(split_)),
        options(std::move(options_)),
        shuffle(rng.stream("shuffle")),
        augment(rng.stream("augment")),
        batches((split.size() - 1) / options.batch + 1),
        batch_size(std::min(options.batch, split.size())) {
    for (Slot& slot : ring) slot.buffer = Tensor(split.images.shape().with(0, batch_size));
    thread = std::thread([this] { run(); });
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  Worker(Worker&&) = delete;
  Worker& operator=(Worker&&) = delete;
  ~Worker() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    changed.notify_all();
    thread.join();
  }

  Position after(Position position) const {
    if (++position.batch == batches) position = {position.epoch + 1, 0};
    return position;
  }

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return stopping || (!failure && produced - delivered < ahead); });
      if (stopping) return;
      const std::uint64_t started_in = generation;
      const Position position = next_produced;
      Slot& slot = ring[produced % slots];
      std::exception_ptr thrown;
      lock.unlock();
      try {
        prepare(slot, position);
      } catch (...) {
        thrown = std::current_exception();
      }
      lock.lock();
      if (generation != started_in) continue;
      if (thrown) {
        failure = thrown;
      } else {
        ++produced;
        next_produced = after(position);
      }
      changed.notify_all();
    }
  }

  void prepare(Slot& slot, Position position) {
    if (options.shuffle && order_epoch != position.epoch) {
      order = shuffle.stream(static_cast<std::uint64_t>(position.epoch)).permutation(split.size());
      order_epoch = position.epoch;
    }
    const std::int64_t begin = position.batch * options.batch;
    const std::int64_t count = std::min(batch_size, split.size() - begin);
    Batch& batch = slot.batch;
    batch.images = Tensor();
    if (!slot.buffer.unique()) slot.buffer = Tensor(slot.buffer.shape());  // kept by somebody
    auto* target = slot.buffer.write<float>();
    const std::int64_t image_size = slot.buffer.shape().inner(0);
    const Rng rng = augment.stream(static_cast<std::uint64_t>(position.epoch));
    batch.labels.resize(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i, target += image_size) {
      const std::int64_t image = options.shuffle ? order[begin + i] : begin + i;
      batch.labels[i] = split.labels[image];
      prepare_image(image, rng.stream(static_cast<std::uint64_t>(image)), target);
    }
    batch.images = slot.buffer.rows(0, count);
    batch.epoch = position.epoch;
    batch.index = position.batch;
  }

  void prepare_image(std::int64_t image, Rng rng, float* target) const {
    const Shape& shape = split.images.shape();
    Window window;
    if (options.crop_padding > 0) {
      const auto places = static_cast<std::uint64_t>(2 * options.crop_padding + 1);
      window.down = static_cast<std::int64_t>(rng.below(places)) - options.crop_padding;
      window.right = static_cast<std::int64_t>(rng.below(places)) - options.crop_padding;
    }
    if (options.flip) window.mirrored = rng.below(2) == 1;
    const std::int64_t size = shape.inner(0);
    if (split.images.dtype() == DType::u8) {
      copy_image(split.images.data<std::uint8_t>() + image * size, shape, window, target);
    } else {
      copy_image(split.images.data<float>() + image * size, shape, window, target);
    }
    if (options.transform) options.transform({target, static_cast<std::size_t>(size)}, rng);
  }
};

BatchLoader::BatchLoader(Split split, const Rng& rng, LoaderOptions options) {
  check_split("loader", split, std::numeric_limits<std::int32_t>::max());
  require<ValueError>(options.batch >= 1, "loader: expected a batch of at least one image, got ",
                      options.batch);
  const std::int64_t extent = std::min(split.images.dim(1), split.images.dim(2));
  require<ValueError>(0 <= options.crop_padding && options.crop_padding <= extent,
                      "loader: expected a crop padding in 0..", extent, ", got ",
                      options.crop_padding);
  worker_ = std::make_unique<Worker>(std::move(split), rng, std::move(options));
}

BatchLoader::BatchLoader(BatchLoader&&) noexcept = default;
BatchLoader& BatchLoader::operator=(BatchLoader&&) noexcept = default;
BatchLoader::~BatchLoader() = default;

std::int64_t BatchLoader::batches_per_epoch() const { return worker_->batches; }

BatchLoader::Position BatchLoader::position() const {
  const std::lock_guard lock(worker_->mutex);
  return worker_->next_delivered;
}

void BatchLoader::seek(Position position) {
  Worker& worker = *worker_;
  require<ValueError>(position.epoch >= 0 && 0 <= position.batch && position.batch < worker.batches,
                      "loader: expected a position of epoch >= 0 and batch in 0..",
                      worker.batches - 1, ", got epoch ", position.epoch, " and batch ",
                      position.batch);
  const std::lock_guard lock(worker.mutex);
  ++worker.generation;
  worker.produced = worker.delivered;
  worker.next_produced = worker.next_delivered = position;
  worker.failure = nullptr;
  worker.changed.notify_all();
}

const Batch& BatchLoader::next() {
  Worker& worker = *worker_;
  std::unique_lock lock(worker.mutex);
  worker.changed.wait(
      lock, [&] { return worker.produced > worker.delivered || worker.failure != nullptr; });
  if (worker.produced == worker.delivered) std::rethrow_exception(worker.failure);
  const Batch& batch = worker.ring[worker.delivered % Worker::slots].batch;
  ++worker.delivered;
  worker.next_delivered = worker.after(worker.next_delivered);
  worker.changed.notify_all();
  return batch;
}

}  // namespace isotape
