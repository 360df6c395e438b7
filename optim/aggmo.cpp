#include <isotape/optim/aggmo.hpp>

#include <algorithm>
#include <array>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/optim/settings.hpp>

namespace isotape {
namespace {

constexpr std::size_t max_betas = 8;
constexpr std::int64_t block = 512;  // entries whose sum of velocities stays in the first cache

}  // namespace

Aggmo::Aggmo(const ParameterList& parameters, const AggmoOptions& options)
    : Optimizer(
          "aggmo", parameters,
          [&] {
            std::vector<StateName> names;
            for (std::size_t k = 0; k < options.betas.size(); ++k) {
              names.push_back({"v" + std::to_string(k)});
            }
            return names;
          }(),
          options.decay),
      options_(options) {
  require<ValueError>(!options.betas.empty() && options.betas.size() <= max_betas,
                      "aggmo: expected one to ", max_betas, " betas, got ", options.betas.size());
  for (const double beta : options.betas) {
    require<ValueError>(0 <= beta && beta < 1, "aggmo: expected betas in [0, 1), got ", beta);
  }
}

std::string Aggmo::describe() const {
  std::string betas;
  for (const double beta : options_.betas) betas += (betas.empty() ? "" : "/") + spelled(beta);
  return "aggmo:betas=" + betas + "," + describe_decay();
}

void Aggmo::update(const Update& update) const {
  dispatch_float(update.value.dtype(), "aggmo", [&]<class T>() {
    T* const w = update.value.write<T>();
    const T* const g = update.grad.data<T>();
    const std::size_t count = options_.betas.size();
    std::array<T*, max_betas> velocities{};
    std::array<T, max_betas> betas{};
    for (std::size_t k = 0; k < count; ++k) {
      velocities[k] = update.state[k].write<T>();
      betas[k] = static_cast<T>(options_.betas[k]);
    }
    const T rate = static_cast<T>(update.lr / static_cast<double>(count));
    const T decay = static_cast<T>(update.decay);
    parallel_for(update.value.size(), update_grain, [&](std::int64_t begin, std::int64_t end) {
      std::array<T, block> sum;
      for (std::int64_t first = begin; first < end; first += block) {
        const std::int64_t length = std::min(block, end - first);
        sum.fill(T(0));
        for (std::size_t k = 0; k < count; ++k) {
          T* const v = velocities[k] + first;
          const T beta = betas[k];
#pragma omp simd
          for (std::int64_t i = 0; i < length; ++i) {
            v[i] = beta * v[i] + (g[first + i] + decay * w[first + i]);
            sum[i] += v[i];
          }
        }
#pragma omp simd
        for (std::int64_t i = 0; i < length; ++i) w[first + i] -= rate * sum[i];
      }
    });
  });
}

}  // namespace isotape
