#include <array>
#include <atomic>
#include <dnnl.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/flop_count.hpp>
#include <isotape/core/tape.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/conv2d_kernel.hpp>
#include <isotape/ops/kept_weights.hpp>
#include <isotape/ops/product_bf16.hpp>

// The seam to oneDNN, version 2.6 to 3.x. Activations are plain NHWC; the weights, plain OHWI
// outside, have whatever format the primitive prefers. In training, where they change with every
// step, they are reordered once per call; in inference the reordered ones are kept.

namespace isotape {
namespace {

using dnnl::memory;
using Type = memory::data_type;

enum class Pass { forward, grad_x, grad_w };

constexpr std::size_t largest_cache = 1024;
std::atomic<std::int64_t> primitives_created{0};
std::atomic<std::int64_t> scratchpads{0};
std::atomic<std::int64_t> reorders{0};

// ---- 2.x and 3.x differ in how a primitive is described

#if DNNL_VERSION_MAJOR >= 3
template <class P, class... A>
auto describe(const dnnl::engine& engine, const dnnl::primitive_attr& attributes, const A&... a) {
  return typename P::primitive_desc(engine, a..., attributes);
}
template <class P, class Hint, class... A>
auto describe_backward(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                       const Hint& forward, const A&... a) {
  return typename P::primitive_desc(engine, a..., forward, attributes);
}
#else
template <class P, class... A>
auto describe(const dnnl::engine& engine, const dnnl::primitive_attr& attributes, const A&... a) {
  return typename P::primitive_desc(typename P::desc(a...), attributes, engine);
}
template <class P, class Hint, class... A>
auto describe_backward(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                       const Hint& forward, const A&... a) {
  return typename P::primitive_desc(typename P::desc(a...), attributes, engine, forward);
}
#endif

std::string isa_name(dnnl::cpu_isa isa) {
  using dnnl::cpu_isa;
  constexpr std::pair<cpu_isa, const char*> names[] = {
      {cpu_isa::sse41, "sse41"},
      {cpu_isa::avx, "avx"},
      {cpu_isa::avx2, "avx2"},
      {cpu_isa::avx2_vnni, "avx2_vnni"},
      {cpu_isa::avx512_core, "avx512_core"},
      {cpu_isa::avx512_core_vnni, "avx512_core_vnni"},
      {cpu_isa::avx512_core_bf16, "avx512_core_bf16"},
      {cpu_isa::avx512_core_amx, "avx512_core_amx"}};
  for (const auto& [known, name] : names) {
    if (known == isa) return name;
  }
  return message("instruction set ", static_cast<unsigned>(isa));  // versions differ in the others
}

// ---- engine, threads

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

// ---- primitives

// What a primitive is made for; a pass of a convolution or, by its own kind, a product.
using Key = std::array<std::int64_t, 18>;
constexpr std::int64_t product_kind = 3;

Key key_of(const Conv2dGeometry& g, Pass pass, Precision precision, bool bias) {
  return {static_cast<std::int64_t>(pass),
          static_cast<std::int64_t>(precision),
          num_threads(),
          std::int64_t{bias},
          g.images,
          g.height,
          g.width,
          g.channels,
          g.filters,
          g.kernel_height,
          g.kernel_width,
          g.out_height,
          g.out_width,
          g.stride,
          g.padding,
          g.groups,
          g.dilation};
}

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    std::uint64_t hash = 0;
    for (const std::int64_t part : key) {
      hash = (hash ^ static_cast<std::uint64_t>(part)) * 0x9e3779b97f4a7c15U;  // golden ratio
      hash ^= hash >> 32;
    }
    return hash;
  }
};

// A primitive with its reorder between plain and preferred weights, if they differ; const and, with
// a scratchpad per call, usable by several threads at once.
struct Convolution {
  dnnl::primitive primitive;
  dnnl::primitive reorder;
  memory::desc x, plain_w, w, bias, y;
  memory::desc scratchpad, reorder_scratchpad;
  std::shared_ptr<KeptWeights> kept = std::make_shared<KeptWeights>();
};

memory::desc activations(const Shape& shape, Type type) {
  return {{shape[0], shape[3], shape[1], shape[2]}, type, memory::format_tag::nhwc};
}

