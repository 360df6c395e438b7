#include <doctest/doctest.h>
#include <limits>
#include <sstream>

#include <isotape/apps/progress.hpp>

using namespace isotape;

namespace {

// A progress with a clock and a terminal of its own.
struct Bench {
  explicit Bench(Progress::Style style)
      : progress(
            os, style, [this] { return now; }, [this] { return width; }) {}

  void step(std::int64_t step, double seconds, double loss = 0.5) {
    now += seconds;
    progress.step(
        {.epoch = 2, .epochs = 3, .step = step, .steps = 10, .images = 100, .loss = loss});
  }
  std::string take() {
    std::string text = os.str();
    os.str("");
    return text;
  }

  std::ostringstream os;
  double now = 100;
  int width = 100;
  Progress progress;
};

}  // namespace

TEST_SUITE_BEGIN("apps/progress");

TEST_CASE("progress: a plain line every five seconds, without control codes") {
  Bench bench(Progress::Style::plain);
  bench.step(1, 1);
  CHECK(bench.take().empty());
  bench.step(2, 4);
  CHECK(bench.take().starts_with("epoch 2/3   20%  2/10  loss 0.5  "));
  bench.step(3, 4.9);
  CHECK(bench.take().empty());
  bench.progress.line("epoch 2: done");
  CHECK(bench.take() == "epoch 2: done\n");
}

TEST_CASE("progress: rate and time left follow the steps") {
  Bench bench(Progress::Style::plain);
  for (int i = 1; i <= 5; ++i) bench.step(i, 1);
  // Five of the epoch's ten steps remain and one epoch: 15 steps of 1 s; 100 images a step.
  CHECK(bench.take() == "epoch 2/3   50%  5/10  loss 0.5  100 images/s  ETA 0:15\n");
}

TEST_CASE("progress: other work tells what it is, and how much of it is done") {
  Bench bench(Progress::Style::plain);
  bench.now += 10;
  bench.progress.advance({.what = "pgd at 0.3",
                          .done = 500,
                          .total = 2000,
                          .units = 500,
                          .images = 500,
                          .note = "7 broken"});
  CHECK(bench.take() == "pgd at 0.3   25%  500/2000  7 broken  50 images/s  ETA 0:30\n");
}

TEST_CASE("progress: a pause does not count as a slow step") {
  Bench bench(Progress::Style::plain);
  bench.step(1, 1);
  bench.now += 60;
  bench.progress.pause();
  bench.step(2, 1);
  CHECK(bench.take() == "epoch 2/3   20%  2/10  loss 0.5  100 images/s  ETA 0:18\n");
}

TEST_CASE("progress: a terminal's line is drawn over and never wraps") {
  Bench bench(Progress::Style::terminal);
  bench.step(5, 1);
  std::string line = bench.take();
  CHECK(line.starts_with("\repoch 2/3  [############------------]   50%"));
  CHECK(line.ends_with("\x1b[K"));
  bench.step(6, 0.01);
  CHECK(bench.take().empty());
  bench.width = 40;
  bench.step(7, 1);
  line = bench.take();
  CHECK(line.size() <= 1 + 39 + 3);
  bench.progress.line("done");
  CHECK(bench.take() == "\r\x1b[Kdone\n");
}

TEST_CASE("progress: colour only where it is wanted; quiet prints nothing") {
  Bench plain(Progress::Style::terminal);
  plain.step(5, 1);
  CHECK(plain.take().find("\x1b[36m") == std::string::npos);
  Bench colour(Progress::Style::colour);
  colour.step(5, 1);
  CHECK(colour.take().find("\x1b[36m") != std::string::npos);
  Bench quiet(Progress::Style::quiet);
  quiet.step(10, 100);
  quiet.progress.line("x");
  quiet.progress.pause();
  CHECK(quiet.take().empty());
}

TEST_CASE("progress: a loss that is not a number is shown as it is") {
  Bench bench(Progress::Style::plain);
  bench.step(1, 6, std::numeric_limits<double>::quiet_NaN());
  CHECK(bench.take().find("loss nan") != std::string::npos);
}

TEST_CASE("duration: minutes, then hours") {
  CHECK(duration(0) == "0:00");
  CHECK(duration(75) == "1:15");
  CHECK(duration(3675) == "1:01:15");
  CHECK(duration(0.2) == "0:01");
}

TEST_SUITE_END();
