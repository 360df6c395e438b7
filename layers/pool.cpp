#include <isotape/layers/pool.hpp>

#include <isotape/core/error.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>

namespace isotape {
namespace {

int stride_of(const PoolOptions& options) {
  return options.stride == 0 ? options.kernel : options.stride;
}

void check(const char* op, const PoolOptions& options) {
  require<ValueError>(options.kernel >= 1 && options.stride >= 0, op,
                      ": expected a kernel >= 1 and a stride >= 0, got ", options.kernel, " and ",
                      options.stride);
}

Shape pooled(const char* op, const PoolOptions& options, const Shape& input) {
  const std::int64_t k = options.kernel;
  const std::int64_t s = stride_of(options);
  require<ShapeError>(input.rank() == 3 && input[0] >= k && input[1] >= k &&
                          (input[0] - k) % s == 0 && (input[1] - k) % s == 0,
                      op, ": expected input [H, W, C] with sides of ", k, " plus a multiple of ", s,
                      ", got ", input);
  return {(input[0] - k) / s + 1, (input[1] - k) / s + 1, input[2]};
}

NormPreservation kept(const PoolOptions& options) {
  return stride_of(options) >= options.kernel ? NormPreservation::backward : NormPreservation::none;
}

std::vector<std::pair<std::string, OptionValue>> pool_words(const PoolOptions& options) {
  return {{"kernel", std::int64_t{options.kernel}}, {"stride", std::int64_t{stride_of(options)}}};
}

PoolOptions pool_options(Site& site) {
  PoolOptions options;
  options.kernel = small_integer(site, "kernel", 2);
  options.stride = small_integer(site, "stride", options.kernel);
  return options;
}

}  // namespace

constinit const LayerType l2pool_type = {
    .type = "l2pool",
    .kind = LayerKind::pooling,
    .property = LayerProperty::one_lipschitz,
    .options = "kernel, stride",
    .description = "norms of windows of pixels (kernel 2, stride as kernel)",
    .cost = "",
    .source = "Boureau 2010",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      return std::make_unique<L2Pool>(pool_options(site));
    },
};

constinit const LayerType avgpool_type = {
    .type = "avgpool",
    .kind = LayerKind::pooling,
    .property = LayerProperty::one_lipschitz,
    .options = "kernel, stride",
    .description =
        "averages of windows of pixels, scaled to norm 1 (kernel 2, stride as kernel: "
        "then gradients keep their norm)",
    .cost = "",
    .source = "Serrurier 2021",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      return std::make_unique<AveragePool>(pool_options(site));
    },
};

constinit const LayerType global_avgpool_type = {
    .type = "global-avgpool",
    .kind = LayerKind::pooling,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "",
    .description = "average of all pixels, scaled to norm 1",
    .cost = "",
    .source = "Serrurier 2021",
    .build = [](Site&) -> std::unique_ptr<Module> { return std::make_unique<GlobalAveragePool>(); },
};

L2Pool::L2Pool(const PoolOptions& options) : options_(options) { check("l2_pool", options); }

Var L2Pool::forward(const Var& x) const { return l2_pool(x, options_); }

Shape L2Pool::output_shape(const Shape& input) const { return pooled("l2_pool", options_, input); }

std::string L2Pool::describe() const {
  return message("L2Pool ", options_.kernel, " x ", options_.kernel, ", stride ",
                 stride_of(options_));
}

std::unique_ptr<Module> L2Pool::materialize(DType) const {
  return std::make_unique<L2Pool>(options_);
}

void L2Pool::collect_operations(const std::string& prefix, const Shape& input,
                                Operations& operations) const {
  operations.push_back(
      plain_operation(prefix, "l2pool", input, output_shape(input), pool_words(options_)));
}

AveragePool::AveragePool(const PoolOptions& options) : options_(options) {
  check("average_pool", options);
}

Var AveragePool::forward(const Var& x) const { return average_pool(x, options_); }

Shape AveragePool::output_shape(const Shape& input) const {
  return pooled("average_pool", options_, input);
}

std::string AveragePool::describe() const {
  return message("AveragePool ", options_.kernel, " x ", options_.kernel, ", stride ",
                 stride_of(options_), ", scaled");
}

NormPreservation AveragePool::gnp() const { return kept(options_); }

std::unique_ptr<Module> AveragePool::materialize(DType) const {
  return std::make_unique<AveragePool>(options_);
}

void AveragePool::collect_operations(const std::string& prefix, const Shape& input,
                                     Operations& operations) const {
  operations.push_back(
      plain_operation(prefix, "avgpool", input, output_shape(input), pool_words(options_)));
}

Var GlobalAveragePool::forward(const Var& x) const { return global_average_pool(x); }

Shape GlobalAveragePool::output_shape(const Shape& input) const {
  require<ShapeError>(input.rank() == 3, "global_average_pool: expected input [H, W, C], got ",
                      input);
  return {input[2]};
}

std::unique_ptr<Module> GlobalAveragePool::materialize(DType) const {
  return std::make_unique<GlobalAveragePool>();
}

void GlobalAveragePool::collect_operations(const std::string& prefix, const Shape& input,
                                           Operations& operations) const {
  operations.push_back(plain_operation(prefix, "global_avgpool", input, output_shape(input)));
}

}  // namespace isotape