// [G, O/G, C/G, kh, kw] by the strides of OHWI; without groups the first extent falls away.
memory::desc weights(const Conv2dGeometry& g, bool plain, Type type) {
  memory::dims extents = {g.groups, g.group_filters(), g.group_channels(), g.kernel_height,
                          g.kernel_width};
  const std::int64_t pixel = g.group_channels();
  const std::int64_t filter = g.kernel_height * g.kernel_width * pixel;
  memory::dims strides = {g.group_filters() * filter, filter, 1, g.kernel_width * pixel, pixel};
  if (g.groups == 1) {
    extents.erase(extents.begin());
    strides.erase(strides.begin());
  }
  if (plain) return {extents, type, strides};
  return {extents, type, memory::format_tag::any};
}

dnnl::primitive_attr own_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

// In bf16, what a pass reads is bf16 and what it computes f32; weights come and go as f32.
Convolution create(const Conv2dGeometry& g, Pass pass, Precision precision, bool bias) {
  const Type read = precision == Precision::bf16 ? Type::bf16 : Type::f32;
  const dnnl::primitive_attr attributes = own_scratchpad();
  const auto direct = dnnl::algorithm::convolution_direct;
  const memory::dims stride = {g.stride, g.stride};
  const memory::dims dilation = {g.dilation - 1, g.dilation - 1};  // 0 is dense here
  const memory::dims padding = {g.padding, g.padding};

  Convolution c;
  c.x = activations(g.x_shape(), pass == Pass::grad_x ? Type::f32 : read);
  c.y = activations(g.y_shape(), pass == Pass::forward ? Type::f32 : read);
  c.plain_w = weights(g, true, Type::f32);
  const memory::desc any_w = weights(g, false, pass == Pass::grad_w ? Type::f32 : read);
  if (bias) c.bias = {{g.filters}, Type::f32, memory::format_tag::x};

  const auto forward = describe<dnnl::convolution_forward>(
      engine(), attributes, dnnl::prop_kind::forward_training, direct,
      activations(g.x_shape(), read), weights(g, false, read), c.bias, c.y, stride, dilation,
      padding, padding);
  if (pass == Pass::forward) {
    c.primitive = dnnl::convolution_forward(forward);
    c.w = forward.weights_desc();
    c.scratchpad = forward.scratchpad_desc();
  } else if (pass == Pass::grad_x) {
    const auto backward = describe_backward<dnnl::convolution_backward_data>(
        engine(), attributes, forward, direct, c.x, any_w, c.y, stride, dilation, padding, padding);
    c.primitive = dnnl::convolution_backward_data(backward);
    c.w = backward.weights_desc();
    c.scratchpad = backward.scratchpad_desc();
  } else {
    const auto backward = describe_backward<dnnl::convolution_backward_weights>(
        engine(), attributes, forward, direct, c.x, any_w, c.y, stride, dilation, padding, padding);
    c.primitive = dnnl::convolution_backward_weights(backward);
    c.w = backward.diff_weights_desc();
    c.scratchpad = backward.scratchpad_desc();
  }
  ++primitives_created;

  if (c.w != c.plain_w) {
    const bool to_plain = pass == Pass::grad_w;
    const dnnl::reorder::primitive_desc description(engine(), to_plain ? c.w : c.plain_w, engine(),
                                                    to_plain ? c.plain_w : c.w, attributes);
    c.reorder = dnnl::reorder(description);
    c.reorder_scratchpad = description.scratchpad_desc();
    ++primitives_created;
  }
  return c;
}

// c = op(a) op(b) of bf16 matrices, c in f32: x, w and y stand for a, b and c.
Convolution create(const Bf16Product& p, bool bias) {
  const dnnl::primitive_attr attributes = own_scratchpad();
  const auto matrix = [](std::int64_t rows, std::int64_t columns, bool transposed) {
    return memory::desc({rows, columns}, Type::bf16,
                        transposed ? memory::format_tag::ba : memory::format_tag::ab);
  };
  Convolution c;
  c.x = matrix(p.m, p.k, p.trans_a);
  c.w = matrix(p.k, p.n, p.trans_b);
  c.y = {{p.m, p.n}, Type::f32, memory::format_tag::ab};
  if (bias) c.bias = {{1, p.n}, Type::f32, memory::format_tag::ab};
  const auto description = bias
                               ? describe<dnnl::matmul>(engine(), attributes, c.x, c.w, c.bias, c.y)
                               : describe<dnnl::matmul>(engine(), attributes, c.x, c.w, c.y);
  c.primitive = dnnl::matmul(description);
  c.scratchpad = description.scratchpad_desc();
  ++primitives_created;
  return c;
}

