// The test program: doctest's options, and one of its own.
//
//   --require-gradchecks  after the run, fails for every registered op that no gradcheck ran on
//                         (but those named test_*, which the tests define for themselves)
//
// A filter that selects no test case fails, so that a misspelled suite cannot pass.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <isotape/core/op.hpp>

namespace {

unsigned selected_cases = 0;

class CountCases : public doctest::IReporter {
 public:
  explicit CountCases(const doctest::ContextOptions& /*options*/) {}
  void report_query(const doctest::QueryData& /*data*/) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& stats) override {
    selected_cases = stats.numTestCasesPassingFilters;
  }
  void test_case_start(const doctest::TestCaseData& /*data*/) override {}
  void test_case_reenter(const doctest::TestCaseData& /*data*/) override {}
  void test_case_end(const doctest::CurrentTestCaseStats& /*stats*/) override {}
  void test_case_exception(const doctest::TestCaseException& /*exception*/) override {}
  void subcase_start(const doctest::SubcaseSignature& /*signature*/) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData& /*data*/) override {}
  void log_message(const doctest::MessageData& /*data*/) override {}
  void test_case_skipped(const doctest::TestCaseData& /*data*/) override {}
};
REGISTER_LISTENER("count", 1, CountCases);

std::vector<std::string> ops_without_gradcheck() {
  const auto& checked = isotape::gradchecked_ops();
  std::vector<std::string> missing;
  for (const std::string_view op : isotape::registered_ops()) {
    const bool of_a_test = op.substr(0, 5) == "test_";
    if (!of_a_test && std::find(checked.begin(), checked.end(), op) == checked.end()) {
      missing.emplace_back(op);
    }
  }
  std::sort(missing.begin(), missing.end());
  return missing;
}

bool every_op_is_gradchecked() {
  const std::vector<std::string> missing = ops_without_gradcheck();
  if (missing.empty()) return true;
  std::cerr << "tests: expected a gradcheck of every registered op, got none of:";
  for (const std::string& op : missing) std::cerr << ' ' << op;
  std::cerr << '\n';
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  doctest::Context context(argc, argv);
  int status = context.run();
  if (context.shouldExit()) return status;  // --help, --list-test-cases
  if (selected_cases == 0) {
    std::cerr << "tests: expected the filters to select a test case, got none\n";
    status = EXIT_FAILURE;
  }
  const bool required =
      std::find(arguments.begin(), arguments.end(), "--require-gradchecks") != arguments.end();
  if (required && !every_op_is_gradchecked()) status = EXIT_FAILURE;
  return status;
}
