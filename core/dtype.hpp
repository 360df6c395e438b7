#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string_view>
#include <type_traits>
#include <utility>

#include <isotape/core/error.hpp>

namespace isotape {

/// Element type of a Tensor, known at run time. Training is f32; f64 serves gradient checks and
/// certificates; u8 holds pixels, labels of images and masks; bf16 holds operands of large products
/// and is no type to compute in.
enum class DType : std::uint8_t { f32, f64, u8, bf16 };

/// The upper half of a float: its range with 8 significant bits. Conversion to it rounds to
/// nearest, ties to even; NaN stays NaN.
class BFloat16 {
 public:
  BFloat16() = default;
  explicit BFloat16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t to_even = 0x7fffU + ((bits >> 16U) & 1U);
    const bool is_nan = (bits & 0x7fffffffU) > 0x7f800000U;
    bits_ = static_cast<std::uint16_t>((is_nan ? bits | 0x400000U : bits + to_even) >> 16U);
  }
  explicit operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits_) << 16U);
  }

 private:
  std::uint16_t bits_;
};

/// In what the layers multiply activations by weights.
enum class Precision : std::uint8_t {
  full,  ///< in the type of the operands
  bf16,  ///< operands of f32 rounded to bf16, sums in f32
};

/// "f32", "f64", "u8" or "bf16".
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
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return DType::bf16;
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
