#include <isotape/optim/clip.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>

namespace isotape {
namespace {

constexpr std::int64_t block = 1 << 15;

// One partial sum per block, added in order.
double sum_of_squares(const Tensor& x) {
  const std::int64_t blocks = (x.size() + block - 1) / block;
  std::vector<double> sums(static_cast<std::size_t>(blocks));
  dispatch_float(x.dtype(), "clip_grad_norm", [&]<class T>() {
    const T* const data = x.data<T>();
    parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t b = begin; b < end; ++b) {
        double sum = 0;
        const std::int64_t stop = std::min((b + 1) * block, x.size());
#pragma omp simd reduction(+ : sum)
        for (std::int64_t i = b * block; i < stop; ++i) sum += double(data[i]) * double(data[i]);
        sums[b] = sum;
      }
    });
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

// Replaces x by f(x), in a storage of its own: two gradients may share one.
template <class F>
void map_in_place(Tensor& x, F f) {
  if (!x.unique()) x = x.clone();
  dispatch_float(x.dtype(), "clip", [&]<class T>() {
    T* const data = x.write<T>();
    parallel_for(x.size(), block, [&](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) data[i] = f(data[i]);
    });
  });
}

}  // namespace

double clip_grad_norm(const ParameterList& parameters, double max_norm) {
  require<ValueError>(max_norm > 0, "clip_grad_norm: expected max_norm > 0, got ", max_norm);
  double total = 0;
  for (const auto& [name, parameter] : parameters) {
    if (!parameter->grad) continue;
    const double sum = sum_of_squares(parameter->grad);
    require<NumericError>(std::isfinite(sum), "clip_grad_norm: expected a finite gradient of ",
                          name, ", got norm ", std::sqrt(sum));
    total += sum;
  }
  const double norm = std::sqrt(total);
  if (norm <= max_norm) return norm;
  for (const auto& [name, parameter] : parameters) {
    if (!parameter->grad) continue;
    map_in_place(parameter->grad, [factor = max_norm / norm]<class T>(T entry) {
      return static_cast<T>(factor) * entry;
    });
  }
  return norm;
}

void clip_grad_value(const ParameterList& parameters, double max_abs) {
  require<ValueError>(max_abs > 0, "clip_grad_value: expected max_abs > 0, got ", max_abs);
  for (const auto& [name, parameter] : parameters) {
    if (!parameter->grad) continue;
    map_in_place(parameter->grad, [max_abs]<class T>(T entry) {
      const T limit = static_cast<T>(max_abs);
      return entry > limit ? limit : (entry < -limit ? -limit : entry);
    });
  }
}

}  // namespace isotape
