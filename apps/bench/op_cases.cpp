#include <isotape/apps/bench/op_cases.hpp>

#include <fmt/format.h>
#include <algorithm>
#include <optional>
#include <utility>

#include <isotape/core/random.hpp>
#include <isotape/ops/block_conv.hpp>
#include <isotape/ops/conv2d.hpp>
#include <isotape/ops/group_sort.hpp>
#include <isotape/ops/loss.hpp>
#include <isotape/ops/matmul.hpp>
#include <isotape/ops/pad.hpp>
#include <isotape/ops/pixel_shuffle.hpp>
#include <isotape/optim/adam.hpp>

namespace isotape {
namespace {

using Function = std::function<Var(Vars&)>;

std::string text(const Shape& shape) {
  return fmt::format("{}", fmt::join(shape.begin(), shape.end(), "x"));
}

double bytes(const Tensor& x) {
  return static_cast<double>(x.size()) * static_cast<double>(size_of(x.dtype()));
}

// Who holds the operands and dy during a call. Handed over, they are the call's own, fresh in the
// cache, and an operation may write its result over them.
enum class Held { by_us, handed_over };

// A recorded call of f, whose gradient goes back to those of the operands that are wanted.
struct Recording {
  Function f;
  Tensors operands;
  std::vector<bool> wanted;
  Held held;
  Tensor dy = {};
  std::unique_ptr<Tape> tape = {};
  Vars xs = {};
  Var y = {};
  Tensor upstream = {};

  Tensor lent(const Tensor& x) const { return held == Held::by_us ? x : x.clone(); }
  void start() {
    y = {};
    xs.clear();
    tape.reset();
    tape = std::make_unique<Tape>();
    for (std::size_t i = 0; i < operands.size(); ++i) {
      xs.push_back(wanted[i] ? tape->leaf(lent(operands[i])) : Var(lent(operands[i])));
    }
    upstream = lent(dy);
  }
};

Task task_of(Function f, Tensors operands, std::vector<bool> wanted, Held held = Held::by_us) {
  auto call = std::make_shared<Recording>(
      Recording{std::move(f), std::move(operands), std::move(wanted), held});
  {
    const Paused paused;
    Rng rng(7);
    Vars constants(call->operands.begin(), call->operands.end());
    call->dy = random_normal(rng, call->f(constants).shape());
  }
  return {[call] { call->start(); }, [call] { call->y = call->f(call->xs); },
          [call] { call->tape->backward(call->y, std::move(call->upstream)); }};
}

class Cases {
 public:
  Cases(std::int64_t batch, std::vector<Precision> precisions)
      : batch_(batch), precisions_(std::move(precisions)) {}

  // On the torus, as the layers call it. Three passes: the first recording wants the gradient of w,
  // the second that of x.
  void conv2d(const char* where, const Shape& image, const Shape& w) {
    const Tensors operands = {normal(batched(image)), normal(w)};
    const auto k = static_cast<int>(w[1]);
    const Padding border{k / 2, (k - 1) / 2, k / 2, (k - 1) / 2};
    const std::string shapes = text(operands[0].shape()) + " * " + text(w) + ", " + where;
    for (const Precision precision : precisions_) {
      const auto f = [border, precision](const Vars& v) {
        return isotape::conv2d(v[0], v[1], {}, {.border = border, .precision = precision});
      };
      const std::string named = shapes + suffix(precision);
      add({"conv2d", named, "forward", "grad_w"}, task_of(f, operands, {false, true}));
      add({"conv2d", named, "", "grad_x"}, task_of(f, operands, {true, false}));
    }
  }

  void affine(const char* where, std::int64_t in, std::int64_t out) {
    for (const Precision precision : precisions_) {
      add({"affine", fmt::format("{}x{} -> {}, {}{}", batch_, in, out, where, suffix(precision)),
           "forward", "backward"},
          task_of(
              [precision](const Vars& v) { return isotape::affine(v[0], v[1], v[2], precision); },
              {normal({batch_, in}), normal({out, in}), normal({out})}, {true, true, true}));
    }
  }

  // An operation on activations that reads x and writes y, and the reverse in its gradient.
  void moving(const char* op, const std::string& detail, const Shape& image, const Function& f,
              Held held = Held::by_us) {
    const Tensor x = normal(batched(image));
    Vars constant = {x};
    const double moved = bytes(x) + bytes(f(constant).value());
    add({op, text(x.shape()) + detail, "forward", "backward", moved, moved},
        task_of(f, {x}, {true}, held));
  }

  // As behind a convolution: in place on the images.
  void bias_max_min(const Shape& image, const char* where) {
    const Tensor x = normal(batched(image));
    add({"bias_max_min", text(x.shape()) + ", handed over, " + where, "forward", "backward",
         2 * bytes(x), 2 * bytes(x)},
        task_of([](Vars& v) { return isotape::bias_max_min(std::exchange(v[0], {}), v[1]); },
                {x, normal({image[2]})}, {true, true}, Held::handed_over));
  }

  void bcop_kernel(const char* where, std::int64_t k, std::int64_t in, std::int64_t out) {
    const std::int64_t c = std::max(in, out);
    Rng rng(1);
    add({"bcop_kernel", fmt::format("{}x{}x{}, {}", 2 * k - 1, c, c, where), "forward", "backward"},
        task_of([in, out](const Vars& v) { return isotape::bcop_kernel(v[0], in, out); },
                {random_orthogonal(rng, {2 * k - 1, c, c})}, {true}));
  }

