#include <isotape/core/tensor.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include <isotape/core/bfloat16.hpp>
#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

constexpr std::int64_t elementwise_grain = 1 << 15;

template <class F>
decltype(auto) dispatch_any(DType dtype, F&& f) {
  if (dtype == DType::u8) return std::forward<F>(f).template operator()<std::uint8_t>();
  if (dtype == DType::bf16) return std::forward<F>(f).template operator()<BFloat16>();
  return dispatch_float(dtype, "tensor", std::forward<F>(f));
}

// Whatever is to be or was a bf16 passes through f32.
template <class To, class From>
To converted(From value) {
  if constexpr (std::is_same_v<From, BFloat16>) {
    return static_cast<To>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, BFloat16>) {
    return To(static_cast<float>(value));
  } else {
    return static_cast<To>(value);
  }
}

// An exponent of ones alone, which infinities and NaN have, carries into the sign bit when its
// lowest bit is added.
template <class T>
bool all_finite(const T* data, std::int64_t size) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Bits exponent = std::bit_cast<Bits>(std::numeric_limits<T>::infinity());
  constexpr Bits unit = exponent & (~exponent + 1);
  Bits found = 0;
#pragma omp simd reduction(| : found)
  for (std::int64_t i = 0; i < size; ++i) {
    found |= (std::bit_cast<Bits>(data[i]) & exponent) + unit;
  }
  return found <= exponent;
}

}  // namespace

Tensor::Tensor(const Shape& shape, DType dtype)
    : shape_(shape), dtype_(dtype), storage_(shape.size() * size_of(dtype)) {}

Tensor Tensor::zeros(const Shape& shape, DType dtype) {
  Tensor result(shape, dtype);
  std::memset(result.storage_.data(), 0, result.size() * size_of(dtype));
  return result;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype) {
  Tensor result(shape, dtype);
  dispatch_any(dtype, [&]<class T>() {
    std::fill_n(result.write<T>(), result.size(), converted<T>(value));
  });
  return result;
}

Tensor Tensor::eye(std::int64_t n, DType dtype) {
  Tensor result = zeros({n, n}, dtype);
  dispatch_any(dtype, [&]<class T>() {
    T* data = result.write<T>();
    for (std::int64_t i = 0; i < n; ++i) data[i * n + i] = converted<T>(1);
  });
  return result;
}

Tensor Tensor::of(std::span<const double> values, const Shape& shape, DType dtype) {
  require<ShapeError>(static_cast<std::int64_t>(values.size()) == shape.size(), "tensor: expected ",
                      shape.size(), " values for shape ", shape, ", got ", values.size());
  Tensor result(shape, dtype);
  dispatch_any(dtype, [&]<class T>() {
    std::transform(values.begin(), values.end(), result.write<T>(),
                   [](double value) { return converted<T>(value); });
  });
  return result;
}

Tensor Tensor::of(std::initializer_list<double> values, const Shape& shape, DType dtype) {
  return of(std::span<const double>(values.begin(), values.size()), shape, dtype);
}

void Tensor::check_dtype(DType requested) const {
  require<ShapeError>(static_cast<bool>(storage_), "tensor: expected elements of type ", requested,
                      ", got an absent tensor");
  require<ShapeError>(requested == dtype_, "tensor: expected elements of type ", requested,
                      ", got ", dtype_);
}

std::span<const std::byte> Tensor::bytes() const {
  if (!storage_) return {};
  const std::size_t item_size = size_of(dtype_);
  return {storage_.data() + offset_ * item_size, size() * item_size};
}

std::span<std::byte> Tensor::write_bytes() {
  if (!storage_) return {};
  storage_.advance_version();
  const std::size_t item_size = size_of(dtype_);
  return {storage_.data() + offset_ * item_size, size() * item_size};
}

double Tensor::at(std::int64_t index) const {
  require<ShapeError>(0 <= index && index < size(), "tensor: expected an index below ", size(),
                      ", got ", index);
  return dispatch_any(dtype_, [&]<class T>() { return converted<double>(data<T>()[index]); });
}

double Tensor::item() const {
  require<ShapeError>(size() == 1, "item: expected a tensor of one element, got shape ", shape_);
  return at(0);
}

