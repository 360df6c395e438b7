#include <doctest/doctest.h>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include <isotape/apps/verify/failure.hpp>
#include <isotape/apps/verify/network.hpp>
#include <isotape/apps/verify/radii.hpp>
#include <isotape/apps/verify/rounding.hpp>
#include <isotape/apps/verify/sha256.hpp>
#include <isotape/apps/verify/verify.hpp>

#include "../../support/idx_files.hpp"
#include "../../support/scratch_folder.hpp"
#include "small_certificate.hpp"

using namespace isotape;
using nlohmann::ordered_json;
using Path = ordered_json::json_pointer;

TEST_SUITE_BEGIN("apps/verify/verify");

namespace {

// The files of a certificate, in a folder of their own.
class Files {
 public:
  explicit Files(const SmallCertificate& small) {
    folder_.put("w", small.weights);
    const std::vector<std::uint8_t> pixels(small.pixels.begin(), small.pixels.end());
    const auto count = static_cast<std::uint32_t>(small.labels.size());
    folder_.put("data/t10k-images-idx3-ubyte.gz", gzipped(idx_images(count, 4, 4, pixels)));
    folder_.put("data/MNIST/raw/t10k-labels-idx1-ubyte", idx_labels(small.labels));
  }
  verify::Verdict check(const std::string& certificate, bool with_data = false) const {
    folder_.put("c", certificate);
    return verify::verify_certificate(folder_ / "c", folder_ / "w",
                                      with_data ? std::optional(folder_ / "data") : std::nullopt);
  }
  void put_weights(const std::string& bytes) const { folder_.put("w", bytes); }
  const ScratchFolder& folder() const { return folder_; }

 private:
  ScratchFolder folder_;
};

bool starts_with(const std::string& text, const std::string& begin) {
  return text.compare(0, begin.size(), begin) == 0;
}

// Every leaf of a JSON value with what leads to it.
void for_each_leaf(const ordered_json& value, const Path& at,
                   const std::function<void(const Path&, const ordered_json&)>& f) {
  if (!value.is_structured()) f(at, value);
  for (const auto& [key, part] : value.items()) {
    if (!value.is_structured()) break;
    for_each_leaf(part, value.is_array() ? at / std::stoul(key) : at / key, f);
  }
}

double next(double x, double towards) { return std::nextafter(x, towards); }
constexpr double infinity = std::numeric_limits<double>::infinity();

// The leaf changed by the least that claims more, or null if its value claims nothing by itself.
ordered_json claims_more(const Path& at, const ordered_json& value) {
  const std::string path = at.to_string();
  const auto within = [&](const char* part) { return path.find(part) != std::string::npos; };
  if (within("/sigma/0") || within("/radius/")) return next(value, infinity);
  if (within("/sigma/1") || path == "/lipschitz" || path == "/head/body" || within("/error/") ||
      (within("/pairs/") && value > 0)) {
    return next(value, 0);
  }
  if (path == "/clean" || within("/images/")) return value.get<int>() + 1;
  return {};
}

}  // namespace

TEST_CASE("verify: a certificate of confirmed numbers holds, in one line") {
  for (const SmallCertificate& small :
       {small_certificate(), every_operation(), every_composite()}) {
    const Files files(small);
    const verify::Verdict recorded = files.check(small.text());
    CAPTURE(recorded.line);
    CHECK(recorded.holds);
    CHECK(starts_with(recorded.line, "certificate holds: small on mnist, 5 images, L <= "));
    CHECK(recorded.line.find("; certified at 1/1000: 80.00 % (real), at 0.05: ") !=
          std::string::npos);
    CHECK(recorded.line.find("; logits taken as recorded") != std::string::npos);
    const verify::Verdict recomputed = files.check(small.text(), true);
    CAPTURE(recomputed.line);
    CHECK(recomputed.holds);
    CHECK(recomputed.line.find("; logits recomputed") != std::string::npos);
  }
}

