#include <omp.h>
#include <array>
#include <atomic>
#include <dnnl.hpp>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/flop_count.hpp>
#include <isotape/core/tape.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/conv2d_kernel.hpp>

// The seam to oneDNN, version 2.6 to 3.x. Activations are plain NHWC; the weights, plain OHWI
// outside, have whatever format the primitive prefers. In training, where they change with every
// step, they are reordered once per call; in inference the reordered ones are kept.

namespace isotape {
namespace {

using dnnl::memory;

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
  switch (isa) {
    case dnnl::cpu_isa::sse41:
      return "sse41";
    case dnnl::cpu_isa::avx:
      return "avx";
    case dnnl::cpu_isa::avx2:
      return "avx2";
    case dnnl::cpu_isa::avx2_vnni:
      return "avx2_vnni";
    case dnnl::cpu_isa::avx512_core:
      return "avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "avx512_core_bf16";
    case dnnl::cpu_isa::avx512_core_amx:
      return "avx512_core_amx";
    // Versions differ in what else there is.
    default:
      return message("instruction set ", static_cast<unsigned>(isa));
  }
}

// ---- engine, threads

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

// A primitive is made for a number of threads and must run on as many: within a parallel region,
// where oneDNN would take the region's number for its own, that is one.
class OneThreadWhenNested {
 public:
  OneThreadWhenNested() : before_(omp_get_max_threads()) {
    if (omp_in_parallel() != 0) omp_set_num_threads(1);
  }
  ~OneThreadWhenNested() {
    if (omp_in_parallel() != 0) omp_set_num_threads(before_);
  }
  OneThreadWhenNested(const OneThreadWhenNested&) = delete;
  OneThreadWhenNested& operator=(const OneThreadWhenNested&) = delete;

 private:
  int before_;
};

// ---- primitives

struct Key {
  Conv2dGeometry geometry;
  Pass pass;
  bool bias;
  int threads;
  friend bool operator==(const Key& a, const Key& b) {
    return a.geometry == b.geometry && a.pass == b.pass && a.bias == b.bias &&
           a.threads == b.threads;
  }
};

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    const Conv2dGeometry& g = key.geometry;
    std::uint64_t hash = 0;
    for (const std::int64_t part :
         {g.images, g.height, g.width, g.channels, g.filters, g.kernel_height, g.kernel_width,
          g.stride, g.padding, g.groups, g.dilation, static_cast<std::int64_t>(key.pass),
          static_cast<std::int64_t>(key.bias), static_cast<std::int64_t>(key.threads)}) {
      hash = (hash ^ static_cast<std::uint64_t>(part)) * 0x9e3779b97f4a7c15U;  // golden ratio
      hash ^= hash >> 32;
    }
    return hash;
  }
};

// Reordered weights of the last few tensors that inference came with, known by their marks.
class KeptWeights {
 public:
  template <class Make>
  Tensor get(const Tensor& w, Make&& make) {
    const std::lock_guard lock(mutex_);
    for (const Slot& slot : slots_) {
      if (slot.reordered && slot.mark == w.mark()) return slot.reordered;
    }
    Slot& slot = slots_.at(next_++ % slots_.size());
    slot = {w.mark(), make()};
    return slot.reordered;
  }

