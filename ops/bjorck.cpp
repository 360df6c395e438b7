#include <isotape/ops/bjorck.hpp>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>

#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/polar.hpp>

namespace isotape {
namespace {

const Op bjorck_op("bjorck");

// Below this size a matrix has one thread: an eigendecomposition is many small calls, whose
// barriers cost more than they save on a machine that is also busy.
constexpr std::int64_t threaded_size = 512;
// What n threads gain on one large matrix is n to this power: half of an eigendecomposition is
// bound by memory and latency.
constexpr double threaded_gain = 0.5;
// In the units of Job::cost: about 0.1 ms.
constexpr double worth_a_thread = 5e5;

// One matrix of an entry of ws: what was measured, and what its gradient needs.
struct Matrix {
  PolarMap map;
  Spectrum spectrum;
  PolarFactors factors;  // of a nearly square polar factor by the exact path
  BjorckReport report;
};

// One entry of ws; its matrices have one shape.
struct Item {
  Tensor left;  // of polar_derivative: the result, or w for a fixed number of steps
  PolarShape shape;
  std::vector<Matrix> matrices;
};

// One matrix: where it lies, and how much work it is.
struct Job {
  std::size_t item;
  std::int64_t index;
  double cost;
};

PolarShape shape_of(const Tensor& w) {
  require<ShapeError>((w.rank() == 2 || w.rank() == 3) && w.size() > 0,
                      "bjorck: expected w of shape [m, n] or [b, m, n], got ", w.shape());
  return {w.dim(-2), w.dim(-1)};
}

void check(const Vars& ws, const BjorckOptions& options) {
  require<ValueError>(1 <= options.order && options.order <= 4,
                      "bjorck: expected order in 1..4, got ", options.order);
  require<ValueError>(options.iterations >= 0, "bjorck: expected iterations >= 0, got ",
                      options.iterations);
  require<ValueError>(options.tolerance >= 0, "bjorck: expected tolerance >= 0, got ",
                      options.tolerance);
  require<ValueError>(
      !options.prescale || (*options.prescale > 0 && std::isfinite(*options.prescale)),
      "bjorck: expected a finite prescale > 0, got ", options.prescale.value_or(1));
  for (const Var& w : ws) {
    shape_of(w.value());
    require<ShapeError>(w.dtype() == ws[0].dtype(), "bjorck: expected matrices of one type, got ",
                        ws[0].dtype(), " and ", w.dtype());
  }
}

// How many of the jobs, largest first, are given all threads in turn before the others are
// distributed, one thread each: as many as end soonest by the estimates.
std::ptrdiff_t threaded_jobs(const std::vector<Job>& jobs, const std::vector<Item>& items) {
  const double threads = num_threads();
  double rest = std::accumulate(jobs.begin(), jobs.end(), 0.0,
                                [](double sum, const Job& job) { return sum + job.cost; });
  double in_turn = 0;
  double soonest = std::numeric_limits<double>::infinity();
  std::ptrdiff_t best = 0;
  for (std::ptrdiff_t k = 0; k < std::ssize(jobs); ++k) {
    const double end = in_turn + std::max(jobs[k].cost, rest / threads);
    if (end < soonest) {
      soonest = end;
      best = k;
    }
    if (items[jobs[k].item].shape.small() < threaded_size) return best;
    in_turn += jobs[k].cost / std::pow(threads, threaded_gain);
    rest -= jobs[k].cost;
  }
  return in_turn < soonest ? std::ssize(jobs) : best;
}

// Calls body(job) for all; the small ones on one thread if they are not worth waking another.
template <class F>
void run(std::vector<Job> jobs, const std::vector<Item>& items, F&& body) {
  std::stable_sort(jobs.begin(), jobs.end(),
                   [](const Job& a, const Job& b) { return a.cost > b.cost; });
  const auto small = jobs.begin() + threaded_jobs(jobs, items);
  std::for_each(jobs.begin(), small, body);
  const double cost = std::accumulate(small, jobs.end(), 0.0,
                                      [](double sum, const Job& job) { return sum + job.cost; });
  if (cost < worth_a_thread) {
    parallel_jobs(1, [&](std::int64_t) { std::for_each(small, jobs.end(), body); });
  } else {
    parallel_jobs(jobs.end() - small, [&](std::int64_t i) { body(small[i]); });
  }
}

// One job per matrix of the items for which wanted(item) holds.
template <class F>
std::vector<Job> jobs_of(const std::vector<Item>& items, F&& wanted) {
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!wanted(i)) continue;
    const auto n = static_cast<double>(items[i].shape.small());
    const double cost = n * n * (20 * n + static_cast<double>(items[i].shape.large()));
    for (std::int64_t k = 0; k < std::ssize(items[i].matrices); ++k) jobs.push_back({i, k, cost});
  }
  return jobs;
}

