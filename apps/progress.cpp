#include <isotape/apps/progress.hpp>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iostream>

namespace isotape {
namespace {

constexpr double seconds_between_drawings = 0.1;
constexpr double seconds_between_lines = 5;
constexpr double memory_seconds = 5;  // of the averages

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != 0;
}

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string rate(double per_second) {
  if (per_second >= 1e4) return fmt::format("{:.1f}k", per_second / 1e3);
  return fmt::format("{:.0f}", per_second);
}

}  // namespace

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::ceil(std::clamp(seconds, 0.0, 3.6e8)));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

Progress::Style progress_style(bool quiet) {
  if (quiet) return Progress::Style::quiet;
  const char* terminal = std::getenv("TERM");
  const bool dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  if (::isatty(STDERR_FILENO) == 0 || dumb) return Progress::Style::plain;
  return is_set("NO_COLOR") ? Progress::Style::terminal : Progress::Style::colour;
}

Progress::Progress(std::ostream& os, Style style, std::function<double()> now,
                   std::function<int()> width)
    : os_(os), style_(style), now_(std::move(now)), width_(std::move(width)) {
  pause();
}

Progress::Progress(bool quiet)
    : Progress(std::cerr, progress_style(quiet), steady_seconds, terminal_width) {}

void Progress::step(const Step& step) {
  advance({fmt::format("epoch {}/{}", step.epoch, step.epochs), step.step, step.steps, 1,
           step.images, fmt::format("loss {:.4g}", step.loss),
           (step.epochs - step.epoch) * step.steps});
}

void Progress::advance(const Work& work) {
  if (style_ == Style::quiet) return;
  const double now = now_();
  // Averages forget exponentially with time, so that fast steps are averaged over many.
  const double elapsed = std::max(now - last_step_, 1e-9);
  const double weight = seconds_ == 0 ? 1 : 1 - std::exp(-elapsed / memory_seconds);
  const auto per = [elapsed](std::int64_t count) {
    return elapsed / static_cast<double>(std::max<std::int64_t>(count, 1));
  };
  seconds_ += weight * (per(work.units) - seconds_);
  per_image_ += weight * (per(work.images) - per_image_);
  last_step_ = now;

  const bool live = style_ != Style::plain;
  const double interval = live ? seconds_between_drawings : seconds_between_lines;
  if (now - last_draw_ < interval && !(live && work.done == work.total)) return;
  last_draw_ = now;
  draw(work);
}

std::string Progress::text(const Work& work, int bar_width) const {
  const double part = static_cast<double>(work.done) / static_cast<double>(work.total);
  const auto left = static_cast<double>(work.total + work.later - work.done);
  std::string bar;
  if (bar_width > 0) {
    const auto full = static_cast<std::size_t>(std::lround(part * bar_width));
    const std::string done(full, '#');
    bar = '[' + (style_ == Style::colour ? "\x1b[36m" + done + "\x1b[0m" : done) +
          std::string(static_cast<std::size_t>(bar_width) - full, '-') + "]  ";
  }
  const std::string speed = work.images > 0 ? rate(1 / per_image_) + " images/s  " : "";
  return fmt::format("{}  {}{:3.0f}%  {}/{}  {}  {}ETA {}", work.what, bar, std::floor(100 * part),
                     work.done, work.total, work.note, speed, duration(left * seconds_));
}

void Progress::draw(const Work& work) {
  if (style_ == Style::plain) {
    os_ << text(work, 0) << '\n' << std::flush;
    return;
  }
  // A line that does not fit would wrap and could not be drawn over: the bar gives way, then the
  // text is cut.
  const int width = std::max(width_() - 1, 0);
  std::string line = text(work, 0);
  const int room = width - static_cast<int>(line.size()) - 4;
  if (room >= 5)
    line = text(work, std::min(room, 24));
  else
    line.resize(std::min(line.size(), static_cast<std::size_t>(width)));
  os_ << '\r' << line << "\x1b[K" << std::flush;
  drawn_ = true;
}

void Progress::line(std::string_view text) {
  if (style_ == Style::quiet) return;
  if (drawn_) os_ << "\r\x1b[K";
  drawn_ = false;
  os_ << text << '\n' << std::flush;
}

void Progress::pause() {
  if (drawn_) os_ << "\r\x1b[K" << std::flush;
  drawn_ = false;
  last_step_ = now_();
  if (last_draw_ < 0) last_draw_ = last_step_;
}

}  // namespace isotape
