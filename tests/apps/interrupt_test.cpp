#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <initializer_list>

#include <isotape/apps/interrupt.hpp>

using namespace isotape;

namespace {

// Exit code of f in a process of its own, where signals do no harm; 1000 if a signal ended it.
template <class F>
int exit_code_of(F&& f) {
  const pid_t child = ::fork();
  if (child == 0) {
    f();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

}  // namespace

TEST_SUITE_BEGIN("apps/interrupt");

TEST_CASE("interrupt: the first signal raises a flag, whichever it is") {
  for (const int signal : {SIGINT, SIGTERM}) {
    CHECK(exit_code_of([&] {
            catch_interrupts();
            const bool before = is_interrupted();
            ::raise(signal);
            ::_exit(!before && is_interrupted() ? 7 : 8);
          }) == 7);
  }
  CHECK_FALSE(is_interrupted());
}

TEST_CASE("interrupt: the second signal ends the process with code 130") {
  CHECK(exit_code_of([] {
          catch_interrupts();
          ::raise(SIGINT);
          ::raise(SIGTERM);
        }) == 130);
}

TEST_SUITE_END();