std::shared_ptr<const Convolution> find_or_create(const Key& key,
                                                  const std::function<Convolution()>& make) {
  static std::mutex mutex;
  static std::unordered_map<Key, std::shared_ptr<const Convolution>, KeyHash> cache;
  const std::lock_guard lock(mutex);
  const auto found = cache.find(key);
  if (found != cache.end()) return found->second;
  if (cache.size() >= largest_cache) cache.clear();
  return cache.emplace(key, std::make_shared<const Convolution>(make())).first->second;
}

// ---- calls

memory view(const memory::desc& description, const Tensor& tensor) {
  // oneDNN takes what it only reads as void*, too.
  return {description, engine(), const_cast<std::byte*>(tensor.bytes().data())};  // NOLINT
}

memory written(const memory::desc& description, Tensor& tensor) {
  return {description, engine(), tensor.write_bytes().data()};
}

Tensor bytes(const memory::desc& description) {
  return Tensor({static_cast<std::int64_t>(description.get_size())}, DType::u8);
}

void execute(const dnnl::primitive& primitive, const memory::desc& scratchpad,
             std::unordered_map<int, memory> arguments) {
  Tensor space;
  if (scratchpad.get_size() > 0) {
    ++scratchpads;
    space = bytes(scratchpad);
    arguments.insert_or_assign(DNNL_ARG_SCRATCHPAD, written(scratchpad, space));
  }
  dnnl::stream stream(engine());
  primitive.execute(stream, arguments);
  stream.wait();
}

void reorder(const Convolution& c, const memory& from, const memory& to) {
  execute(c.reorder, c.reorder_scratchpad, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  ++reorders;
}

// Runs f on the primitive of this pass; an error of oneDNN says which convolution it was.
template <class F>
auto with_convolution(const Conv2dGeometry& g, Pass pass, Precision precision, bool bias, F&& f) {
  const double flops = 2 * static_cast<double>(g.y_shape().size()) *
                       static_cast<double>(g.kernel_height * g.kernel_width) *
                       static_cast<double>(g.group_channels());
  const LibraryThreads threads(flops);
  precision == Precision::bf16 ? count_flops(DType::bf16, flops) : count_convolution_flops(flops);
  try {
    return f(*find_or_create(key_of(g, pass, precision, bias),
                             [&] { return create(g, pass, precision, bias); }));
  } catch (const dnnl::error& error) {
    throw Error(message("conv2d: expected oneDNN to compute x ", g.x_shape(), " with w ",
                        g.w_shape(), ", got status ", error.status, ": ", error.what()));
  }
}

// The weights as the primitive wants them; `space` holds them if that is not as they are. If
// `keep`, they may be those of an earlier call.
memory preferred_weights(const Convolution& c, const Tensor& w, Tensor& space, bool keep) {
  if (!c.reorder) return view(c.w, w);
  const auto reordered = [&] {
    Tensor result = bytes(c.w);
    reorder(c, view(c.plain_w, w), written(c.w, result));
    return result;
  };
  space = keep ? c.kept->get(w, reordered) : reordered();
  return view(c.w, space);
}

template <Precision P>
Tensor forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& w, const Tensor& bias) {
  // Where nothing records, weights that somebody holds on to are likely to come again.
  const bool keep = Tape::active() == nullptr && !w.unique();
  return with_convolution(g, Pass::forward, P, bool(bias), [&](const Convolution& c) {
    Tensor y(g.y_shape());
    Tensor space;
    std::unordered_map<int, memory> arguments = {
        {DNNL_ARG_SRC, view(c.x, x)},
        {DNNL_ARG_WEIGHTS, preferred_weights(c, w, space, keep)},
        {DNNL_ARG_DST, written(c.y, y)}};
    if (bias) arguments.emplace(DNNL_ARG_BIAS, view(c.bias, bias));
    execute(c.primitive, c.scratchpad, std::move(arguments));
    return y;
  });
}

