#include <doctest/doctest.h>
#include <algorithm>
#include <string_view>
#include <vector>

#include <isotape/core/op.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("core/op");

TEST_CASE("op: construction registers the name, once") {
  const Op first("test_registered_twice");
  const Op second("test_registered_twice");
  CHECK(first.name() == "test_registered_twice");
  CHECK(second.name() == first.name());
  const auto& names = registered_ops();
  CHECK(std::count(names.begin(), names.end(), "test_registered_twice") == 1);
}

TEST_CASE("op: a gradcheck is noted once") {
  const auto noted = [] {
    const auto& names = gradchecked_ops();
    return std::count(names.begin(), names.end(), "test_noted");
  };
  CHECK(noted() == 0);
  note_gradchecked("test_noted");
  note_gradchecked("test_noted");
  CHECK(noted() == 1);
}

TEST_SUITE_END();