Tensor Tensor::clone() const {
  if (!storage_) return {};
  note_copy();
  Tensor result(shape_, dtype_);
  const std::size_t item_size = size_of(dtype_);
  std::memcpy(result.storage_.data(), storage_.data() + offset_ * item_size, size() * item_size);
  return result;
}

Tensor Tensor::reshaped(const Shape& shape) const {
  require<ShapeError>(shape.size() == size(), "reshape: expected a shape of ", size(),
                      " elements for ", shape_, ", got ", shape);
  Tensor result = *this;
  result.shape_ = shape;
  return result;
}

Tensor Tensor::rows(std::int64_t begin, std::int64_t end) const {
  require<ShapeError>(rank() >= 1 && 0 <= begin && begin <= end && end <= dim(0),
                      "rows: expected 0 <= begin <= end <= the outermost extent of ", shape_,
                      ", got ", begin, " and ", end);
  Tensor result = *this;
  result.shape_ = shape_.with(0, end - begin);
  result.offset_ += begin * shape_.inner(0);
  return result;
}

Tensor Tensor::to(DType dtype) const {
  if (!storage_ || dtype == dtype_) return *this;
  note_copy();
  Tensor result(shape_, dtype);
  if (dtype_ == DType::f32 && dtype == DType::bf16) {
    const auto* const source = data<float>();
    auto* const target = result.write<BFloat16>();
    parallel_for(size(), elementwise_grain, [&](std::int64_t begin, std::int64_t end) {
      round_to_bf16(end - begin, source + begin, target + begin);
    });
    return result;
  }
  dispatch_any(dtype_, [&]<class From>() {
    const From* source = data<From>();
    dispatch_any(dtype, [&]<class To>() {
      To* target = result.write<To>();
      parallel_for(size(), elementwise_grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) target[i] = converted<To>(source[i]);
      });
    });
  });
  return result;
}

double dot(const Tensor& a, const Tensor& b) {
  if (!a || !b) return 0;
  require_same("dot", a, b);
  return dispatch_float(a.dtype(), "dot", [&]<class T>() {
    const T* x = a.data<T>();
    const T* y = b.data<T>();
    double sum = 0;
    for (std::int64_t i = 0; i < a.size(); ++i) sum += double(x[i]) * double(y[i]);
    return sum;
  });
}

double frobenius_norm(const Tensor& a) { return std::sqrt(dot(a, a)); }

double max_abs(const Tensor& a) {
  if (!a) return 0;
  return dispatch_float(a.dtype(), "max_abs", [&]<class T>() {
    double largest = 0;
    for (const T value : a.values<T>()) {
      const double magnitude = std::abs(double(value));
      if (std::isnan(magnitude)) return magnitude;
      largest = std::max(largest, magnitude);
    }
    return largest;
  });
}

double max_abs_diff(const Tensor& a, const Tensor& b) {
  if (!a || !b) return max_abs(a ? a : b);
  require_same("max_abs_diff", a, b);
  Tensor difference = a.clone();
  add_in_place(difference, b, -1);
  return max_abs(difference);
}

bool all_finite(const Tensor& a) {
  if (!a) return true;
  return dispatch_float(a.dtype(), "all_finite", [&]<class T>() {
    const T* data = a.data<T>();
    std::atomic<bool> finite = true;
    parallel_for(a.size(), elementwise_grain, [&](std::int64_t begin, std::int64_t end) {
      if (!all_finite(data + begin, end - begin)) finite = false;
    });
    return finite.load();
  });
}

void add_in_place(Tensor& y, const Tensor& x, double alpha) {
  require_same("add_in_place", y, x);
  dispatch_float(y.dtype(), "add_in_place", [&]<class T>() {
    T* target = y.write<T>();
    const T* source = x.data<T>();
    const T factor = static_cast<T>(alpha);
    parallel_for(y.size(), elementwise_grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) target[i] += factor * source[i];
    });
  });
}

void require_same(std::string_view op, const Tensor& a, const Tensor& b) {
  require<ShapeError>(a.shape() == b.shape(), op, ": expected equal shapes, got ", a.shape(),
                      " and ", b.shape());
  require<ShapeError>(a.dtype() == b.dtype(), op, ": expected equal element types, got ", a.dtype(),
                      " and ", b.dtype());
}

}  // namespace isotape
