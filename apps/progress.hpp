#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>

namespace isotape {

/// How a training, or other work on images, is told about while it runs. On a terminal one line is
/// drawn over and over, with a bar, the rate and the time left; elsewhere a plain line is written
/// every few seconds, without control codes.
///
///     epoch 2/5 [#########---------]  50%  235/469  loss 0.412  11.8k images/s  ETA 0:04
class Progress {
 public:
  enum class Style : std::uint8_t { quiet, plain, terminal, colour };

  /// Where the run stands after a step.
  struct Step {
    std::int64_t epoch = 0;  ///< from 1
    std::int64_t epochs = 0;
    std::int64_t step = 0;  ///< of the epoch, from 1
    std::int64_t steps = 0;
    std::int64_t images = 0;  ///< of this step
    double loss = 0;
  };

  /// Where other work stands after a batch.
  struct Work {
    std::string what;         ///< "pgd at 1.58"
    std::int64_t done = 0;    ///< units so far, of
    std::int64_t total = 0;   ///< so many
    std::int64_t units = 0;   ///< of this batch
    std::int64_t images = 0;  ///< of this batch; 0: work that is not counted in images
    std::string note;         ///< "12 broken"
    /// Units after these that are foreseen, for the time left.
    std::int64_t later = 0;
  };

  /// @param now    seconds on a steady clock
  /// @param width  of the terminal, asked for at every drawing
  Progress(std::ostream& os, Style style, std::function<double()> now, std::function<int()> width);
  /// On stderr.
  explicit Progress(bool quiet);

  /// After a step: draws if it is time to.
  void step(const Step& step);
  /// After a batch of other work.
  void advance(const Work& work);
  /// Prints a line of its own, above the drawn one.
  void line(std::string_view text);
  /// Time that is not training (an evaluation) begins: the drawn line goes, the clock is restarted.
  void pause();

 private:
  void draw(const Work& work);
  std::string text(const Work& work, int bar_width) const;

  std::ostream& os_;
  Style style_;
  std::function<double()> now_;
  std::function<int()> width_;
  double last_step_ = -1;  // when the last step ended; < 0: the clock was restarted
  double last_draw_ = -1;  // < 0: never
  double seconds_ = 0;     // per unit, averaged
  double per_image_ = 0;   // seconds per image, averaged
  bool drawn_ = false;     // a line stands on the terminal
};

/// quiet if asked for; else terminal if stderr is one that is not dumb, in colour unless $NO_COLOR
/// is set; else plain.
Progress::Style progress_style(bool quiet);

/// 75 as "1:15", 3675 as "1:01:15".
std::string duration(double seconds);

}  // namespace isotape