template <class T>
class Forward {
 public:
  // `keep`: a gradient or a report may be asked for, which need the spectrum.
  Forward(const BjorckOptions& options, const Tensors& ws, Tensors& qs, bool keep, bool measure)
      : options_(options), keep_(keep), measure_(measure) {
    if (options_.tolerance == 0) options_.tolerance = std::is_same_v<T, float> ? 2e-6 : 1e-12;
    for (std::size_t i = 0; i < ws.size(); ++i) {
      const PolarShape shape = shape_of(ws[i]);
      const std::int64_t batch = ws[i].size() / shape.size();
      items_.push_back({options.iterations > 0 ? ws[i] : qs[i], shape,
                        std::vector<Matrix>(static_cast<std::size_t>(batch))});
      places_.push_back({ws[i].data<T>(), qs[i].write<T>(), total_});
      total_ += batch;
    }
  }

  std::vector<Item> run() && {
    isotape::run(jobs_of(items_, [](std::size_t) { return true; }), items_,
                 [this](const Job& job) { compute(job); });
    return std::move(items_);
  }

 private:
  // Raw places, taken before the jobs run in parallel, and the number of matrices before.
  struct Place {
    const T* w;
    T* q;
    std::int64_t first;
  };

  void compute(const Job& job) {
    Item& item = items_[job.item];
    const PolarShape shape = item.shape;
    const Place& place = places_[job.item];
    const T* const w = place.w + job.index * shape.size();
    T* const q = place.q + job.index * shape.size();
    Matrix& matrix = item.matrices[job.index];
    matrix.map = {options_.iterations, options_.order};

    polar_require_finite("bjorck", shape, w, place.first + job.index);
    const bool done = options_.path == BjorckPath::fast && compute_fast(shape, w, q, matrix);
    if (!done || keep_) matrix.spectrum = polar_spectrum(shape, w);
    if (matrix.spectrum.sigma) summarise(matrix.spectrum, matrix.report);
    if (matrix.spectrum.sigma && matrix.map.converged()) polar_drop_null_space(matrix.spectrum);
    if (!done) {
      if (!matrix.map.converged()) {
        matrix.map.scale =
            options_.prescale ? *options_.prescale : polar_prescale(shape, w, matrix.spectrum);
      }
      matrix.report.iterations = options_.iterations;
      compute_exact(shape, w, q, matrix);
    }
    if (measure_) measure(shape, q, matrix);
  }

  void compute_exact(PolarShape shape, const T* w, T* q, Matrix& matrix) {
    if (!matrix.map.converged() || !shape.factored()) {
      polar_exact(matrix.map, shape, w, matrix.spectrum, q);
      return;
    }
    PolarFactors factors = polar_factored(shape, w, matrix.spectrum, q);
    if (keep_) matrix.factors = std::move(factors);
  }

  bool compute_fast(PolarShape shape, const T* w, T* q, Matrix& matrix) {
    const FastOutcome outcome =
        polar_fast(matrix.map, shape, w, options_.tolerance, options_.prescale, q);
    if (!outcome.converged) return false;
    matrix.map.scale = outcome.scale;
    matrix.report.iterations = outcome.steps;
    matrix.report.path = BjorckPath::fast;
    return true;
  }

  void measure(PolarShape shape, const T* q, Matrix& matrix) const {
    const auto sigma = matrix.spectrum.sigma.template values<double>();
    const bool full_rank = std::all_of(sigma.begin(), sigma.end(), [](double s) { return s > 0; });
    matrix.report.converged = matrix.map.converged() && full_rank;
    if (matrix.report.converged && !options_.measure) return;
    matrix.report.defect = polar_defect(shape, q);
    matrix.report.converged = matrix.report.defect <= options_.tolerance;
  }

