#include <isotape/core/gradcheck.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <ostream>

#include <isotape/core/error.hpp>
#include <isotape/core/random.hpp>

namespace isotape {
namespace {

using Function = std::function<Vars(const Vars&)>;
constexpr std::int64_t whole_jacobian_limit = 64;
constexpr double floor_factor = 1e-3;
constexpr double jvp_tolerance = 1e-9;

Tensor unit(const Tensor& like, std::int64_t entry) {
  Tensor e = Tensor::zeros(like.shape(), like.dtype());
  e.write<double>()[entry] = 1;
  return e;
}

double norm(const Tensors& xs) {
  return std::sqrt(std::accumulate(xs.begin(), xs.end(), 0.0,
                                   [](double sum, const Tensor& x) { return sum + dot(x, x); }));
}

double inner(const Tensors& a, const Tensors& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += dot(a[i], b[i]);
  return sum;
}

// One input of f under test, with the recording at the point.
class Checker {
 public:
  Checker(std::string_view name, const Function& f, const Tensors& at,
          const GradcheckOptions& options)
      : name_(name), f_(f), at_(at), options_(options), rng_(options.seed) {
    for (const Tensor& x : at) inputs_.push_back(tape_.leaf(x));
    outputs_ = f(inputs_);
    for (const Var& y : outputs_) {
      require<ValueError>(y.tape() == &tape_, name, ": expected outputs recorded from the inputs");
    }
    for (std::size_t n = 0; n < tape_.size(); ++n) {
      if (tape_.op_name(n) != "leaf") note_gradchecked(tape_.op_name(n));
    }
  }

  CheckReport run() {
    for (std::size_t i = 0; i < at_.size(); ++i) {
      seen_ = false;
      for (int direction = 0; direction < options_.directions && !failure_; ++direction) {
        Tensor v = random_normal(rng_, at_[i].shape(), 1, DType::f64);
        compare(i, v, random_dys(), "direction", direction);
      }
      if (!failure_ && at_[i].size() <= whole_jacobian_limit) whole_jacobian(i);
      if (!failure_ && !seen_ && !options_.may_vanish) {
        failure_ = message(name_, ": input ", i, " of shape ", at_[i].shape(),
                           ": the gradient vanishes on both sides in every direction");
      }
      if (failure_) return {false, *failure_};
    }
    return {true, message(name_, ": ok")};
  }

 private:
  Tensors random_dys() {
    Tensors dys;
    for (const Var& y : outputs_) {
      dys.push_back(random_normal(rng_, y.shape(), 1, DType::f64));
    }
    return dys;
  }

  Tensors evaluate(std::size_t input, const Tensor& v, double step) const {
    const Paused paused;
    Vars moved(at_.begin(), at_.end());
    Tensor x = at_[input].clone();
    add_in_place(x, v, step);
    moved[input] = x;
    Tensors ys;
    for (const Var& y : f_(moved)) ys.push_back(y.value());
    return ys;
  }

  // J v by a central stencil: weights of f(x + j h v) - f(x - j h v), over h.
  Tensors numeric_jvp(std::size_t input, const Tensor& v) const {
    static constexpr double stencils[3][3] = {
        {1.0 / 2, 0, 0}, {2.0 / 3, -1.0 / 12, 0}, {3.0 / 4, -3.0 / 20, 1.0 / 60}};
    const int arms = options_.points / 2;
    const double scale = max_abs(at_[input]);
    const double h = options_.step * (scale > 0 ? scale : 1);
    Tensors sum;
    for (const Var& y : outputs_) sum.push_back(Tensor::zeros(y.shape(), DType::f64));
    for (int j = 1; j <= arms; ++j) {
      const double weight = stencils[arms - 1][j - 1] / h;
      const Tensors plus = evaluate(input, v, j * h);
      const Tensors minus = evaluate(input, v, -j * h);
      for (std::size_t k = 0; k < sum.size(); ++k) {
        add_in_place(sum[k], plus[k], weight);
        add_in_place(sum[k], minus[k], -weight);
      }
    }
    return sum;
  }

