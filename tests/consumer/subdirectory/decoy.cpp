#include <core/tensor.hpp>
#include <isotape/core/tensor.hpp>
#include <type_traits>

static_assert(!std::is_same_v<Tensor, isotape::Tensor>);
