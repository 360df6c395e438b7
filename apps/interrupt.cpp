#include <isotape/apps/interrupt.hpp>

#include <unistd.h>
#include <atomic>
#include <csignal>

#include <isotape/apps/errors.hpp>

namespace isotape {
namespace {

std::atomic<bool> flag{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may not lock");

void on_signal(int /*signal*/) {
  if (flag.exchange(true)) ::_exit(exit_interrupted);
}

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_signal;  // NOLINT(cppcoreguidelines-pro-type-union-access)
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // a file being read or written is not cut short
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool is_interrupted() { return flag.load(); }

}  // namespace isotape
