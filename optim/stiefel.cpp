#include <isotape/optim/stiefel.hpp>

#include <algorithm>

#include <isotape/optim/stiefel_job.hpp>

namespace isotape {

RetractionStats& RetractionStats::operator+=(const RetractionStats& other) {
  matrices += other.matrices;
  steps += other.steps;
  max_steps = std::max(max_steps, other.max_steps);
  shortened += other.shortened;
  exact += other.exact;
  max_defect = std::max(max_defect, other.max_defect);
  return *this;
}

void project_to_tangent(std::span<const ManifoldMove> moves) {
  check_moves("project_to_tangent", moves);
  run_jobs<float>(moves, Access::read, [](Job<float>& job) { project(job); });
  run_jobs<double>(moves, Access::read, [](Job<double>& job) { project(job); });
}

double stiefel_defect(const Tensor& value, const Stiefel& manifold) {
  Tensor widened = value.to(DType::f64);
  const ManifoldMove move{"the value", &widened, nullptr, manifold};
  check_moves("stiefel_defect", {&move, 1});
  const auto measure = [](Job<double>& job) {
    Deviation<double> deviation(job.k());
    deviation.measure(job, job.w);
    job.stats.max_defect = deviation.max;
  };
  return run_jobs<double>({&move, 1}, Access::read, measure).max_defect;
}

double stiefel_tolerance(DType dtype) { return dtype == DType::f64 ? 1e-12 : 1e-6; }

}  // namespace isotape
