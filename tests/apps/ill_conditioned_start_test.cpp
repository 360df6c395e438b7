// Singular values after training from raw weights that are far from orthogonal, in every mode.

#include <doctest/doctest.h>
#include <support/needs_bf16.hpp>
#include <support/trained_sigma.hpp>

#include <isotape/apps/bench/orthogonalize.hpp>
#include <isotape/apps/resolve.hpp>
#include <isotape/apps/training.hpp>
#include <isotape/datasets/registry.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("apps/ill_conditioned_start");

namespace {

enum class Start { kappa_1e4, rank_deficient };

// Of the raw tensor's matrices, or of the list of them.
Tensor start_of(Rng& rng, const Tensor& raw, Start start) {
  const Shape matrix = matrix_shape(raw.shape());
  const std::int64_t m = matrix[-2];
  const std::int64_t n = matrix[-1];
  const std::int64_t count = raw.size() / (m * n);
  Tensor w = random_conditioned(rng, {count, m, n}, 1e4);
  if (start == Start::rank_deficient) {
    // The last row (column, if tall) of each is that before it.
    auto* entries = w.write<float>();
    for (std::int64_t b = 0; b < count; ++b, entries += m * n) {
      if (m <= n) {
        std::copy_n(entries + (m - 2) * n, n, entries + (m - 1) * n);
      } else {
        for (std::int64_t i = 0; i < m; ++i) entries[i * n + n - 1] = entries[i * n + n - 2];
      }
    }
  }
  return w.reshaped(raw.shape());
}

Training trained_from(Start start, const char* update, const char* precision) {
  TrainOptions options;
  options.model = "bcop-small";
  options.dataset = "glyphs";
  options.orthogonal_update = update;
  options.precision = precision;
  options.threads = 1;
  Training training(resolve(options), named_model("bcop-small"), load_dataset("glyphs"));
  Rng rng(4);
  for (const auto& [name, weight] : training.model().net.weights()) {
    weight->raw.write() = start_of(rng, weight->raw.value(), start);
    const bool was_completed = weight->complete_null_space(name).has_value();
    CHECK(was_completed == (start == Start::rank_deficient));
    if (options.orthogonal_update == "retract") weight->retract();
  }
  for (int i = 0; i < 12; ++i) training.step();
  return training;
}

}  // namespace

TEST_CASE("trained: sigma stays 1 from kappa 1e4 and from lost ranks, in every mode") {
  for (const Start start : {Start::kappa_1e4, Start::rank_deficient}) {
    for (const char* update : {"reparametrize", "retract"}) {
      for (const char* precision : {"f32", "bf16"}) {
        if (precision == std::string_view("bf16") && lacks_bf16()) continue;
        CAPTURE(static_cast<int>(start));
        CAPTURE(update);
        CAPTURE(precision);
        Training training = trained_from(start, update, precision);
        check_every_sigma(training.model(), 4);
      }
    }
  }
}

TEST_SUITE_END();
