#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string_view>
#include <type_traits>
#include <utility>

#include <isotape/core/error.hpp>

namespace isotape {

/// Element type of a Tensor, known at run time. Training is f32; f64 serves gradient checks and
/// certificates; u8 holds pixels, labels of images and masks.
enum class DType : std::uint8_t { f32, f64, u8 };

/// "f32", "f64" or "u8".
std::string_view name(DType dtype);

/// Bytes of one element.
std::size_t size_of(DType dtype);

std::ostream& operator<<(std::ostream& os, DType dtype);

/// The DType of a C++ element type.
template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) {
    return DType::f32;
  } else if constexpr (std::is_same_v<T, double>) {
    return DType::f64;
  } else {
    static_assert(std::is_same_v<T, std::uint8_t>, "no DType for this element type");
    return DType::u8;
  }
}

/// Calls `f.template operator()<T>()` with T = float or double; other element types throw.
///
///     dispatch_float(x.dtype(), "relu", [&]<class T>() { ... });
///
/// @throws ShapeError  `op: expected f32 or f64, got u8`
template <class F>
decltype(auto) dispatch_float(DType dtype, std::string_view op, F&& f) {
  require<ShapeError>(dtype == DType::f32 || dtype == DType::f64, op, ": expected f32 or f64, got ",
                      name(dtype));
  if (dtype == DType::f32) return std::forward<F>(f).template operator()<float>();
  return std::forward<F>(f).template operator()<double>();
}

}  // namespace isotape