  Tensor vjp(std::size_t input, const Tensors& dys) {
    tape_.clear_grads();
    Tensors copies;
    for (const Tensor& dy : dys) copies.push_back(dy.clone());
    tape_.backward(outputs_, copies, {.retain = true});
    const Tensor grad = inputs_[input].grad();
    return grad ? grad : Tensor::zeros(at_[input].shape(), DType::f64);
  }

  void compare(std::size_t input, const Tensor& v, const Tensors& dys, const char* what,
               std::int64_t index) {
    const Tensors tangents = tape_.jvp(outputs_, {&inputs_[input], 1}, {v});
    compare(input, v, dys, numeric_jvp(input, v), tangents, vjp(input, dys), what, index);
  }

  void compare(std::size_t input, const Tensor& v, const Tensors& dys,
               const Tensors& numeric_tangent, const Tensors& tangents, const Tensor& grad,
               const char* what, std::int64_t index) {
    const double numeric = inner(dys, numeric_tangent);
    const double analytic = dot(grad, v);
    const double forward = inner(dys, tangents);
    const double floor = floor_factor * norm(dys) * frobenius_norm(v);
    const double scale = std::max({std::abs(numeric), std::abs(analytic), floor});
    if (std::abs(analytic) > options_.tolerance * floor) seen_ = true;
    const auto fail = [&](const char* other, double value) {
      failure_ = message(name_, ": input ", input, " of shape ", at_[input].shape(), ": analytic ",
                         analytic, ", ", other, " ", value, " (", what, " ", index, ")");
    };
    if (!(std::abs(numeric - analytic) <= options_.tolerance * scale)) {
      fail("numeric", numeric);
    } else if (!(std::abs(forward - analytic) <= jvp_tolerance * scale)) {
      fail("jvp", forward);
    }
  }

  void whole_jacobian(std::size_t input) {
    std::int64_t outputs = 0;
    for (const Var& y : outputs_) outputs += y.value().size();
    std::vector<Tensors> rows;  // the dys, and the gradient of each
    Tensors grads;
    const auto add = [&](Tensors dys) {
      grads.push_back(vjp(input, dys));
      rows.push_back(std::move(dys));
    };
    if (outputs <= whole_jacobian_limit) {
      for (std::size_t k = 0; k < outputs_.size(); ++k) {
        for (std::int64_t j = 0; j < outputs_[k].value().size(); ++j) {
          Tensors dys;
          for (const Var& y : outputs_) dys.push_back(Tensor::zeros(y.shape(), DType::f64));
          dys[k] = unit(outputs_[k].value(), j);
          add(std::move(dys));
        }
      }
    } else {
      for (int d = 0; d < options_.directions; ++d) add(random_dys());
    }
    for (std::int64_t entry = 0; entry < at_[input].size() && !failure_; ++entry) {
      const Tensor v = unit(at_[input], entry);
      const Tensors numeric = numeric_jvp(input, v);
      const Tensors tangents = tape_.jvp(outputs_, {&inputs_[input], 1}, {v});
      for (std::size_t r = 0; r < rows.size() && !failure_; ++r) {
        compare(input, v, rows[r], numeric, tangents, grads[r], "entry", entry);
      }
    }
  }

  std::string_view name_;
  const Function& f_;
  const Tensors& at_;
  const GradcheckOptions& options_;
  Rng rng_;
  Tape tape_;
  Vars inputs_;
  Vars outputs_;
  bool seen_ = false;
  std::optional<std::string> failure_;
};

}  // namespace

std::ostream& operator<<(std::ostream& os, const CheckReport& report) {
  return os << report.detail;
}

CheckReport gradcheck(std::string_view name, const std::function<Vars(const Vars&)>& f,
                      const Tensors& at, const GradcheckOptions& options) {
  require<ValueError>(options.points == 2 || options.points == 4 || options.points == 6,
                      "gradcheck: expected a stencil of 2, 4 or 6 points, got ", options.points);
  for (const Tensor& x : at) {
    require<ValueError>(x.dtype() == DType::f64, "gradcheck: expected f64 inputs, got ", x.dtype());
  }
  return Checker(name, f, at, options).run();
}

CheckReport gradcheck(std::string_view name, const std::function<Var(const Vars&)>& f,
                      const Tensors& at, const GradcheckOptions& options) {
  return gradcheck(
      name, [&f](const Vars& in) { return Vars{f(in)}; }, at, options);
}

}  // namespace isotape
