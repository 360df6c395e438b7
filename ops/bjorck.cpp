#include <algorithm>
#include <cmath>
#include <isotape/core/error.hpp>
#include <isotape/core/threads.hpp>
#include <isotape/ops/bjorck.hpp>
#include <isotape/ops/polar.hpp>
#include <numeric>

namespace isotape {
namespace {

const Op bjorck_op("bjorck");

// From this size on a matrix gets all threads of BLAS, below it one thread is given several.
constexpr std::int64_t threaded_size = 256;

// One entry of ws with what its gradient needs. All matrices of a batch have one shape.
struct Item {
  Tensor left;     // of polar_derivative: the result, or w for a fixed number of steps
  Tensor vectors;  // [b, small, small], f64
  Tensor sigma;    // [b, small], f64; zero where it counts as zero
  std::vector<double> scales;
  PolarShape shape;
  std::int64_t batch = 1;
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

template <class T>
void require_finite(PolarShape shape, const T* w, std::int64_t matrix) {
  T sum = 0;
  for (std::int64_t i = 0; i < shape.size(); ++i) sum += w[i] * T{0};
  if (sum == 0) [[likely]]
    return;
  const T* const bad =
      std::find_if(w, w + shape.size(), [](T entry) { return !std::isfinite(entry); });
  throw NumericError(message("bjorck: expected finite entries, got ", *bad, " at [",
                             (bad - w) / shape.n, ", ", (bad - w) % shape.n, "] of matrix ",
                             matrix));
}

// Calls body(job) for all: the large ones in turn, then the others, one thread each.
template <class F>
void run(std::vector<Job> jobs, const std::vector<Item>& items, F&& body) {
  std::stable_sort(jobs.begin(), jobs.end(),
                   [](const Job& a, const Job& b) { return a.cost > b.cost; });
  const auto small = std::stable_partition(jobs.begin(), jobs.end(), [&](const Job& job) {
    return items[job.item].shape.small() >= threaded_size;
  });
  std::for_each(jobs.begin(), small, body);
  parallel_jobs(jobs.end() - small, [&](std::int64_t i) { body(small[i]); });
}

// One job per matrix of the items for which wanted(item) holds.
template <class F>
std::vector<Job> jobs_of(const std::vector<Item>& items, F&& wanted) {
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!wanted(i)) continue;
    const auto n = static_cast<double>(items[i].shape.small());
    const double cost = n * n * (20 * n + static_cast<double>(items[i].shape.large()));
    for (std::int64_t k = 0; k < items[i].batch; ++k) jobs.push_back({i, k, cost});
  }
  return jobs;
}

struct Measured {
  double defect = 0;
  double sigma_min = 0;
  double sigma_max = 0;
};

// Raw places of one item, taken before the jobs run in parallel.
template <class T>
struct Place {
  const T* w;
  T* q;
  double* vectors;
  double* sigma;
};

template <class T>
class Forward {
 public:
  Forward(const BjorckOptions& options, std::vector<Item>& items, const Tensors& ws, Tensors& qs)
      : options_(options), items_(items) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      places_.push_back({ws[i].data<T>(), qs[i].write<T>(), items[i].vectors.write<double>(),
                         items[i].sigma.write<double>()});
      measured_.emplace_back(items[i].batch);
      first_.push_back(i == 0 ? 0 : first_.back() + items[i - 1].batch);
    }
  }

  void operator()(const Job& job) {
    Item& item = items_[job.item];
    const PolarShape shape = item.shape;
    const std::int64_t n = shape.small();
    const Place<T>& place = places_[job.item];
    const T* const w = place.w + job.index * shape.size();
    T* const q = place.q + job.index * shape.size();
    double* const vectors = place.vectors + job.index * n * n;
    double* const sigma = place.sigma + job.index * n;

    require_finite(shape, w, first_[job.item] + job.index);
    polar_spectrum(shape, w, vectors, sigma);
    const auto [least, largest] = std::minmax_element(sigma, sigma + n);
    Measured& measured = measured_[job.item][job.index];
    measured.sigma_min = *least;
    measured.sigma_max = *largest;

    PolarMap map{options_.iterations, options_.order};
    if (map.converged()) {
      const double zero = polar_rank_tolerance * measured.sigma_max;
      std::replace_if(
          sigma, sigma + n, [zero](double s) { return s <= zero; }, 0.0);
    } else {
      map.scale = options_.prescale ? *options_.prescale : polar_prescale(shape, w, sigma);
    }
    item.scales[job.index] = map.scale;
    polar_from_spectrum(map, shape, w, vectors, sigma, q);
    if (measure_) measured.defect = polar_defect(shape, q);
  }

  void measure() { measure_ = true; }

  BjorckReport report(std::size_t i) const {
    BjorckReport report;
    report.defect = report.kappa = report.sigma_max = 0;
    report.sigma_min = std::numeric_limits<double>::infinity();
    const double tolerance = options_.tolerance > 0     ? options_.tolerance
                             : std::is_same_v<T, float> ? 2e-6
                                                        : 1e-12;
    report.converged = true;
    for (const Measured& one : measured_[i]) {
      if (!(one.defect <= report.defect)) report.defect = one.defect;
      report.kappa =
          std::max(report.kappa, one.sigma_min > 0 ? one.sigma_max / one.sigma_min
                                                   : std::numeric_limits<double>::infinity());
      report.sigma_min = std::min(report.sigma_min, one.sigma_min);
      report.sigma_max = std::max(report.sigma_max, one.sigma_max);
      report.converged = report.converged && one.defect <= tolerance;
    }
    report.iterations = options_.iterations;
    return report;
  }

 private:
  const BjorckOptions& options_;
  std::vector<Item>& items_;
  std::vector<Place<T>> places_;
  std::vector<std::vector<Measured>> measured_;
  std::vector<std::int64_t> first_;
  bool measure_ = false;
};

// The derivative of the node, applied to one tensor per item; an absent one gives an absent one.
template <class T>
Tensors derivative(const BjorckOptions& options, const std::vector<Item>& items,
                   const Tensors& dqs) {
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
        const std::int64_t n = item.shape.small();
        const std::int64_t at = job.index * item.shape.size();
        const PolarMap map{options.iterations, options.order, item.scales[job.index]};
        polar_derivative(map, item.shape, item.left.data<T>() + at,
                         item.vectors.data<double>() + job.index * n * n,
                         item.sigma.data<double>() + job.index * n, dqs[job.item].data<T>() + at,
                         places[job.item] + at);
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
    std::vector<Item> items;
    Tensors values;
    Tensors qs;
    for (const Var& w : ws) {
      const PolarShape shape = shape_of(w.value());
      const std::int64_t batch = w.value().size() / shape.size();
      values.push_back(w.value());
      qs.emplace_back(w.shape(), w.dtype());
      items.push_back({options.iterations > 0 ? values.back() : qs.back(),
                       Tensor({batch, shape.small(), shape.small()}, DType::f64),
                       Tensor({batch, shape.small()}, DType::f64), std::vector<double>(batch, 1.0),
                       shape, batch});
    }
    Forward<T> forward(options, items, values, qs);
    if (reports != nullptr) forward.measure();
    run(jobs_of(items, [](std::size_t) { return true; }), items, std::ref(forward));
    for (std::size_t i = 0; reports != nullptr && i < items.size(); ++i) {
      reports->push_back(forward.report(i));
    }
    Tensors saved;
    for (const Item& item : items) saved.push_back(item.left);
    // The derivative is symmetric: one function is both the vjp and the jvp.
    auto jvp = [options, items](const Tensors& dws) { return derivative<T>(options, items, dws); };
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