template <Precision P>
Tensor grad_x(const Conv2dGeometry& g, const Tensor& dy, const Tensor& w) {
  return with_convolution(g, Pass::grad_x, P, false, [&](const Convolution& c) {
    Tensor dx(g.x_shape());
    Tensor space;
    execute(c.primitive, c.scratchpad,
            {{DNNL_ARG_DIFF_DST, view(c.y, dy)},
             {DNNL_ARG_WEIGHTS, preferred_weights(c, w, space, false)},
             {DNNL_ARG_DIFF_SRC, written(c.x, dx)}});
    return dx;
  });
}

// On AVX2, oneDNN 2.6 overruns its own scratchpad in the weight gradient of a strided 1x1 kernel.
bool overruns(const Conv2dGeometry& g) {
  return g.kernel_height == 1 && g.kernel_width == 1 && g.stride > 1;
}

template <Precision P>
Tensor grad_w(const Conv2dGeometry& g, const Tensor& x, const Tensor& dy) {
  if (P == Precision::full && overruns(g)) return conv2d_im2col.grad_w(g, x, dy);
  return with_convolution(g, Pass::grad_w, P, false, [&](const Convolution& c) {
    Tensor dw(g.w_shape());
    Tensor space = c.reorder ? bytes(c.w) : Tensor();
    const memory preferred = written(c.w, c.reorder ? space : dw);
    execute(c.primitive, c.scratchpad,
            {{DNNL_ARG_SRC, view(c.x, x)},
             {DNNL_ARG_DIFF_DST, view(c.y, dy)},
             {DNNL_ARG_DIFF_WEIGHTS, preferred}});
    if (c.reorder) reorder(c, preferred, written(c.plain_w, dw));
    return dw;
  });
}

}  // namespace

const Conv2dKernel conv2d_onednn{forward<Precision::full>, grad_x<Precision::full>,
                                 grad_w<Precision::full>};
const Conv2dKernel conv2d_bf16{forward<Precision::bf16>, grad_x<Precision::bf16>,
                               grad_w<Precision::bf16>};

Tensor multiply_bf16(const Bf16Product& p, const Tensor& a, const Tensor& b, const Tensor& bias) {
  const double flops = 2 * static_cast<double>(p.m) * static_cast<double>(p.n * p.k);
  const LibraryThreads threads(flops);
  count_flops(DType::bf16, flops);
  const Key key = {product_kind, num_threads(), p.m, p.n, p.k, p.trans_a, p.trans_b, bool(bias)};
  try {
    const auto c = find_or_create(key, [&] { return create(p, bool(bias)); });
    Tensor y({p.m, p.n});
    std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, view(c->x, a)},
                                                 {DNNL_ARG_WEIGHTS, view(c->w, b)},
                                                 {DNNL_ARG_DST, written(c->y, y)}};
    if (bias) arguments.emplace(DNNL_ARG_BIAS, view(c->bias, bias));
    execute(c->primitive, c->scratchpad, std::move(arguments));
    return y;
  } catch (const dnnl::error& error) {
    throw Error(message("matmul: expected oneDNN to multiply [", p.m, ", ", p.k, "] by [", p.k,
                        ", ", p.n, "] in bf16, got status ", error.status, ": ", error.what()));
  }
}

bool cpu_has_bf16() {
  const auto bits = [](dnnl::cpu_isa isa) { return static_cast<unsigned>(isa); };
  const unsigned needed = bits(dnnl::cpu_isa::avx512_core_bf16);
  return (bits(dnnl::get_effective_cpu_isa()) & needed) == needed;
}

Conv2dCounters conv2d_counters() { return {primitives_created, reorders, scratchpads}; }

std::string onednn_description() {
  const dnnl_version_t* version = dnnl::version();
  const std::string threads = version->cpu_runtime == DNNL_RUNTIME_OMP   ? "OpenMP"
                              : version->cpu_runtime == DNNL_RUNTIME_SEQ ? "one thread"
                              : version->cpu_runtime == DNNL_RUNTIME_TBB ? "TBB"
                                                                         : "threads of its own";
  return message(version->major, '.', version->minor, '.', version->patch, ", ", threads, ", ",
                 isa_name(dnnl::get_effective_cpu_isa()));
}

}  // namespace isotape
