#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include <isotape/core/dtype.hpp>
#include <isotape/core/memory.hpp>
#include <isotape/core/shape.hpp>

namespace isotape {

/// Dense, contiguous, row-major array with a run-time element type. A Tensor is a cheap handle:
/// copies share their storage, clone() copies the elements. A default-constructed Tensor is
/// *absent*: it converts to false and stands for "no gradient", "zero tangent" or "no bias".
class Tensor {
 public:
  Tensor() = default;
  /// Uninitialised elements.
  explicit Tensor(const Shape& shape, DType dtype = DType::f32);

  static Tensor zeros(const Shape& shape, DType dtype = DType::f32);
  static Tensor full(const Shape& shape, double value, DType dtype = DType::f32);
  /// The n x n identity.
  static Tensor eye(std::int64_t n, DType dtype = DType::f32);
  /// Elements in row-major order, converted to `dtype`.
  /// @throws ShapeError  if their number is not shape.size()
  static Tensor of(std::span<const double> values, const Shape& shape, DType dtype = DType::f32);
  static Tensor of(std::initializer_list<double> values, const Shape& shape,
                   DType dtype = DType::f32);

  explicit operator bool() const { return static_cast<bool>(storage_); }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  int rank() const { return shape_.rank(); }
  std::int64_t dim(int axis) const { return shape_[axis]; }
  /// Number of elements; 0 if absent.
  std::int64_t size() const { return storage_ ? shape_.size() : 0; }

  /// Elements for reading. @throws ShapeError if T is not the element type
  template <class T>
  const T* data() const {
    check_dtype(dtype_of<T>());
    return reinterpret_cast<const T*>(storage_.data()) + offset_;
  }
  /// Elements for writing, in this handle and in all that share its storage; advances the version,
  /// so that a backward pass that needs the old values refuses to run.
  template <class T>
  T* write() {
    check_dtype(dtype_of<T>());
    storage_.advance_version();
    return reinterpret_cast<T*>(storage_.data()) + offset_;
  }
  template <class T>
  std::span<const T> values() const {
    return {data<T>(), static_cast<std::size_t>(size())};
  }
  /// The elements of whatever type, as bytes; write_bytes() advances the version as write() does.
  std::span<const std::byte> bytes() const;
  std::span<std::byte> write_bytes();
  /// One element of whatever type, as double, by its row-major position.
  double at(std::int64_t index) const;
  /// The single element of a tensor of size 1.
  double item() const;

  Tensor clone() const;
  /// The same elements under another shape of equal size; shares the storage.
  Tensor reshaped(const Shape& shape) const;
  /// Entries begin..end-1 of the outermost axis; shares the storage.
  Tensor rows(std::int64_t begin, std::int64_t end) const;
  /// Converted copy; the tensor itself if it already has this element type.
  Tensor to(DType dtype) const;

  /// Whether no other handle shares the storage, so that it may be overwritten unseen.
  bool unique() const { return storage_ && storage_.unique(); }
  bool shares_storage_with(const Tensor& other) const { return storage_ == other.storage_; }
  std::uint64_t version() const { return storage_.version(); }

  /// Which elements in which version: equal marks mean equal values.
  struct Mark {
    std::uint64_t storage = 0;
    std::uint64_t version = 0;
    std::int64_t offset = 0;
    friend bool operator==(const Mark&, const Mark&) = default;
  };
  Mark mark() const { return {storage_.id(), storage_.version(), offset_}; }

 private:
  void check_dtype(DType requested) const;
  Shape shape_;
  DType dtype_ = DType::f32;
  std::int64_t offset_ = 0;
  Storage storage_;
};

using Tensors = std::vector<Tensor>;

/// Plain measurements, accumulated in f64. An absent tensor counts as zeros.
double dot(const Tensor& a, const Tensor& b);
double frobenius_norm(const Tensor& a);
double max_abs(const Tensor& a);
double max_abs_diff(const Tensor& a, const Tensor& b);
bool all_finite(const Tensor& a);

/// y += alpha * x in place, through y's storage. @throws ShapeError on unequal shapes or types
void add_in_place(Tensor& y, const Tensor& x, double alpha = 1);

/// @throws ShapeError  `op: expected <argument> of shape ..., got ...` unless shapes and types
/// agree
void require_same(std::string_view op, const Tensor& a, const Tensor& b);

}  // namespace isotape
