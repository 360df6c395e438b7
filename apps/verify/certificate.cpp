#include <isotape/apps/verify/certificate.hpp>

#include <cmath>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include <isotape/apps/verify/failure.hpp>
#include <isotape/apps/verify/sha256.hpp>

namespace isotape::verify {
namespace {

using nlohmann::json;

constexpr int deepest = 40;  // of lists and objects within each other
constexpr std::int64_t largest_option = 1 << 20;
constexpr std::int64_t most_terms = 4096;  // of a series: each costs a convolution

// A value of the file and where it stands, for messages.
class Value {
 public:
  Value(const json& value, std::string path) : value_(&value), path_(std::move(path)) {}

  [[noreturn]] void fail(const std::string& expected) const {
    std::string found = value_->dump(-1, ' ', true, json::error_handler_t::replace);
    if (found.size() > 40) found = found.substr(0, 40) + "...";
    throw Failure("certificate: " + path_ + ": expected " + expected + ", found " + found);
  }

  // An object of these keys and no other.
  void expect_keys(const std::vector<std::string_view>& keys) const {
    if (!value_->is_object()) fail("an object");
    for (const std::string_view key : keys) {
      if (!value_->contains(key)) fail("the key " + std::string(key));
    }
    for (const auto& [key, unused] : value_->items()) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
        throw Failure("certificate: " + path_ + ": expected no key " +
                      json(key).dump(-1, ' ', true));
      }
    }
  }
  Value operator[](const std::string& key) const {
    if (!value_->is_object() || !value_->contains(key)) fail("the key " + key);
    return {value_->at(key), path_ == "file" ? key : path_ + '.' + key};
  }

  bool is_null() const { return value_->is_null(); }
  double number() const {
    if (!value_->is_number() || !std::isfinite(value_->get<double>())) fail("a finite number");
    return value_->get<double>();
  }
  double nonnegative() const {
    if (!(number() >= 0)) fail("a number >= 0");
    return number();
  }
  std::int64_t integer(std::int64_t least, std::int64_t most) const {
    const bool fits = value_->is_number_unsigned() &&
                      value_->get<std::uint64_t>() <= static_cast<std::uint64_t>(most) &&
                      value_->get<std::int64_t>() >= least;
    if (!fits) fail("an integer in " + std::to_string(least) + ".." + std::to_string(most));
    return value_->get<std::int64_t>();
  }
  std::string text() const {
    if (!value_->is_string()) fail("a text");
    return value_->get<std::string>();
  }
  // Which of two words: true for the first.
  bool word(const std::string& first, const std::string& second) const {
    if (text() != first && text() != second) fail(first + " or " + second);
    return text() == first;
  }

  // read(entry) of each entry of a list.
  template <class Read>
  auto list(Read read) const {
    if (!value_->is_array()) fail("a list");
    std::vector<decltype(read(*this))> result;
    for (std::size_t i = 0; i < value_->size(); ++i) {
      result.push_back(read(Value((*value_)[i], path_ + '[' + std::to_string(i) + ']')));
    }
    return result;
  }
  std::vector<double> numbers() const {
    return list([](const Value& entry) { return entry.number(); });
  }
  std::vector<std::vector<double>> table() const {
    return list([](const Value& row) { return row.numbers(); });
  }
  std::array<std::int64_t, 2> pair() const {
    const auto values = list([](const Value& entry) { return entry.integer(0, largest_option); });
    if (values.size() != 2) fail("[rows, columns]");
    return {values[0], values[1]};
  }

 private:
  const json* value_;
  std::string path_;
};

Chain read_chain(const Value& list);

