#include <isotape/layers/checkpoint.hpp>

#include <charconv>
#include <set>
#include <sstream>

#include <isotape/core/error.hpp>
#include <isotape/core/safetensors.hpp>
#include <isotape/layers/self_audit.hpp>
#include <isotape/layers/weight.hpp>
#include <isotape/ops/reshape.hpp>
#include <isotape/version.hpp>

namespace isotape {
namespace {

constexpr const char* model_key = "isotape.model";
constexpr const char* input_key = "isotape.input";
constexpr const char* classes_key = "isotape.classes";

// A kernel as files hold it, and back; other tensors as they are.
Tensor to_file_layout(const Tensor& tensor) {
  return tensor.rank() == 4 ? permute(tensor, {0, 3, 1, 2}).value() : tensor;
}
Tensor from_file_layout(const Tensor& tensor) {
  return tensor.rank() == 4 ? permute(tensor, {0, 2, 3, 1}).value() : tensor;
}

std::string print_extents(const Shape& shape) {
  std::string text;
  for (const std::int64_t extent : shape) {
    text += (text.empty() ? "" : ",") + std::to_string(extent);
  }
  return text;
}

std::vector<std::int64_t> parse_extents(const std::string& path, const std::string& text) {
  std::vector<std::int64_t> extents;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    std::int64_t extent = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), extent);
    require<DataError>(error == std::errc() && end == part.data() + part.size() && extent >= 1 &&
                           extent <= 1 << 20,
                       path, ": expected positive extents in its metadata, found '", text, "'");
    extents.push_back(extent);
  }
  require<DataError>(!extents.empty() && extents.size() <= 3, path,
                     ": expected an input shape in its metadata, found '", text, "'");
  return extents;
}

const std::string& metadata(const std::string& path, const SafeTensors& file, const char* key) {
  const auto found = file.metadata.find(key);
  require<DataError>(found != file.metadata.end(), path, ": expected a checkpoint with metadata '",
                     key, "', found none; was it written by isotape?");
  return found->second;
}

Model build_from_metadata(const std::string& path, const SafeTensors& file) {
  const auto input = parse_extents(path, metadata(path, file, input_key));
  const auto classes = parse_extents(path, metadata(path, file, classes_key));
  try {
    return build_model(model_spec_from_json(metadata(path, file, model_key)), Shape(input),
                       classes[0], Rng(0));
  } catch (const Error& error) {
    throw DataError(path + ": expected a model that can be built, found " + error.what());
  }
}

// Reads the tensors of a file by name and remembers which were read.
class Reader {
 public:
  Reader(std::string path, const SafeTensors& file) : path_(std::move(path)), file_(file) {}

  Tensor take(const std::string& name, const Tensor& like) {
    const auto found = file_.tensors.find(name);
    require<DataError>(found != file_.tensors.end(), path_, ": expected a tensor '", name,
                       "', found none");
    taken_.insert(name);
    const Tensor& tensor = found->second;
    const Shape expected = to_file_layout(like).shape();
    require<DataError>(tensor.shape() == expected && tensor.dtype() == like.dtype(), path_, ": ",
                       name, ": expected shape ", expected, " and type ", like.dtype(), ", found ",
                       tensor.shape(), " and ", tensor.dtype());
    require<DataError>(all_finite(tensor), path_, ": ", name,
                       ": expected finite values, found NaN or infinity");
    return from_file_layout(tensor);
  }

  void finish() const {
    for (const auto& [name, tensor] : file_.tensors) {
      require<DataError>(taken_.count(name) == 1, path_, ": expected no tensor but the model's, ",
                         "found '", name, "'");
    }
  }

  void compare_fold(const std::string& name, const Tensor& recomputed, const LoadOptions& options) {
    if (!options.check_folds) {
      taken_.insert(name);
      return;
    }
    const Tensor stored = take(name, from_file_layout(recomputed));
    const double difference = max_abs_diff(to_file_layout(stored), recomputed);
    require<DataError>(difference <= options.fold_tolerance, path_, ": ", name,
                       ": expected the weight that its raw tensor folds to within ",
                       options.fold_tolerance, ", found a difference of ", difference,
                       "; fold it anew with `isotape export`");
  }

 private:
  std::string path_;
  const SafeTensors& file_;
  std::set<std::string> taken_;
};

}  // namespace

void save_model(const std::filesystem::path& path, Model& model) {
  SafeTensors file;
  for (const auto& [name, parameter] : model.net.parameters()) {
    file.tensors[name] = to_file_layout(parameter->value());
  }
  for (const auto& [name, tensor] : model.net.buffers()) {
    file.tensors[name] = to_file_layout(*tensor);
  }
  for (auto& [name, tensor] : model.net.folded_weights()) file.tensors[name] = std::move(tensor);
  file.metadata = {{"format", "pt"},
                   {"isotape.version", std::string(version)},
                   {model_key, to_json(model.spec)},
                   {input_key, print_extents(model.input)},
                   {classes_key, std::to_string(model.classes)}};
  save_safetensors(path, file);
}

LoadedModel load_model(const std::filesystem::path& path, const LoadOptions& options) {
  const SafeTensors file = load_safetensors(path);
  Reader reader(path.string(), file);
  LoadedModel loaded{build_from_metadata(path.string(), file), {}};
  Sequential& net = loaded.model.net;
  for (const auto& [name, parameter] : net.parameters()) {
    const Tensor value = reader.take(name, parameter->value());
    parameter->write() = value;
  }
  for (const auto& [name, tensor] : net.buffers()) *tensor = reader.take(name, *tensor);
  for (const auto& [name, weight] : net.weights()) {
    if (auto warning = weight->complete_null_space(name)) {
      loaded.warnings.push_back(path.string() + ": " + *warning);
    }
  }
  for (const auto& [name, tensor] : net.folded_weights()) {
    reader.compare_fold(name, tensor, options);
  }
  reader.finish();
  for (std::string& warning : broken_constraints(net)) {
    loaded.warnings.push_back(path.string() + ": " + std::move(warning));
  }
  return loaded;
}

}  // namespace isotape
