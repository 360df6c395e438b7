#include <isotape/layers/upsample.hpp>

#include <isotape/core/error.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/pool.hpp>

namespace isotape {

constinit const LayerType upsample_type = {
    .type = "upsample",
    .kind = LayerKind::shape,
    .property = LayerProperty::bounded,
    .options = "factor, side",
    .description =
        "every pixel repeated factor (2) times each way, or as often as makes the sides "
        "`side`: multiplies norms by that",
    .cost = "",
    .source = "",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      const std::int64_t channels = input_channels(site);
      require<ShapeError>(channels >= 1, site.place(), ": expected channels, got input ",
                          site.input);
      if (site.options.find("side") == nullptr) {
        return std::make_unique<Upsample>(small_integer(site, "factor", 2));
      }
      require<ValueError>(site.options.find("factor") == nullptr, site.place(),
                          ": expected factor or side, got both");
      const int side = small_integer(site, "side", 0);
      require<ShapeError>(site.input[0] == site.input[1] && side % site.input[0] == 0, site.place(),
                          ": expected a square image whose sides divide ", side, ", got input ",
                          site.input);
      return std::make_unique<Upsample>(static_cast<int>(side / site.input[0]));
    },
};

Upsample::Upsample(int s) : s_(s) {
  require<ValueError>(s >= 1, "upsample: expected a factor >= 1, got ", s);
}

Var Upsample::forward(const Var& x) const { return s_ == 1 ? x : upsample_nearest(x, s_); }

Shape Upsample::output_shape(const Shape& input) const {
  require<ShapeError>(input.rank() == 3, "upsample: expected input [H, W, C], got ", input);
  return {input[0] * s_, input[1] * s_, input[2]};
}

std::string Upsample::describe() const { return message("Upsample ", s_, ", nearest"); }

NormPreservation Upsample::gnp() const {
  return s_ == 1 ? NormPreservation::both : NormPreservation::none;
}

std::unique_ptr<Module> Upsample::materialize(DType) const {
  return std::make_unique<Upsample>(s_);
}

void Upsample::collect_operations(const std::string& prefix, const Shape& input,
                                  Operations& operations) const {
  Operation repeated = plain_operation(prefix, "upsample", input, output_shape(input),
                                       {{"factor", std::int64_t{s_}}});
  repeated.bound = s_;
  operations.push_back(std::move(repeated));
}

}  // namespace isotape
