#include <isotape/apps/study/cut_net.hpp>

#include <algorithm>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/optim/image_rows.hpp>

namespace isotape {
namespace {

constexpr std::int64_t at_once = 500;

Tensor through(const std::vector<Sequential::Part>& parts, std::size_t begin, std::size_t end,
               const Tensor& x) {
  const Paused paused;
  Var y = x;
  for (std::size_t i = begin; i < end; ++i) y = parts[i].module->forward(y);
  return y.value();
}

// A map of rows, some at a time, with results [n, size] of a type.
template <class Map>
Tensor by_rows(const Tensor& x, std::int64_t size, DType dtype, const Map& map) {
  Tensor all({x.dim(0), size}, dtype);
  for (std::int64_t begin = 0; begin < x.dim(0); begin += at_once) {
    const std::int64_t end = std::min(begin + at_once, x.dim(0));
    std::vector<std::int64_t> rows = all_rows(end - begin);
    for (std::int64_t& row : rows) row += begin;
    put_rows(all, rows, map(x.rows(begin, end)).reshaped({end - begin, size}).to(dtype));
  }
  return all;
}

}  // namespace

CutNet::CutNet(const Model& model, std::string_view layer) : model_(model), behind_(0) {
  const auto& parts = model.net.parts();
  const auto found = std::find_if(parts.begin(), parts.end(),
                                  [&](const auto& part) { return part.name == layer; });
  require<ValueError>(found != parts.end(), "cut: expected a layer of the net's own chain, got ",
                      layer);
  behind_ = static_cast<std::size_t>(found - parts.begin()) + 1;
  shape_ = model.input;
  for (std::size_t i = 0; i < behind_; ++i) shape_ = parts[i].module->output_shape(shape_);
}

Tensor CutNet::activations(const Tensor& inputs) const {
  return by_rows(inputs, width(), DType::f32,
                 [&](const Tensor& x) { return through(model_.net.parts(), 0, behind_, x); });
}

Tensor CutNet::logits(const Tensor& activations) const {
  return by_rows(activations, model_.classes, DType::f64, [&](const Tensor& a) {
    std::vector<std::int64_t> extents = {a.dim(0)};
    extents.insert(extents.end(), shape_.begin(), shape_.end());
    const Tensor batch = a.to(DType::f32).reshaped(Shape(extents));
    return through(model_.net.parts(), behind_, model_.net.parts().size(), batch);
  });
}

std::int64_t CutNet::parameters_behind() const {
  std::int64_t count = 0;
  for (std::size_t i = behind_; i < model_.net.parts().size(); ++i) {
    count += parameter_count(model_.net.parts()[i].module->parameters());
  }
  return count;
}

}  // namespace isotape