const std::map<std::string, std::vector<std::string_view>, std::less<>>& options() {
  static const std::map<std::string, std::vector<std::string_view>, std::less<>> by_op = {
      {"linear", {"weight", "bias", "sigma"}},
      {"conv",
       {"weight", "bias", "stride", "dilation", "groups", "padding", "before", "after", "sigma"}},
      {"sort", {"size", "pairing"}},
      {"maxout", {"size", "pairing"}},
      {"abs", {}},
      {"relu", {}},
      {"leaky_relu", {"slope"}},
      {"flatten", {}},
      {"pixel_unshuffle", {"factor"}},
      {"pixel_shuffle", {"factor"}},
      {"channel_pad", {"channels"}},
      {"channel_shuffle", {"groups"}},
      {"first_channels", {"channels"}},
      {"l2pool", {"kernel", "stride"}},
      {"avgpool", {"kernel", "stride"}},
      {"global_avgpool", {}},
      {"upsample", {"factor"}},
      {"center", {"mean", "bias"}},
      {"layer_center", {"over"}},
      {"bias", {"bias"}},
      {"shift", {"distance"}},
      {"affine", {"scale", "shift"}},
      {"nact", {"lower", "upper"}},
      {"householder", {"theta", "pairing"}},
      {"potential", {"weight", "bias", "padding", "before", "after", "sigma"}},
      {"skew_exp", {"weight", "terms", "padding", "before", "after", "sigma"}},
      {"sandwich", {"weight", "psi", "bias", "activation", "sigma"}},
      {"frequencies", {"weight", "bias", "sigma"}},
      {"frequency_sandwich", {"weight", "psi", "bias", "activation", "sigma"}},
      {"gain", {"value"}},
      {"sum", {"branches"}},
      {"concat", {"branches"}},
      {"split", {"branches"}},
      {"convex", {"mix", "layers"}},
  };
  return by_op;
}

Enclosure read_sigma(const Value& value) {
  const std::vector<double> ends = value.numbers();
  if (ends.size() != 2 || !(0 <= ends[0] && ends[0] <= ends[1])) value.fail("0 <= lower <= upper");
  return {ends[0], ends[1]};
}

void read_option(Operation& o, std::string_view key, const Value& value) {
  const auto natural = [&] { return value.integer(1, largest_option); };
  if (key == "weight") o.weight = value.text();
  if (key == "bias")
    o.bias = value.is_null() && o.op != "center" && o.op != "bias" ? "" : value.text();
  if (key == "mean") o.mean = value.text();
  if (key == "mix") o.mix = value.text();
  if (key == "lower") o.lower = value.text();
  if (key == "upper") o.upper = value.text();
  if (key == "psi") o.psi = value.text();
  if (key == "theta") o.theta = value.text();
  if (key == "scale") o.scale = value.text();
  if (key == "shift") o.shift = value.text();
  if (key == "sigma") o.sigma = read_sigma(value);
  if (key == "stride") o.stride = natural();
  if (key == "dilation") o.dilation = natural();
  if (key == "groups") o.groups = natural();
  if (key == "size") o.size = natural();
  if (key == "factor") o.factor = natural();
  if (key == "channels") o.channels = natural();
  if (key == "kernel") o.kernel = natural();
  if (key == "distance") o.distance = natural();
  if (key == "terms") o.terms = value.integer(1, most_terms);
  if (key == "before") o.before = value.pair();
  if (key == "after") o.after = value.pair();
  if (key == "padding") o.circular = value.word("circular", "zero");
  if (key == "pairing") o.adjacent = value.word("adjacent", "split");
  if (key == "over") o.over = value.text();
  if (key == "activation") o.activation = value.text();
  if (key == "slope") o.slope = value.number();
  if (key == "value") o.value = value.number();
  if (key == "branches") o.branches = value.list(read_chain);
  if (key == "layers") o.branches = {read_chain(value)};
}

Operation read_operation(const Value& value) {
  Operation o;
  o.op = value["op"].text();
  const auto known = options().find(o.op);
  if (known == options().end()) value["op"].fail("the name of an operation");
  std::vector<std::string_view> keys = known->second;
  keys.insert(keys.end(), {"name", "op"});
  value.expect_keys(keys);
  o.name = value["name"].text();
  for (const std::string_view key : known->second) {
    read_option(o, key, value[std::string(key)]);
  }
  return o;
}

Chain read_chain(const Value& list) { return list.list(read_operation); }

Head read_head(const Value& value) {
  value.expect_keys({"body", "pairs"});
  return {value["body"].nonnegative(), value["pairs"].table()};
}

Count read_count(const Value& value) {
  value.expect_keys({"text", "images"});
  const Value images = value["images"];
  images.expect_keys({"real", "f64", "f32"});
  const auto count = [&](const char* key) { return images[key].integer(0, INT64_MAX); };
  return {value["text"].text(), count("real"), count("f64"), count("f32")};
}

