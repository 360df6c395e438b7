#include <doctest/doctest.h>
#include <cmath>
#include <string>

#include <isotape/apps/verify/failure.hpp>
#include <isotape/apps/verify/verify.hpp>

#include "small_certificate.hpp"

using namespace isotape::verify;
using nlohmann::ordered_json;

TEST_SUITE_BEGIN("apps/verify/certificate");

namespace {

// What is wrong with the text of a certificate, or with what it says of the weights.
std::string fault(const std::string& text) {
  static const SmallCertificate small = small_certificate();
  try {
    confirmed(parse_certificate(text), parse_weights(small.weights));
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "";
}

// The same of a certificate with one value changed.
std::string fault(const char* at, const ordered_json& value) {
  ordered_json json = small_certificate().json;
  json[ordered_json::json_pointer(at)] = value;
  return fault(SmallCertificate::text(json));
}

bool starts_with_certificate(const std::string& text) {
  return text.rfind("certificate: ", 0) == 0 && text.find('\n') == std::string::npos;
}

}  // namespace

TEST_CASE("parse_certificate: reads back to the bit what was written") {
  for (const SmallCertificate& small :
       {small_certificate(), every_operation(), every_composite()}) {
    CHECK(to_json(parse_certificate(small.text())) == small.json);
  }
}

TEST_CASE("parse_certificate: names the key and what it expects") {
  CHECK(fault("/format", "isotape-certificate-2") ==
        "certificate: format: expected isotape-certificate-1, found \"isotape-certificate-2\"");
  CHECK(fault("/layers/0/stride", 0) ==
        "certificate: layers[0].stride: expected an integer in 1..1048576, found 0");
  CHECK(fault("/layers/0/stride", "2") ==
        "certificate: layers[0].stride: expected an integer in 1..1048576, found \"2\"");
  CHECK(fault("/layers/0/stride", 1.5) ==
        "certificate: layers[0].stride: expected an integer in 1..1048576, found 1.5");
  CHECK(fault("/layers/0/padding", "reflect") ==
        "certificate: layers[0].padding: expected circular or zero, found \"reflect\"");
  CHECK(fault("/layers/0/before", {1, 2, 3}) ==
        "certificate: layers[0].before: expected [rows, columns], found [1,2,3]");
  CHECK(fault("/layers/0/op", "magic") ==
        "certificate: layers[0].op: expected the name of an operation, found \"magic\"");
  CHECK(fault("/layers/0/extra", 1) == "certificate: layers[0]: expected no key \"extra\"");
  CHECK(fault("/layers/1", 7) == "certificate: layers[1]: expected the key op, found 7");
  CHECK(fault("/layers/0/sigma", {2, 1}) ==
        "certificate: layers[0].sigma: expected 0 <= lower <= upper, found [2,1]");
  CHECK(fault("/lipschitz", ordered_json()) ==
        "certificate: lipschitz: expected a finite number, found null");
  CHECK(fault("/lipschitz", -1) == "certificate: lipschitz: expected a number >= 0, found -1");
  CHECK(fault("/labels/1", 3) == "certificate: labels[1]: expected an integer in 0..2, found 3");
  CHECK(fault("/weights/sha256", "00") ==
        "certificate: weights.sha256: expected 64 hexadecimal digits, found \"00\"");
  CHECK(fault("/extra", 1) == "certificate: file: expected no key \"extra\"");
  CHECK(fault("/eps/0/text", "1/0") == "eps: expected texts such as 0.3 or 36/255, found '1/0'");
}

TEST_CASE("confirmed: names the operation that does not fit") {
  CHECK(fault("/layers/0/weight", "conv.w") ==
        "weights: conv.w: expected an f32 tensor, found none");
  CHECK(fault("/layers/0/groups", 2) ==
        "conv (conv): expected an image of groups times the kernel's inputs, found [4, 4, 1]");
  CHECK(fault("/layers/0/stride", 3) ==
        "conv (conv): expected sides of stride times those of the output under circular padding, "
        "found [4, 4, 1]");
  CHECK(fault("/layers/0/dilation", 9) ==
        "conv (conv): expected an input of at least the kernel's size, found [4, 4, 1]");
  CHECK(fault("/layers/1/size", 3) ==
        "sort (sort): expected channels in groups of 3, found [4, 4, 2]");
  CHECK(fault("/input/shape", {4, 4}) ==
        "certificate: input.shape: expected [H, W, C] or [n], found [4,4]");
  CHECK(fault("/input/shape", {1 << 20, 1 << 20, 1 << 20}) ==
        "input: expected at most 4194304 entries, found [1048576, 1048576, 1048576]");
  CHECK(fault("/classes", 4) == "layers: expected 4 logits, found [3]");
  CHECK(fault("/data/images", 6) == "labels: expected 6 entries, found 5");
  CHECK(fault("/head", ordered_json()) ==
        "head: expected one where the last operation is linear, and only there");
  const ordered_json pad = {{"name", "p"}, {"op", "channel_pad"}, {"channels", 1 << 20}};
  CHECK(fault("/layers/1", pad) ==
        "p (channel_pad): expected at most 4194304 entries, found [4, 4, 1048576]");
  const auto map = [](const char* op, const ordered_json& options) {
    ordered_json operation = {{"name", "m"}, {"op", op}, {"weight", "conv.weight"}};
    operation.update(options);
    operation["sigma"] = {0, 9};
    return operation;
  };
  const ordered_json frame = {{"padding", "zero"}, {"before", {1, 1}}, {"after", {1, 0}}};
  const ordered_json bias = {{"bias", ordered_json()}};
  ordered_json framed = frame;
  framed.update(bias);
  CHECK(fault("/layers/0", map("potential", framed)) ==
        "m (potential): expected a border that keeps the size, found [4, 4, 1]");
  framed = {{"terms", 4}};
  framed.update(frame);
  CHECK(fault("/layers/0", map("skew_exp", framed)) ==
        "m (skew_exp): expected a border that keeps the size, found [4, 4, 1]");
  framed["after"] = {1, 1};
  CHECK(fault("/layers/0", map("skew_exp", framed)) ==
        "m (skew_exp): expected a square kernel with a centre, found [4, 4, 1]");
  framed["terms"] = 5000;
  CHECK(fault("/layers/0", map("skew_exp", framed)) ==
        "certificate: layers[0].terms: expected an integer in 1..4096, found 5000");
  framed = {{"weight", "fc.weight"}, {"psi", "psi"}, {"activation", "relu"}};
  framed.update(bias);
  CHECK(fault("/layers/2", map("sandwich", framed)) ==
        "m (sandwich): expected an input of as many entries as the weight has rows beyond its "
        "columns, found [4, 4, 2]");
  CHECK(fault("/layers/1", {{"name", "s"}, {"op", "bias"}, {"bias", ordered_json()}}) ==
        "certificate: layers[1].bias: expected a text, found null");
  const ordered_json kinks = {
      {"name", "k"}, {"op", "nact"}, {"lower", "fc.bias"}, {"upper", "fc.bias"}};
  CHECK(fault("/layers/1", kinks) == "weights: fc.bias: expected shape [2], found [3]");
  const ordered_json empty = {{"name", "s"}, {"op", "sum"}, {"branches", ordered_json::array()}};
  CHECK(fault("/layers/1", empty) == "s (sum): expected branches, found [4, 4, 2]");
}

TEST_CASE("parse_certificate: text that is no certificate is refused in one line") {
  const std::string text = small_certificate().text();
  for (std::size_t size = 0; size < text.size() - 1; size += 7) {
    CHECK(starts_with_certificate(fault(text.substr(0, size))));
  }
  const std::string deep(100000, '[');
  for (const std::string& other :
       {std::string("NaN"), std::string("[]"), std::string("{}"), std::string("1e999"), deep,
        std::string("\xff\xfe"), std::string(R"({"format": 1, "format": 2})")}) {
    CHECK(starts_with_certificate(fault(other)));
  }
  CHECK(fault(R"({"a": 1, "a": 2})") == "certificate: expected each key once, found \"a\" twice");
  CHECK(fault("{}") == "certificate: file: expected the key format, found {}");
}

TEST_CASE("parse_weights: a file that is none is refused before anything is allocated") {
  const auto fault_of = [](const std::string& header, std::size_t elements) {
    const std::uint64_t length = header.size();
    const std::string bytes = std::string(reinterpret_cast<const char*>(&length), sizeof length) +
                              header + std::string(elements, '\0');
    try {
      parse_weights(bytes);
    } catch (const Failure& failure) {
      return std::string(failure.what());
    }
    return std::string();
  };
  const auto entry = [](const char* shape, const char* offsets) {
    return std::string(R"({"w":{"dtype":"F32","shape":)") + shape + R"(,"data_offsets":)" +
           offsets + "}}";
  };
  CHECK(fault_of(entry("[2]", "[0,8]"), 8).empty());
  CHECK(fault_of(entry("[2]", "[0,16]"), 8) == "weights: w: expected data_offsets within the file");
  CHECK(fault_of(entry("[2]", "[8,0]"), 8) == "weights: w: expected data_offsets within the file");
  CHECK(fault_of(entry("[2]", "[0,4]"), 8) ==
        "weights: w: expected data_offsets 4 bytes apart per entry");
  CHECK(fault_of(entry("[1000000000,1000000000,1000000000]", "[0,8]"), 8) ==
        "weights: w: expected a shape that fits the file");
  CHECK(fault_of(entry("[0]", "[0,0]"), 8) == "weights: w: expected a shape that fits the file");
  CHECK(fault_of(entry("[-1]", "[0,8]"), 8) ==
        "weights: w: expected integers in 0..2^40, found -1");
  CHECK(fault_of("[1]", 0) == "weights: expected a header that is an object");
  CHECK(
      fault_of("{\"w\":", 0) ==
      "weights: expected a header in JSON, one entry of dtype, shape and data_offsets per tensor");
  CHECK_THROWS_WITH_AS(parse_weights("1234567"),
                       "weights: expected a safetensors file, found fewer than 8 bytes", Failure);
  CHECK_THROWS_WITH_AS(parse_weights(std::string(8, '\x7f')),
                       "weights: expected a header within the file, found a length beyond it",
                       Failure);
}

TEST_CASE("weights: numbers that are not finite are refused where they are used") {
  for (const float value : {NAN, INFINITY}) {
    const WeightsFile weights = parse_weights(safetensors_of({{"w", {{2}, {1, value}}}}));
    CHECK_THROWS_AS(weights.at("w", std::size_t{1}), Failure);
  }
}

TEST_SUITE_END();
