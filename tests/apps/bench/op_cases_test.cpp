#include <doctest/doctest.h>
#include <map>
#include <set>
#include <support/needs_bf16.hpp>

#include <isotape/apps/bench/op_cases.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/bench/op_cases");

TEST_CASE("op_cases: every operation has a case, each case runs, and arithmetic or bytes count") {
  std::set<std::string_view> seen;
  const std::vector<OpCase> cases = op_cases(2);
  for (const OpCase& one : cases) {
    CAPTURE(one.op);
    CAPTURE(one.operands);
    seen.insert(one.op);
    const TaskResult result = measure_interleaved({one.task}, 1, 0).front();
    CHECK((one.forward_bytes > 0) != (result.both.flops.total() > 0));
    CHECK((one.backward.empty() || one.backward_bytes > 0 || result.backward.flops.total() > 0));
    CHECK((!one.forward.empty() || !one.backward.empty()));
  }
  const std::vector<std::string_view> names = op_names();
  CHECK(seen == std::set<std::string_view>(names.begin(), names.end()));
}

TEST_CASE("op_cases: passes of a convolution count alike, those of a dense layer double") {
  for (const OpCase& one : op_cases(2)) {
    if (one.op != "conv2d" && one.op != "affine") continue;
    CAPTURE(one.operands);
    const TaskResult result = measure_interleaved({one.task}, 1, 0).front();
    const double factor = one.op == "affine" ? 2 : 1;
    CHECK(result.backward.flops.total() == factor * result.forward.flops.total());
    if (one.operands.ends_with("bcop-small conv2")) {
      CHECK(result.forward.flops.convolution == 2.0 * 2 * 7 * 7 * 32 * (2 * 2 * 64));
    }
    if (one.operands.ends_with("bcop-small fc1")) {
      CHECK(result.forward.flops.f32 == 2.0 * 2 * 1568 * 100);
    }
  }
}

TEST_CASE("op_cases: conv2d and affine in each precision, all else once") {
  if (lacks_bf16()) return;
  std::map<std::string, int> rows;
  double flops = 0;
  for (const OpCase& one : op_cases(2, {Precision::full, Precision::bf16})) {
    const bool is_bf16 = one.operands.ends_with(", bf16");
    rows[one.op] += is_bf16 ? 100 : 1;
    if (is_bf16) flops += measure_interleaved({one.task}, 1, 0).front().both.flops.bf16;
  }
  CHECK(rows["conv2d"] == 12 + 1200);
  CHECK(rows["affine"] == 4 + 400);
  CHECK(rows["adam"] == 1);
  CHECK(flops > 0);
}

TEST_CASE("op_cases: bytes are those of the operands, read and written once") {
  std::map<std::string, OpCase> by_op;
  for (const OpCase& one : op_cases(2)) by_op.emplace(one.op, one);
  CHECK(by_op.at("max_min").forward_bytes == 2.0 * 4 * 2 * 8 * 8 * 128);
  CHECK(by_op.at("pad").forward_bytes == 4.0 * 2 * (32 * 32 + 34 * 34) * 3);
  CHECK(by_op.at("adam").forward_bytes == 7.0 * 4 * 512 * 4096);
}

TEST_SUITE_END();