  static void summarise(const Spectrum& spectrum, BjorckReport& report) {
    const auto sigma = spectrum.sigma.values<double>();
    const auto [least, largest] = std::minmax_element(sigma.begin(), sigma.end());
    report.sigma_min = *least;
    report.sigma_max = *largest;
    report.kappa = *least > 0 ? *largest / *least : std::numeric_limits<double>::infinity();
  }

  BjorckOptions options_;
  bool keep_;
  bool measure_;
  std::vector<Item> items_;
  std::vector<Place> places_;
  std::int64_t total_ = 0;
};

// Of a batch, the worst in each respect.
BjorckReport worst(const std::vector<Matrix>& matrices) {
  BjorckReport result = matrices[0].report;
  for (const Matrix& matrix : matrices) {
    const BjorckReport& one = matrix.report;
    result.converged = result.converged && one.converged;
    if (!(one.defect <= result.defect)) result.defect = one.defect;
    result.kappa = std::max(result.kappa, one.kappa);
    result.sigma_min = std::min(result.sigma_min, one.sigma_min);
    result.sigma_max = std::max(result.sigma_max, one.sigma_max);
    result.iterations = std::max(result.iterations, one.iterations);
    if (one.path == BjorckPath::exact) result.path = BjorckPath::exact;
  }
  return result;
}

// The derivative of the node, applied to one tensor per item; an absent one gives an absent one.
template <class T>
Tensors derivative(const std::vector<Item>& items, const Tensors& dqs) {
  Tensors dws(items.size());
  std::vector<T*> places(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!dqs[i]) continue;
    dws[i] = Tensor(dqs[i].shape(), dqs[i].dtype());
    places[i] = dws[i].write<T>();
  }
  run(jobs_of(items, [&](std::size_t i) { return static_cast<bool>(dqs[i]); }), items,
      [&](const Job& job) {
        const Item& item = items[job.item];
        const Matrix& matrix = item.matrices[job.index];
        const std::int64_t at = job.index * item.shape.size();
        if (matrix.factors.left) {
          polar_factored_derivative(item.shape, matrix.factors, matrix.spectrum.sigma,
                                    dqs[job.item].data<T>() + at, places[job.item] + at);
          return;
        }
        polar_derivative(matrix.map, item.shape, item.left.data<T>() + at, matrix.spectrum,
                         dqs[job.item].data<T>() + at, places[job.item] + at);
      });
  return dws;
}

}  // namespace

Var bjorck(const Var& w, const BjorckOptions& options, BjorckReport* report) {
  std::vector<BjorckReport> reports;
  Vars q = bjorck(Vars{w}, options, report != nullptr ? &reports : nullptr);
  if (report != nullptr) *report = reports[0];
  return std::move(q[0]);
}

Vars bjorck(const Vars& ws, const BjorckOptions& options, std::vector<BjorckReport>* reports) {
  if (reports != nullptr) reports->clear();
  if (ws.empty()) return {};
  check(ws, options);
  return dispatch_float(ws[0].dtype(), "bjorck", [&]<class T>() {
    Tensors values;
    Tensors qs;
    for (const Var& w : ws) {
      values.push_back(w.value());
      qs.emplace_back(w.shape(), w.dtype());
    }
    const bool measure = reports != nullptr;
    const bool keep = measure || is_recording(ws);
    const std::vector<Item> items = Forward<T>(options, values, qs, keep, measure).run();
    Tensors saved;
    for (const Item& item : items) {
      saved.push_back(item.left);
      if (measure) reports->push_back(worst(item.matrices));
    }
    // The derivative is symmetric: one function is both the vjp and the jvp.
    auto jvp = [items](const Tensors& dws) { return derivative<T>(items, dws); };
    auto vjp = [jvp](Tensors dqs, Needs needs) {
      for (std::size_t i = 0; i < dqs.size(); ++i) {
        if (!needs(i)) dqs[i] = {};
      }
      return jvp(dqs);
    };
    return record_many(bjorck_op, std::move(qs), ws, std::move(saved), vjp, jvp);
  });
}

}  // namespace isotape
