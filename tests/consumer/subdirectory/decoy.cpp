#include <core/tensor.hpp>
#include <type_traits>

#include <isotape/core/tensor.hpp>

static_assert(!std::is_same_v<Tensor, isotape::Tensor>);