std::string read_digest(const Value& value) {
  std::string text = value.text();
  if (text.size() != 64 || text.find_first_not_of("0123456789abcdef") != std::string::npos) {
    value.fail("64 hexadecimal digits");
  }
  return text;
}

void read_origin(const Value& file, Certificate& c) {
  if (file["format"].text() != "isotape-certificate-1")
    file["format"].fail("isotape-certificate-1");
  c.model = file["model"].text();
  const Value weights = file["weights"];
  weights.expect_keys({"file", "sha256"});
  c.weights_file = weights["file"].text();
  c.weights_sha256 = read_digest(weights["sha256"]);
  const Value data = file["data"];
  data.expect_keys({"dataset", "images", "sha256"});
  c.dataset = data["dataset"].text();
  c.images = data["images"].integer(1, INT64_MAX);
  c.data_sha256 = read_digest(data["sha256"]);
  const Value input = file["input"];
  input.expect_keys({"shape", "scale"});
  c.input = input["shape"].list([](const Value& e) { return e.integer(1, largest_option); });
  if (c.input.size() != 1 && c.input.size() != 3) input["shape"].fail("[H, W, C] or [n]");
  c.scale = input["scale"].integer(1, 255);
  if (c.scale != 1 && c.scale != 255) input["scale"].fail("255 or 1");
}

void read_claims(const Value& file, Certificate& c) {
  c.classes = file["classes"].integer(2, largest_option);
  c.layers = read_chain(file["layers"]);
  c.lipschitz = file["lipschitz"].nonnegative();
  if (!file["head"].is_null()) c.head = read_head(file["head"]);
  c.proof = file["proof"].list([](const Value& line) { return line.text(); });
  c.eps = file["eps"].list(read_count);
  c.clean = file["clean"].integer(0, INT64_MAX);
  c.labels = file["labels"].list([&](const Value& y) { return y.integer(0, c.classes - 1); });
  c.logits = file["logits"].table();
  c.norm = file["norm"].list([](const Value& e) { return e.nonnegative(); });
  c.error = file["error"].list([](const Value& e) { return e.nonnegative(); });
  const Value radius = file["radius"];
  radius.expect_keys({"real", "f64", "f32"});
  const auto radii = [&](const char* key) {
    return radius[key].list([](const Value& e) { return e.nonnegative(); });
  };
  c.radius_real = radii("real");
  c.radius_f64 = radii("f64");
  c.radius_f32 = radii("f32");
}

// The digest stands last in the file; it is that of the bytes with zeros in its place.
void check_digest(std::string_view text, const std::string& recorded) {
  std::string blank(text);
  const std::size_t place = blank.rfind(recorded);
  if (place != std::string::npos) blank.replace(place, recorded.size(), recorded.size(), '0');
  if (sha256(blank) != recorded) {
    throw Failure("certificate: sha256: expected that of the other bytes, found " + recorded);
  }
}

// What the parser takes in silence: a key given twice, of which the last would win.
json parse_strictly(std::string_view text) {
  std::vector<std::set<std::string>> keys;
  const auto inspect = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > deepest) throw Failure("certificate: expected lists and objects less deep");
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key &&
        !keys.back().insert(parsed.get<std::string>()).second) {
      throw Failure("certificate: expected each key once, found " + parsed.dump(-1, ' ', true) +
                    " twice");
    }
    return true;
  };
  try {
    return json::parse(text, inspect);
  } catch (const json::exception&) {
    throw Failure("certificate: expected JSON, found a syntax error or a number out of range");
  }
}

}  // namespace

const std::vector<std::string_view>& option_keys(std::string_view op) {
  static const std::vector<std::string_view> none;
  const auto known = options().find(op);
  return known == options().end() ? none : known->second;
}

Certificate parse_certificate(std::string_view text) {
  const json content = parse_strictly(text);
  const Value file(content, "file");
  file.expect_keys({"format", "model", "weights", "data", "input", "classes", "layers", "lipschitz",
                    "head", "proof", "eps", "clean", "labels", "logits", "norm", "error", "radius",
                    "sha256"});
  Certificate c;
  read_origin(file, c);
  read_claims(file, c);
  check_digest(text, read_digest(file["sha256"]));
  return c;
}

}  // namespace isotape::verify