  void loss(const char* op, Var (*f)(const Var&, std::span<const std::int32_t>)) {
    std::vector<std::int32_t> labels;
    for (std::int64_t i = 0; i < batch_; ++i) labels.push_back(static_cast<std::int32_t>(i % 10));
    const Tensor logits = normal({batch_, 10});
    add({op, text(logits.shape()), "forward", "backward", bytes(logits), 2 * bytes(logits)},
        task_of([f, labels](const Vars& v) { return f(v[0], labels); }, {logits}, {true}));
  }

  // Reads value, gradient and both moments; writes all but the gradient.
  void adam(const Shape& shape) {
    struct Trained {
      Parameter parameter;
      Tensor grad;
      std::optional<Adam> optimizer;
    };
    auto trained = std::make_shared<Trained>();
    trained->parameter = Parameter(normal(shape));
    trained->grad = normal(shape);
    trained->optimizer.emplace(ParameterList{{"w", &trained->parameter}});
    add({"adam", text(shape), "step", "", 7 * bytes(trained->grad)},
        {[trained] { trained->parameter.grad = trained->grad; },
         [trained] { trained->optimizer->step(1e-3); }});
  }

  std::vector<OpCase> take() { return std::move(cases_); }

 private:
  Shape batched(const Shape& image) const { return {batch_, image[0], image[1], image[2]}; }
  static const char* suffix(Precision precision) {
    return precision == Precision::bf16 ? ", bf16" : "";
  }
  static Tensor normal(const Shape& shape) {
    Rng rng(static_cast<std::uint64_t>(shape.size()));
    return random_normal(rng, shape);
  }
  void add(OpCase one, Task task) {
    one.task = std::move(task);
    cases_.push_back(std::move(one));
  }
  std::int64_t batch_;
  std::vector<Precision> precisions_;
  std::vector<OpCase> cases_;
};

}  // namespace

std::vector<OpCase> op_cases(std::int64_t batch, const std::vector<Precision>& precisions) {
  Cases cases(batch, precisions);
  // What a BCOP layer leaves of a stride: images unshuffled, the kernel divided by it.
  cases.conv2d("bcop-small conv1", {14, 14, 4}, {16, 2, 2, 4});
  cases.conv2d("bcop-small conv2", {7, 7, 64}, {32, 2, 2, 64});
  cases.conv2d("bcop-large conv1", {32, 32, 3}, {32, 3, 3, 3});
  cases.conv2d("bcop-large conv2", {16, 16, 128}, {32, 2, 2, 128});
  cases.conv2d("bcop-large conv3", {16, 16, 32}, {64, 3, 3, 32});
  cases.conv2d("bcop-large conv4", {8, 8, 256}, {64, 2, 2, 256});
  cases.affine("bcop-small fc1", 1568, 100);
  cases.affine("bcop-large fc1", 4096, 512);
  cases.affine("bcop-large fc2", 512, 512);
  cases.affine("mlp-3 fc2", 1024, 1024);

  const Function pairs = [](Vars& v) { return max_min(std::exchange(v[0], {})); };
  cases.moving("max_min", "", {8, 8, 128}, pairs);
  cases.moving("max_min", ", handed over", {8, 8, 128}, pairs, Held::handed_over);
  cases.moving("max_min", ", bcop-large act1", {32, 32, 32}, pairs);
  cases.bias_max_min({32, 32, 32}, "bcop-large act1");
  cases.bias_max_min({14, 14, 16}, "bcop-small act1");
  const Function fours = [](Vars& v) { return group_sort(std::exchange(v[0], {}), 4); };
  cases.moving("group_sort", ", groups of 4", {8, 8, 128}, fours);
  cases.moving("group_sort", ", groups of 4, handed over", {8, 8, 128}, fours, Held::handed_over);
  cases.moving("pad", ", circular, bcop-large conv1", {32, 32, 3}, [](const Vars& v) {
    return pad(v[0], {1, 1, 1, 1}, PadMode::circular);
  });
  cases.moving("pad", ", circular, bcop-large conv2", {16, 16, 128}, [](const Vars& v) {
    return pad(v[0], {1, 0, 1, 0}, PadMode::circular);
  });
  cases.moving("pixel_unshuffle", ", bcop-large conv2", {32, 32, 32},
               [](const Vars& v) { return pixel_unshuffle(v[0], 2); });

  cases.bcop_kernel("bcop-small conv2", 2, 64, 32);
  cases.bcop_kernel("bcop-large conv3", 3, 32, 64);
  cases.bcop_kernel("bcop-large conv4", 2, 256, 64);
  cases.loss("multi_margin", [](const Var& f, std::span<const std::int32_t> labels) {
    return multi_margin(f, labels, 1);
  });
  cases.loss("softmax_cross_entropy", softmax_cross_entropy);
  cases.adam({512, 4096});
  return cases.take();
}

std::vector<std::string_view> op_names() {
  return {"conv2d", "affine",          "max_min",     "bias_max_min", "group_sort",
          "pad",    "pixel_unshuffle", "bcop_kernel", "multi_margin", "softmax_cross_entropy",
          "adam"};
}

}  // namespace isotape