TEST_CASE("verify: the least number that claims more fails its line of the proof") {
  for (const SmallCertificate& small :
       {small_certificate(), every_operation(), every_composite()}) {
    const Files files(small);
    int changed = 0;
    for_each_leaf(small.json, Path(), [&](const Path& at, const ordered_json& value) {
      const ordered_json more = claims_more(at, value);
      if (more.is_null()) return;
      ordered_json json = small.json;
      json[at] = more;
      const verify::Verdict verdict = files.check(SmallCertificate::text(json));
      const std::string path = at.to_string();
      CAPTURE(path);
      CAPTURE(verdict.line);
      CHECK(!verdict.holds);
      // The first word of the path is that of the line.
      CHECK(
          starts_with(verdict.line, "certificate fails: " + path.substr(1, path.find('/', 1) - 1)));
      ++changed;
    });
    CHECK(changed >= 39);
  }
}

// Changes of other leaves, in both directions, as far as the type allows. What stands for people
// alone, or claims less than is proved, may pass: names, the proof's text, the name of the file of
// weights; larger norms, bounds and errors; smaller radii and counts; rows of other eps; a border
// that no window reaches.
TEST_CASE("verify: with data, no leaf can be changed that is not for people or claims less") {
  for (const SmallCertificate& small :
       {small_certificate(), every_operation(), every_composite()}) {
    const Files files(small);
    for_each_leaf(small.json, Path(), [&](const Path& at, const ordered_json& value) {
      const std::string path = at.to_string();
      const auto within = [&](const char* part) { return path.find(part) != std::string::npos; };
      const bool for_people = path == "/model" || path == "/weights/file" || path == "/proof/0" ||
                              path == "/data/dataset" || within("/name") || within("/text");
      if (for_people || !claims_more(at, value).is_null()) return;
      std::vector<ordered_json> others;
      if (value.is_string()) others = {value.get<std::string>() + "x", ""};
      if (value.is_number_integer()) others = {value.get<int>() + 1, value.get<int>() - 1};
      if (value.is_number_float()) {
        const auto number = value.get<double>();
        others = {number * (1 - 1e-6)};
        if (!within("/norm/")) others.emplace_back(number * (1 + 1e-6));
      }
      if (within("/pairs/")) others.clear();  // a diagonal of zeros
      if (path.rfind("/layers/10/after/", 0) == 0) others = {0, 3};
      for (const ordered_json& other : others) {
        ordered_json json = small.json;
        json[at] = other;
        const verify::Verdict verdict = files.check(SmallCertificate::text(json), true);
        CAPTURE(path);
        CAPTURE(verdict.line);
        CHECK(!verdict.holds);
        CHECK(starts_with(verdict.line, "certificate fails: "));
      }
    });
  }
}

TEST_CASE("confirmed: an error anywhere in the ball is charged, not that at the image") {
  const SmallCertificate small = small_certificate();
  const verify::WeightsFile weights = verify::parse_weights(small.weights);
  const verify::Certificate c = verify::parse_certificate(small.text());
  const verify::Network network = verify::resolve(c.layers, {4, 4, 1, false}, weights);
  // Of an image that is certified.
  REQUIRE(c.radius_f32[0] > 0);
  const auto radius = [&](double norm) {
    const double later = verify::propagate(network, {norm, 0}, verify::f32_format).error;
    return verify::certified_radius(c.logits[0], c.labels[0], c.error[0], later,
                                    {c.lipschitz, c.head});
  };
  CHECK(radius(c.norm[0]) > radius(c.norm[0] + c.radius_real[0]));
  CHECK(c.radius_f32[0] <= radius(c.norm[0] + c.radius_real[0]));
}

TEST_CASE("verify: what claims less holds") {
  const SmallCertificate small = small_certificate();
  const Files files(small);
  ordered_json json = small.json;
  json["lipschitz"] = json["lipschitz"].get<double>() * 2;
  json["error"][0] = json["error"][0].get<double>() * 1.5;
  for (const char* kind : {"real", "f64", "f32"}) {
    for (ordered_json& radius : json["radius"][kind]) radius = radius.get<double>() / 2;
    json["eps"][1]["images"][kind] = 0;
  }
  json["clean"] = 1;
  const verify::Verdict verdict = files.check(SmallCertificate::text(json), true);
  CAPTURE(verdict.line);
  CHECK(verdict.holds);
}

