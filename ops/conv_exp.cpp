#include <isotape/ops/conv_exp.hpp>

#include <cmath>
#include <cstdint>
#include <utility>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/conv2d_choice.hpp>

// By Horner's rule y = z_0 with z_{t-1} = x, z_{i-1} = x + L z_i / i for t terms. The adjoint:
//
//     u_1 = dy,   u_{i+1} = L^T u_i / (i + 1),   grad_x = dy + sum_{0 < i < t} L^T u_i,
//     grad_l = sum_{0 < i < t} grad of <u_i, L z_i>,
//
// the last as one gradient over a batch of the (t - 1) N images z_i against those of u_i.

namespace isotape {
namespace {

const Op conv_exp_op("conv_exp");

constexpr std::int64_t kept_bytes = 16 << 20;

struct Series {
  Shape x;
  Shape l;
  int terms;
  PadMode border;
  std::int64_t groups;
  std::int64_t dilation;

  // L for so many copies of the batch.
  FramedConv2d conv(std::int64_t copies) const {
    const int rows = static_cast<int>(l[1] / 2 * dilation);
    const int columns = static_cast<int>(l[2] / 2 * dilation);
    const Frame frame({copies * x[0], x[1], x[2], x[3]}, {rows, rows, columns, columns}, border);
    const Shape padded = frame.padded_shape();
    return {frame,
            {padded[0], padded[1], padded[2], padded[3], l[0], l[1], l[2], x[1], x[2], 1, 0, groups,
             dilation}};
  }
  Tensor times(const Tensor& z, const Tensor& kernel) const {
    const FramedConv2d one = conv(1);
    return one.forward(one.padded(z), kernel, {});
  }
  Tensor transposed_times(const Tensor& u, const Tensor& kernel) const {
    return conv(1).grad_x(u, kernel);
  }
  Tensor stack(DType dtype) const { return Tensor({(terms - 1) * x[0], x[1], x[2], x[3]}, dtype); }
  // Image i of a stack, 0 < i < terms.
  Tensor image(const Tensor& stack, int i) const { return stack.rows((i - 1) * x[0], i * x[0]); }
};

// to = a + factor b, or factor b if a is absent.
template <class T>
void combine(const Tensor& a, const Tensor& b, double factor, Tensor to) {
  const T* const from_a = a ? a.data<T>() : nullptr;
  const T* const from_b = b.data<T>();
  const auto f = static_cast<T>(factor);
  parallel_for(to.size(), 1 << 14, [=, y = to.write<T>()](std::int64_t begin, std::int64_t end) {
    if (from_a == nullptr) {
      for (std::int64_t k = begin; k < end; ++k) y[k] = f * from_b[k];
    } else {
      for (std::int64_t k = begin; k < end; ++k) y[k] = from_a[k] + f * from_b[k];
    }
  });
}

// y, and z_1..z_{t-1} into a stack, if there is one.
template <class T>
Tensor forward(const Series& s, const Tensor& x, const Tensor& l, const Tensor& stack) {
  Tensor z = x;
  for (int i = s.terms - 1; i > 0; --i) {
    if (stack && i == s.terms - 1) combine<T>({}, x, 1, s.image(stack, i));
    const Tensor product = s.times(z, l);
    z = stack && i > 1 ? s.image(stack, i - 1) : product;
    combine<T>(x, product, 1.0 / i, z);
  }
  return z;
}

template <class T>
Grads<2> backward(const Series& s, const Tensor& x, const Tensor& l, Tensor z, const Tensor& dy,
                  Needs needs) {
  Tensor grad_x = dy.clone();
  Tensor u = dy;
  Tensor all_u;
  const bool of_l = needs(1) && s.terms > 1;
  if (of_l) {
    if (!z) forward<T>(s, x, l, z = s.stack(x.dtype()));
    all_u = s.stack(x.dtype());
    combine<T>({}, dy, 1, s.image(all_u, 1));
  }
  for (int i = 1; i < s.terms; ++i) {
    const bool last = i + 1 == s.terms;
    if (last && !needs(0)) break;
    const Tensor product = s.transposed_times(u, l);
    add_in_place(grad_x, product);
    if (last) break;
    u = of_l ? s.image(all_u, i + 1) : product;
    combine<T>({}, product, 1.0 / (i + 1), u);
  }
  Grads<2> grads;
  if (needs(0)) grads[0] = grad_x;
  if (of_l) {
    const FramedConv2d conv = s.conv(s.terms - 1);
    grads[1] = conv.grad_w(conv.padded(z), all_u);
  } else if (needs(1)) {
    grads[1] = Tensor::zeros(s.l, x.dtype());
  }
  return grads;
}

// dz_{i-1} = dx + (L dz_i + dL z_i) / i.
template <class T>
Tensor tangent(const Series& s, const Tensor& x, const Tensor& l, Tensor z, const Tangents<2>& d) {
  if (d[1] && !z) forward<T>(s, x, l, z = s.stack(x.dtype()));
  Tensor dz = d[0];
  for (int i = s.terms - 1; i > 0; --i) {
    Tensor sum = dz ? s.times(dz, l) : Tensor::zeros(s.x, x.dtype());
    if (d[1]) add_in_place(sum, s.times(s.image(z, i), d[1]));
    combine<T>(d[0], sum, 1.0 / i, sum);
    dz = sum;
  }
  return dz ? dz : Tensor::zeros(s.x, x.dtype());
}

void check(const Tensor& x, const Tensor& l, int terms, PadMode border, std::int64_t groups,
           std::int64_t dilation) {
  require<ShapeError>(x.rank() == 4 && x.shape().inner(0) > 0,
                      "conv_exp: expected x of shape [N, H, W, C], got ", x.shape());
  require<ShapeError>(groups >= 1 && l.rank() == 4 && l.size() > 0 && l.dim(0) == x.dim(3) &&
                          l.dim(3) * groups == x.dim(3) && l.dim(1) % 2 == 1 && l.dim(2) % 2 == 1 &&
                          l.dtype() == x.dtype(),
                      "conv_exp: expected l of type ", x.dtype(),
                      " and shape [C, h, w, C/groups] with C = ", x.dim(3), ", groups = ", groups,
                      " and h, w odd, got ", l.dtype(), " and ", l.shape());
  require<ValueError>(terms >= 1, "conv_exp: expected terms >= 1, got ", terms);
  require<ValueError>(dilation >= 1, "conv_exp: expected dilation >= 1, got ", dilation);
  require<ValueError>(
      border == PadMode::zero ||
          (l.dim(1) / 2 * dilation <= x.dim(1) && l.dim(2) / 2 * dilation <= x.dim(2)),
      "conv_exp: expected a circular border within the image ", x.shape(), ", got a kernel ",
      l.shape(), dilation > 1 ? message(" of dilation ", dilation) : "");
}

}  // namespace

Var conv_exp(const Var& x_var, const Var& l_var, int terms, PadMode border, std::int64_t groups,
             std::int64_t dilation) {
  const Tensor& x = x_var.value();
  const Tensor& l = l_var.value();
  check(x, l, terms, border, groups, dilation);
  const Series s{x.shape(), l.shape(), terms, border, groups, dilation};
  return dispatch_float(x.dtype(), "conv_exp", [&]<class T>() {
    const std::int64_t bytes = (terms - 1) * static_cast<std::int64_t>(x.bytes().size());
    const bool keep = terms > 1 && bytes <= kept_bytes && is_recording({l_var});
    const Tensor z = keep ? s.stack(x.dtype()) : Tensor();
    Tensor y = forward<T>(s, x, l, z);
    auto vjp = [s, x, l, z](const Tensor& dy, Needs needs) {
      return backward<T>(s, x, l, z, dy, needs);
    };
    auto jvp = [s, x, l, z](const Tangents<2>& d) { return tangent<T>(s, x, l, z, d); };
    return record(conv_exp_op, std::move(y), {x_var, l_var}, {x, l}, std::move(vjp),
                  std::move(jvp));
  });
}

namespace {

// For terms products and quotients, of relative error 2^-53 each, and exp, of a few of them.
double inflation(int terms) { return 1 + (2.0 * terms + 16) * 0x1p-52; }

// >= norm^terms / terms!; underflow, which loses less than the least double, included.
double remainder_bound(double norm, int terms) {
  double remainder = 1;
  for (int i = 1; i <= terms; ++i) remainder *= norm / i;
  return norm == 0 ? 0 : remainder * inflation(terms) + 0x1p-1000;
}

}  // namespace

double exp_series_bound(double norm, double skewness, int terms) {
  require<ValueError>(terms >= 1, "exp_series_bound: expected terms >= 1, got ", terms);
  const double inflated = inflation(terms);
  const double bound = std::exp(skewness) * inflated * (1 + remainder_bound(norm, terms));
  return bound * inflated;
}

// |exp(L) x| >= exp(-skewness) |x|, as the inverse exp(-L) has the same bound.
double exp_series_lower(double norm, double skewness, int terms) {
  require<ValueError>(terms >= 1, "exp_series_lower: expected terms >= 1, got ", terms);
  const double inflated = inflation(terms);
  const double lost = std::exp(skewness) * inflated * remainder_bound(norm, terms) * inflated;
  const double lower = std::exp(-skewness) / inflated - lost;
  return lower > 0 ? lower / inflated : 0;
}

}  // namespace isotape
