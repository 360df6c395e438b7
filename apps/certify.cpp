// isotape certify: what is proved of a run, as a file that `isotape verify` re-derives.

#include <fmt/format.h>
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include <isotape/apps/certificate.hpp>
#include <isotape/apps/commands.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/table.hpp>
#include <isotape/apps/verify/failure.hpp>
#include <isotape/apps/verify/verify.hpp>
#include <isotape/core/atomic_file.hpp>

namespace isotape {
namespace {

using Rows = std::vector<std::vector<std::string>>;

// "image 17", "images 17, 23 and 5 more", or "".
std::string list_of(const std::vector<std::int64_t>& images) {
  constexpr std::size_t shown = 8;
  if (images.empty()) return "none";
  std::string text;
  for (std::size_t i = 0; i < std::min(shown, images.size()); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(images[i]);
  }
  return images.size() > shown ? fmt::format("{} and {} more", text, images.size() - shown) : text;
}

std::string percent(std::int64_t count, std::int64_t images) {
  return fmt::format("{:.2f}", 100.0 * static_cast<double>(count) / static_cast<double>(images));
}

std::string to_text(const verify::Certificate& c, const std::vector<Eps>& eps) {
  Rows rows = {{"percent certified", "real", "f64 as run", "f32 as run", "changed by the proof"}};
  rows.push_back({"clean", percent(c.clean, c.images), "", "", ""});
  for (std::size_t i = 0; i < eps.size(); ++i) {
    const auto& [text, real, f64, f32] = c.eps[i];
    rows.push_back({"at " + text, percent(real, c.images), percent(f64, c.images),
                    percent(f32, c.images),
                    list_of(changed_images(c, c.radius_real, eps[i].value))});
  }
  std::string lines;
  for (const std::string& line : c.proof) lines += line + '\n';
  const double error = *std::max_element(c.error.begin(), c.error.end());
  return lines + '\n' + table(rows) +
         fmt::format(
             "\n{} images of {}; logits in f64, off by at most {:.1e}. real: the network of real "
             "numbers.\nas run: in that arithmetic, any order of summation. changed by the proof: "
             "images that\nmargin / sqrt(2) > eps would count otherwise than `real`.\n",
             c.images, c.dataset, error);
}

std::string to_json_text(const verify::Certificate& c, const std::string& file) {
  nlohmann::ordered_json table = nlohmann::ordered_json::array();
  for (const verify::Count& count : c.eps) {
    const auto share = [&](std::int64_t n) {
      return 100.0 * static_cast<double>(n) / static_cast<double>(c.images);
    };
    table.push_back({{"eps", count.text},
                     {"real", share(count.real)},
                     {"f64", share(count.f64)},
                     {"f32", share(count.f32)}});
  }
  const nlohmann::ordered_json result = {
      {"certificate", file},
      {"images", c.images},
      {"lipschitz", c.lipschitz},
      {"clean_accuracy", 100.0 * static_cast<double>(c.clean) / static_cast<double>(c.images)},
      {"certified_accuracy", table},
      {"largest_error", *std::max_element(c.error.begin(), c.error.end())}};
  return result.dump(2) + '\n';
}

}  // namespace

int run_certify(const CertifyOptions& options) {
  LoadedRun run = load_run(options.run, options.dataset, options.data, options.threads);
  const std::int64_t images = options.images.value_or(run.data.test.size());
  require<UsageError>(images <= run.data.test.size(), "certify: --images: expected at most ",
                      run.data.test.size(), " images, got ", images);
  const std::vector<Eps>& eps = options.eps ? *options.eps : run.config.eps;
  const std::string bytes = verify::read_bytes(run.files.model());
  try {
    const verify::WeightsFile weights = verify::parse_weights(bytes);
    verify::Certificate certificate =
        verify::confirmed(claims_of(run, weights, eps, images), weights);
    certificate.proof = proof_lines(certificate);
    write_file(options.out, to_json(certificate));
    std::cout << (options.json ? to_json_text(certificate, options.out)
                               : to_text(certificate, eps) + "certificate " + options.out + '\n');
  } catch (const verify::Failure& failure) {
    throw CheckError(message("certify: the checker does not confirm it: ", failure.what()));
  }
  return exit_ok;
}

}  // namespace isotape