 private:
  struct Slot {
    Tensor::Mark mark;
    Tensor reordered;
  };
  std::mutex mutex_;
  std::array<Slot, 8> slots_;
  std::size_t next_ = 0;
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

memory::desc activations(const Shape& shape) {
  return {
      {shape[0], shape[3], shape[1], shape[2]}, memory::data_type::f32, memory::format_tag::nhwc};
}

// [G, O/G, C/G, kh, kw] by the strides of OHWI; without groups the first extent falls away.
memory::desc weights(const Conv2dGeometry& g, bool plain) {
  memory::dims extents = {g.groups, g.group_filters(), g.group_channels(), g.kernel_height,
                          g.kernel_width};
  const std::int64_t pixel = g.group_channels();
  const std::int64_t filter = g.kernel_height * g.kernel_width * pixel;
  memory::dims strides = {g.group_filters() * filter, filter, 1, g.kernel_width * pixel, pixel};
  if (g.groups == 1) {
    extents.erase(extents.begin());
    strides.erase(strides.begin());
  }
  if (plain) return {extents, memory::data_type::f32, strides};
  return {extents, memory::data_type::f32, memory::format_tag::any};
}

dnnl::primitive_attr own_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

Convolution create(const Key& key) {
  const Conv2dGeometry& g = key.geometry;
  const dnnl::primitive_attr attributes = own_scratchpad();
  const auto direct = dnnl::algorithm::convolution_direct;
  const memory::desc any_w = weights(g, false);
  const memory::dims stride = {g.stride, g.stride};
  const memory::dims dilation = {g.dilation - 1, g.dilation - 1};  // 0 is dense here
  const memory::dims padding = {g.padding, g.padding};

  Convolution c;
  c.x = activations(g.x_shape());
  c.y = activations(g.y_shape());
  c.plain_w = weights(g, true);
  if (key.bias) c.bias = {{g.filters}, memory::data_type::f32, memory::format_tag::x};

  const auto forward = describe<dnnl::convolution_forward>(
      engine(), attributes, dnnl::prop_kind::forward_training, direct, c.x, any_w, c.bias, c.y,
      stride, dilation, padding, padding);
  if (key.pass == Pass::forward) {
    c.primitive = dnnl::convolution_forward(forward);
    c.w = forward.weights_desc();
    c.scratchpad = forward.scratchpad_desc();
  } else if (key.pass == Pass::grad_x) {
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
    const bool to_plain = key.pass == Pass::grad_w;
    const dnnl::reorder::primitive_desc description(engine(), to_plain ? c.w : c.plain_w, engine(),
                                                    to_plain ? c.plain_w : c.w, attributes);
    c.reorder = dnnl::reorder(description);
    c.reorder_scratchpad = description.scratchpad_desc();
    ++primitives_created;
  }
  return c;
}

std::shared_ptr<const Convolution> find_or_create(const Key& key) {
  static std::mutex mutex;
  static std::unordered_map<Key, std::shared_ptr<const Convolution>, KeyHash> cache;
  const std::lock_guard lock(mutex);
  const auto found = cache.find(key);
  if (found != cache.end()) return found->second;
  if (cache.size() >= largest_cache) cache.clear();
  return cache.emplace(key, std::make_shared<const Convolution>(create(key))).first->second;
}

// ---- calls

memory view(const memory::desc& description, const Tensor& tensor) {
  // oneDNN takes what it only reads as void*, too.
  return {description, engine(), const_cast<float*>(tensor.data<float>())};  // NOLINT
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
    arguments.insert_or_assign(DNNL_ARG_SCRATCHPAD,
                               memory(scratchpad, engine(), space.write<std::uint8_t>()));
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
auto with_convolution(const Conv2dGeometry& g, Pass pass, bool bias, F&& f) {
  const OneThreadWhenNested guard;
  count_convolution_flops(2 * static_cast<double>(g.y_shape().size()) *
                          static_cast<double>(g.kernel_height * g.kernel_width) *
                          static_cast<double>(g.group_channels()));
  try {
    return f(*find_or_create({g, pass, bias, omp_get_max_threads()}));
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
    reorder(c, view(c.plain_w, w), {c.w, engine(), result.write<std::uint8_t>()});
    return result;
  };
  space = keep ? c.kept->get(w, reordered) : reordered();
  // oneDNN takes what it only reads as void*, too.
  return {c.w, engine(), const_cast<std::uint8_t*>(space.data<std::uint8_t>())};  // NOLINT
}

Tensor forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& w, const Tensor& bias) {
  // Where nothing records, weights that somebody holds on to are likely to come again.
  const bool keep = Tape::active() == nullptr && !w.unique();
  return with_convolution(g, Pass::forward, bool(bias), [&](const Convolution& c) {
    Tensor y(g.y_shape());
    Tensor space;
    std::unordered_map<int, memory> arguments = {
        {DNNL_ARG_SRC, view(c.x, x)},
        {DNNL_ARG_WEIGHTS, preferred_weights(c, w, space, keep)},
        {DNNL_ARG_DST, memory(c.y, engine(), y.write<float>())}};
    if (bias) arguments.emplace(DNNL_ARG_BIAS, view(c.bias, bias));
    execute(c.primitive, c.scratchpad, std::move(arguments));
    return y;
  });
}

Tensor grad_x(const Conv2dGeometry& g, const Tensor& dy, const Tensor& w) {
  return with_convolution(g, Pass::grad_x, false, [&](const Convolution& c) {
    Tensor dx(g.x_shape());
    Tensor space;
    execute(c.primitive, c.scratchpad,
            {{DNNL_ARG_DIFF_DST, view(c.y, dy)},
             {DNNL_ARG_WEIGHTS, preferred_weights(c, w, space, false)},
             {DNNL_ARG_DIFF_SRC, memory(c.x, engine(), dx.write<float>())}});
    return dx;
  });
}

// On AVX2, oneDNN 2.6 overruns its own scratchpad in the weight gradient of a strided 1x1 kernel.
bool overruns(const Conv2dGeometry& g) {
  return g.kernel_height == 1 && g.kernel_width == 1 && g.stride > 1;
}

Tensor grad_w(const Conv2dGeometry& g, const Tensor& x, const Tensor& dy) {
  if (overruns(g)) return conv2d_im2col.grad_w(g, x, dy);
  return with_convolution(g, Pass::grad_w, false, [&](const Convolution& c) {
    Tensor dw(g.w_shape());
    const memory plain(c.plain_w, engine(), dw.write<float>());
    Tensor space = c.reorder ? bytes(c.w) : Tensor();
    const memory preferred = c.reorder ? memory(c.w, engine(), space.write<std::uint8_t>()) : plain;
    execute(c.primitive, c.scratchpad,
            {{DNNL_ARG_SRC, view(c.x, x)},
             {DNNL_ARG_DIFF_DST, view(c.y, dy)},
             {DNNL_ARG_DIFF_WEIGHTS, preferred}});
    if (c.reorder) reorder(c, preferred, plain);
    return dw;
  });
}

}  // namespace

const Conv2dKernel conv2d_onednn{forward, grad_x, grad_w};

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
