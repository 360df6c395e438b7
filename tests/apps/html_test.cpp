#include <doctest/doctest.h>

#include <isotape/apps/html.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/html");

TEST_CASE("escaped: no character of HTML survives") {
  CHECK(html::escaped("<a href=\"x\" id='y'>&</a>") ==
        "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;&lt;/a&gt;");
}

TEST_CASE("script_safe: JSON cannot end its script element") {
  CHECK(html::script_safe("[\"</script><!--\"]") == "[\"\\u003c/script\\u003e\\u003c!--\"]");
}

TEST_CASE("near_one: what is near 1 is written as its distance") {
  CHECK(html::near_one(1) == "1");
  CHECK(html::near_one(1 + 3.3e-8) == "1 + 3.3e-08");
  CHECK(html::near_one(1 - 2.5e-4) == "1 - 2.5e-04");
  CHECK(html::near_one(0.5) == "0.5");
  CHECK(html::near_one(2.314159) == "2.3142");
}

TEST_CASE("number, percent: fixed forms, and a dash for none") {
  CHECK(html::number(0.123456) == "0.1235");
  CHECK(html::number(std::nullopt) == "-");
  CHECK(html::percent(96.149) == "96.15 %");
}

TEST_CASE("range_bar: stays within its width and shows equal values") {
  const std::string bar = html::range_bar(1, 1, 1);
  CHECK(bar.find("x=\"118.0\" y=\"3\" width=\"2.0\"") != std::string::npos);
}

TEST_SUITE_END();
