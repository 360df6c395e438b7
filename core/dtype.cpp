#include <isotape/core/dtype.hpp>

#include <ostream>

namespace isotape {

std::string_view name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::bf16:
      return "bf16";
    case DType::u8:
      break;
  }
  return "u8";
}

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return 4;
    case DType::f64:
      return 8;
    case DType::bf16:
      return 2;
    case DType::u8:
      break;
  }
  return 1;
}

std::ostream& operator<<(std::ostream& os, DType dtype) { return os << name(dtype); }

}  // namespace isotape
