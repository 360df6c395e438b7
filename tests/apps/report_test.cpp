#include <doctest/doctest.h>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <support/scratch_folder.hpp>

#include <isotape/apps/report.hpp>

using namespace isotape;

namespace {

const std::string hostile = "</script><script>alert('\"&')</script><!-- {{css}}";

ReportData example(const std::string& name) {
  ReportData data;
  data.model = name;
  data.dataset = name;
  data.command = name;
  data.facts = {{name, name}};
  data.notes = {name};
  data.test_images = 10000;
  data.clean_accuracy = 96.15;
  data.eps = {"0.3", "36/255"};
  data.certified_accuracy = {92.86, 94.5};
  data.mean_radius = 1.25;
  data.bound = 1 + 2e-6;
  data.loss = {{0.5, 1.5}, {1, 0.75}};
  data.epochs = {{1, 1.0, 90, {80, 85}}, {2, 0.5, 96.15, {92.86, 94.5}}};
  data.radii = {0, 1, 2, 2};
  data.layers = {{name, name, "[10]", name, 1 - 1e-8, 1 + 1e-8, 2e-8, 1.0, 50.0, {1, 0.5}},
                 {"act", "MaxMin", "[10]", "isometry", {}, {}, {}, 1, {}, {}}};
  data.gradients = {{name, 0.25}, {"logits", 0.5}};
  data.proof = name;
  return data;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

std::string inline_json(const std::string& page) {
  const std::string_view open = R"(<script type="application/json" id="data">)";
  const std::size_t begin = page.find(open) + open.size();
  return page.substr(begin, page.find("</script>", begin) - begin);
}

}  // namespace

TEST_SUITE_BEGIN("apps/report");

TEST_CASE("report: says of which epoch's weights the figures are") {
  ReportData data = example("net");
  CHECK(contains(report_page(data), "Of the last epoch, on all 10,000 test images."));
  data.epoch = "the best epoch";
  CHECK(contains(report_page(data), "Of the best epoch, on all 10,000 test images."));
  CHECK_FALSE(contains(report_page(data), "last epoch"));
}

TEST_CASE("report: the page loads nothing") {
  const std::string page = report_page(example("net"));
  for (const char* loads : {" src=", "<link", "@import", "url(", "fetch(", "XMLHttpRequest",
                            "<iframe", "<img", "href="}) {
    CAPTURE(loads);
    CHECK_FALSE(contains(page, loads));
  }
  CHECK(contains(page, "default-src 'none'"));
  CHECK_FALSE(contains(page, "{{"));
}

TEST_CASE("report: its figures stand in tables, without a script") {
  const std::string page = report_page(example("net"));
  const std::string body =
      page.substr(page.find("<main>"), page.find("</main>") - page.find("<main>"));
  for (const char* figure : {"96.15 %", "92.86 %", "94.50 %", "1.250", "1 + 2.0e-06", "10,000",
                             "1 - 1.0e-08", "50.00 %", "80.00 %", "36/255", "0.25"}) {
    CAPTURE(figure);
    CHECK(contains(body, figure));
  }
}

TEST_CASE("report: the inline data are JSON and hold what the plots show") {
  const auto json = nlohmann::json::parse(inline_json(report_page(example("net"))));
  CHECK(json["eps"][1]["text"] == "36/255");
  CHECK(json["eps"][1]["value"] == 36.0 / 255);
  CHECK(json["loss"][1]["loss"] == 0.75);
  CHECK(json["epochs"][1]["certified"][0] == 92.86);
  CHECK(json["curve"]["eps"] == nlohmann::json({0, 1, 2}));
  CHECK(json["curve"]["percent"] == nlohmann::json({75, 50, 0}));
  CHECK(json["sigmas"].size() == 1);
  CHECK(json["sigmas"][0]["values"].front() == 1);
  CHECK(json["sigmas"][0]["values"].back() == 0.5);
  CHECK(json["gradients"][0]["norm"] == 0.25);
}

TEST_CASE("report: names cannot break out of the page") {
  const std::string page = report_page(example(hostile));
  CHECK_FALSE(contains(page, "<script>alert"));
  CHECK(count(page, "</script>") == count(report_page(example("net")), "</script>"));
  CHECK_FALSE(contains(page.substr(page.find("<main>")), "<!--"));
  // A name that looks like a part of the template stays a name.
  CHECK(count(page, "prefers-color-scheme") ==
        count(report_page(example("net")), "prefers-color-scheme"));
  CHECK(nlohmann::json::parse(inline_json(page))["gradients"][0]["layer"] == hostile);
}

TEST_CASE("report: bytes that are not UTF-8 do not stop it") {
  CHECK_NOTHROW(report_page(example("a\xff")));
}

TEST_CASE("report: what there is no data for is left out") {
  ReportData data;
  data.model = "net";
  const std::string page = report_page(data);
  CHECK_FALSE(contains(page, "<h2>"));
  CHECK_FALSE(contains(page, "<figure>"));
}

TEST_CASE("write_report: writes the page to a file") {
  const ScratchFolder folder;
  write_report(folder / "report.html", example("net"));
  CHECK(folder.get("report.html") == report_page(example("net")));
}

TEST_CASE("certified_curve: counts strictly, and thins without moving the ends") {
  const CertifiedCurve curve = certified_curve({0, 0, 0.5, 1}, 10);
  CHECK(curve.eps == std::vector<double>{0, 0.5, 1});
  CHECK(curve.percent == std::vector<double>{50, 25, 0});
  std::vector<double> radii;
  for (int i = 1; i <= 1000; ++i) radii.push_back(i);
  const CertifiedCurve thin = certified_curve(radii, 11);
  CHECK(thin.eps.size() == 12);
  CHECK(thin.percent.front() == 100);
  CHECK(thin.eps.back() == 1000);
  CHECK(thin.percent.back() == 0);
  CHECK(certified_curve({}, 10).eps.empty());
}

TEST_SUITE_END();
