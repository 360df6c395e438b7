#include <isotape/layers/ossn.hpp>

#include <isotape/core/error.hpp>
#include <isotape/layers/conv2d.hpp>
#include <isotape/layers/site.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/ops/one_sided.hpp>

namespace isotape {
namespace {

constexpr int first_iterations = 100;

// x / |x|; zero stays zero.
Tensor unit(const Tensor& x) {
  const double length = frobenius_norm(x);
  return length == 0 ? x : scale(x, 1 / length).value();
}

}  // namespace

OneSidedNorm::OneSidedNorm(const Tensor& kernel, const Shape& image, int iterations,
                           const Conv2dOptions& options, Rng& rng)
    : iterations_(iterations),
      options_(options),
      v_(unit(random_normal(rng, {1, image[0], image[1], image[2]}, 1, kernel.dtype()))) {
  iterate(kernel, first_iterations);
}

void OneSidedNorm::advance(const Tensor& kernel) {
  iterate(kernel, iterations_);
  ++version_;
}

// v <- A^T A v / |.|, u = A v / |A v|, g = d(u^T A v) / d kernel, each by the convolution's vjp.
void OneSidedNorm::iterate(const Tensor& kernel, int iterations) {
  for (int i = 0; i <= iterations; ++i) {
    Tape tape;
    const Var w = tape.leaf(kernel);
    const Var v = tape.leaf(v_);
    const Var image = conv2d(v, w, {}, options_);
    tape.backward(image, unit(image.value()).clone());
    g_ = w.grad();
    if (i < iterations) v_ = unit(v.grad());
  }
}

Var OneSidedNorm::apply(const Var& kernel) const {
  return one_sided_normalize(kernel, g_.to(kernel.dtype()));
}

void OneSidedNorm::collect(const std::string& prefix, BufferList& buffers) {
  buffers.push_back({prefix + "v", &v_});
  buffers.push_back({prefix + "g", &g_});
}

constinit const LayerType ossn_type = {
    .type = "ossn",
    .kind = LayerKind::convolution,
    .property = LayerProperty::bounded,
    .options = "out, kernel, stride, groups, dilation, padding, bias, iterations",
    .description =
        "convolution divided by a power iteration's estimate of its norm on the image "
        "that it sees, if above 1; the bound is proved from the kernel itself",
    .cost = "iterations (default 10) times three passes of one image",
    .source = "Gouk 2018; Li 2019",
    .build = [](Site& site) -> std::unique_ptr<Module> {
      const std::int64_t c_in = input_channels(site);
      const std::int64_t out = output_extent(site);
      const int kernel = small_integer(site, "kernel", 3);
      Conv2dLayerOptions options = conv_options(site, kernel);
      options.one_sided = OneSidedOptions{small_integer(site, "iterations", 10), site.input};
      return std::make_unique<Conv2d>(c_in, out, kernel, Unconstrained{}, site.rng, options);
    },
};

}  // namespace isotape
