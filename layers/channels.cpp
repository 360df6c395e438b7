#include <isotape/layers/channels.hpp>

#include <isotape/core/error.hpp>
#include <isotape/layers/operation.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/channels.hpp>

namespace isotape {

constinit const LayerType channel_pad_type = {
    .type = "channel-pad",
    .kind = LayerKind::shape,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "out",
    .description = "channels of zeros appended, up to out",
    .cost = "",
    .source = "",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      const std::int64_t out = output_extent(site);
      require<ShapeError>(site.input.rank() >= 1 && site.input[-1] <= out, site.place(),
                          ": expected at most ", out, " channels, got input ", site.input);
      return std::make_unique<ChannelPad>(site.input[-1], out);
    },
};

constinit const LayerType channel_shuffle_type = {
    .type = "channel-shuffle",
    .kind = LayerKind::shape,
    .property = LayerProperty::gradient_norm_preserving,
    .options = "groups",
    .description = "channels of groups (2) dealt out in turn",
    .cost = "",
    .source = "Zhang 2018",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      return std::make_unique<ChannelShuffle>(small_integer(site, "groups", 2));
    },
};

ChannelPad::ChannelPad(std::int64_t from, std::int64_t channels)
    : from_(from), channels_(channels) {
  require<ValueError>(1 <= from && from <= channels, "channel_pad: expected at most ", channels,
                      " channels, got ", from);
}

Var ChannelPad::forward(const Var& x) const { return channel_pad(x, channels_); }

Shape ChannelPad::output_shape(const Shape& input) const {
  require<ShapeError>(input.rank() >= 1 && input[-1] == from_, "channel_pad: expected ", from_,
                      " channels, got input ", input);
  return input.with(-1, channels_);
}

std::string ChannelPad::describe() const {
  return message("ChannelPad ", from_, " -> ", channels_);
}

NormPreservation ChannelPad::gnp() const {
  return from_ == channels_ ? NormPreservation::both : NormPreservation::forward;
}

std::unique_ptr<Module> ChannelPad::materialize(DType) const {
  return std::make_unique<ChannelPad>(from_, channels_);
}

void ChannelPad::collect_operations(const std::string& prefix, const Shape& input,
                                    Operations& operations) const {
  operations.push_back(plain_operation(prefix, "channel_pad", input, output_shape(input),
                                       {{"channels", channels_}}));
}

ChannelShuffle::ChannelShuffle(std::int64_t groups) : groups_(groups) {
  require<ValueError>(groups >= 1, "channel_shuffle: expected groups >= 1, got ", groups);
}

Var ChannelShuffle::forward(const Var& x) const { return channel_shuffle(x, groups_); }

Shape ChannelShuffle::output_shape(const Shape& input) const {
  require<ShapeError>(input.rank() >= 1 && input[-1] % groups_ == 0,
                      "channel_shuffle: expected channels in ", groups_, " groups, got input ",
                      input);
  return input;
}

std::string ChannelShuffle::describe() const { return message("ChannelShuffle ", groups_); }

std::unique_ptr<Module> ChannelShuffle::materialize(DType) const {
  return std::make_unique<ChannelShuffle>(groups_);
}

void ChannelShuffle::collect_operations(const std::string& prefix, const Shape& input,
                                        Operations& operations) const {
  operations.push_back(plain_operation(prefix, "channel_shuffle", input, output_shape(input),
                                       {{"groups", groups_}}));
}

}  // namespace isotape