TEST_CASE("verify: a forgery that is consistent passes without data and fails with it") {
  SmallCertificate small = small_certificate();
  const Files files(small);
  verify::Certificate forged = verify::parse_certificate(small.text());
  // The misclassified image gets the logits that it should have, and everything that follows.
  forged.logits[4][forged.labels[4]] += 10;
  forged.radius_real[4] = forged.radius_f64[4] = forged.radius_f32[4] = 1e9;
  forged.clean = 5;
  for (verify::Count& row : forged.eps) row.real = row.f64 = row.f32 = 5;
  small.json = to_json(verify::confirmed(forged, verify::parse_weights(small.weights)));
  const verify::Verdict recorded = files.check(small.text());
  CHECK(recorded.holds);
  CHECK(recorded.line.find("certified at 1/1000: 100.00 % (real)") != std::string::npos);
  const verify::Verdict recomputed = files.check(small.text(), true);
  CHECK(!recomputed.holds);
  CHECK(starts_with(recomputed.line, "certificate fails: logits[4]: expected those of the data"));
}

TEST_CASE("verify: logits within their error may differ, beyond it not") {
  SmallCertificate small = small_certificate();
  const Files files(small);
  const auto error = small.json["error"][0].get<double>();
  const auto moved_by = [&](double distance) {
    verify::Certificate c = verify::parse_certificate(small.text());
    c.logits[0][0] += distance;
    SmallCertificate other = small;
    other.json = to_json(verify::confirmed(c, verify::parse_weights(small.weights)));
    return files.check(other.text(), true).holds;
  };
  CHECK(moved_by(0.6 * error));
  CHECK(!moved_by(0.7 * error));
}

TEST_CASE("verify: any changed byte of the weights fails") {
  const SmallCertificate small = small_certificate();
  const Files files(small);
  const std::string certificate = small.text();
  for (std::size_t i = 0; i < small.weights.size(); ++i) {
    std::string bytes = small.weights;
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << i % 8));
    files.put_weights(bytes);
    const verify::Verdict verdict = files.check(certificate);
    CHECK(!verdict.holds);
    CHECK(starts_with(verdict.line, "certificate fails: weights.sha256: expected "));
  }
}

// With the digest recomputed the mathematics must fail, unless the weights are better than claimed:
// of a sign, a part of a mantissa or an exponent sigma notices nothing, or the logits do.
TEST_CASE("verify: a changed number of the weights fails, digest recomputed, by the mathematics") {
  const SmallCertificate small = small_certificate();
  const Files files(small);
  const std::size_t elements = std::size_t{4} * (18 + 2 + 96 + 3);
  for (std::size_t i = small.weights.size() - elements + 2; i < small.weights.size(); i += 4) {
    std::string bytes = small.weights;
    bytes[i] = static_cast<char>(bytes[i] ^ 1);  // 2^-7 of the number
    files.put_weights(bytes);
    ordered_json json = small.json;
    json["weights"]["sha256"] = verify::sha256(bytes);
    const verify::Verdict verdict = files.check(SmallCertificate::text(json), true);
    CAPTURE(i);
    CHECK(!verdict.holds);
    CHECK(verdict.line.find("sha256") == std::string::npos);
  }
}

TEST_CASE("verify: any changed byte of the certificate fails") {
  const SmallCertificate small = small_certificate();
  const Files files(small);
  const std::string certificate = small.text();
  for (std::size_t i = 0; i < certificate.size(); ++i) {
    std::string bytes = certificate;
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << i % 8));
    const verify::Verdict verdict = files.check(bytes);
    CAPTURE(i);
    CHECK(!verdict.holds);
    CHECK(starts_with(verdict.line, "certificate fails: "));
    CHECK(verdict.line.find('\n') == std::string::npos);
  }
}

TEST_CASE("verify: files that are not there are told from those that fail") {
  const SmallCertificate small = small_certificate();
  const Files files(small);
  files.check(small.text());
  const ScratchFolder& folder = files.folder();
  CHECK_THROWS_AS(verify::verify_certificate(folder / "none", folder / "w"), verify::Missing);
  CHECK_THROWS_AS(verify::verify_certificate(folder / "c", folder / "none"), verify::Missing);
  CHECK_THROWS_AS(verify::verify_certificate(folder / "c", folder.path()), verify::Missing);
  CHECK_THROWS_AS(verify::verify_certificate(folder / "c", folder / "w", folder / "none"),
                  verify::Missing);
}

TEST_SUITE_END();
