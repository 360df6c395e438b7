#include <isotape/apps/attack_report.hpp>

#include <fmt/format.h>
#include <cmath>
#include <nlohmann/json.hpp>

#include <isotape/apps/argument.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/image_file.hpp>
#include <isotape/apps/table.hpp>
#include <isotape/core/npy.hpp>

namespace isotape {
namespace {

using Json = nlohmann::ordered_json;

std::string two(double percent) { return fmt::format("{:.2f}", percent); }

std::string settings_text(const AttackOutcome& outcome) {
  std::string text;
  for (const auto& [key, value] : outcome.settings) {
    if (!text.empty()) text += ',';
    text.append(key).append("=").append(value);
  }
  return text;
}

// The median distance of what was found, over the images that are classified right; infinity if it
// was found for less than half of them.
double median_distance(const AttackOutcome& outcome) {
  std::vector<double> right;
  for (const double distance : outcome.distance) {
    if (distance > 0) right.push_back(distance);
  }
  if (right.empty()) return 0;
  const auto middle = right.begin() + static_cast<std::ptrdiff_t>(right.size() / 2);
  std::nth_element(right.begin(), middle, right.end());
  return *middle;
}

Json by_eps(const std::vector<double>& values, const std::vector<Eps>& eps) {
  Json object = Json::object();
  for (std::size_t i = 0; i < eps.size(); ++i) object[eps[i].text] = values[i];
  return object;
}

// A number where the text is one.
Json typed(const std::string& value) {
  if (const auto integer = to_integer(value)) return *integer;
  if (const auto number = to_number(value)) return *number;
  return value;
}

// Broken behind commas into lines of a page's width.
std::string wrapped(const std::string& options) {
  constexpr std::size_t width = 98;
  std::string text = "  ";
  std::size_t length = text.size();
  for (std::size_t begin = 0; begin < options.size();) {
    const std::size_t comma = options.find(',', begin);
    const std::string part =
        options.substr(begin, comma == std::string::npos ? comma : comma + 1 - begin);
    if (length + part.size() > width) {
      text += "\n      ";
      length = 6;
    }
    text += part;
    length += part.size();
    begin += part.size();
  }
  return text;
}

// By eps, with the attacks in its norm.
std::string sandwich_table(const Sandwich& sandwich, const AttackEvaluation& evaluation,
                           const std::vector<Eps>& eps) {
  std::vector<std::vector<std::string>> rows = {
      {std::string(sandwich.norm == BallNorm::l2 ? "l2" : "linf"), "certified", "attacked"}};
  for (const Eps& e : eps) rows.push_back({e.text});
  const auto add = [&rows](const std::vector<double>& column) {
    for (std::size_t e = 0; e < column.size(); ++e) rows[e + 1].push_back(two(column[e]));
  };
  add(sandwich.certified);
  add(sandwich.attacked);
  for (const AttackOutcome& outcome : evaluation.outcomes) {
    if (outcome.norm != sandwich.norm) continue;
    rows[0].push_back(outcome.label);
    add(outcome.accuracy);
  }
  return table(rows);
}

}  // namespace

std::string attack_text(const AttackEvaluation& evaluation, const std::vector<Eps>& eps) {
  std::string text = fmt::format(
      "\nUnder attack, percent of the first {} images: certified <= true <= attacked\n"
      "(clean {:.2f}, {}, seed {}; every column but certified is an estimate from above)\n\n",
      with_commas(evaluation.images), evaluation.clean_accuracy,
      evaluation.range.is_bounded() ? "pixels kept in [0, 1]" : "entries without limits",
      evaluation.seed);
  for (const Sandwich& sandwich : evaluation.sandwiches) {
    text += sandwich_table(sandwich, evaluation, eps) + '\n';
  }
  for (const AttackOutcome& outcome : evaluation.outcomes) {
    text += outcome.label + ": " + settings_text(outcome);
    if (outcome.goal == AttackGoal::nearest) {
      text += fmt::format("; median distance {:.4g}", median_distance(outcome));
    }
    text += '\n';
  }
  if (evaluation.only_rounding > 0) {
    text += fmt::format(
        "{} inputs within a certified radius change the class in f32 but not in f64: rounding, not "
        "counted.\n",
        evaluation.only_rounding);
  }
  return text;
}

std::string attack_json(const AttackEvaluation& evaluation, const std::vector<Eps>& eps) {
  Json json = {{"images", evaluation.images},
               {"seed", evaluation.seed},
               {"pixel_range", nullptr},
               {"clean_accuracy", evaluation.clean_accuracy}};
  if (evaluation.range.is_bounded()) {
    json["pixel_range"] = {evaluation.range.low, evaluation.range.high};
  }
  for (const Sandwich& sandwich : evaluation.sandwiches) {
    json["norms"].push_back({{"norm", name(sandwich.norm)},
                             {"certified_accuracy", by_eps(sandwich.certified, eps)},
                             {"attacked_accuracy", by_eps(sandwich.attacked, eps)}});
  }
  for (const AttackOutcome& outcome : evaluation.outcomes) {
    Json one = {{"attack", outcome.name}, {"settings", Json::object()}};
    for (const auto& [key, value] : outcome.settings) one["settings"][key] = typed(value);
    one["accuracy"] = by_eps(outcome.accuracy, eps);
    const double median = median_distance(outcome);
    if (outcome.goal == AttackGoal::nearest) {
      one["median_distance"] = std::isfinite(median) ? Json(median) : Json(nullptr);
    }
    json["attacks"].push_back(std::move(one));
  }
  json["only_rounding"] = evaluation.only_rounding;
  json["broken_certificates"] = Json::array();
  for (const BrokenCertificate& broken : evaluation.broken) {
    json["broken_certificates"].push_back({{"image", broken.image},
                                           {"label", broken.label},
                                           {"class", broken.found_class},
                                           {"attack", broken.attack},
                                           {"l2", broken.l2},
                                           {"certified_radius", broken.radius}});
  }
  return json.dump();
}

std::vector<std::filesystem::path> save_broken(const std::filesystem::path& folder,
                                               const AttackEvaluation& evaluation) {
  std::vector<std::filesystem::path> paths;
  if (evaluation.broken.empty()) return paths;
  std::filesystem::create_directories(folder);
  for (const BrokenCertificate& broken : evaluation.broken) {
    std::string attack = broken.attack;
    std::replace(attack.begin(), attack.end(), ' ', '-');
    for (const bool is_original : {false, true}) {
      const std::filesystem::path stem =
          folder /
          fmt::format("{}-{}-{}", broken.image, attack, is_original ? "original" : "adversarial");
      const Tensor& image = is_original ? broken.original : broken.adversarial;
      paths.emplace_back(stem.string() + ".npy");
      save_npy(paths.back(), image);
      if (is_drawable(image.shape())) paths.push_back(write_image(stem, image));
    }
  }
  return paths;
}

void check_order(const AttackEvaluation& evaluation,
                 const std::vector<std::filesystem::path>& saved) {
  if (!evaluation.broken.empty()) {
    const BrokenCertificate& first = evaluation.broken.front();
    throw CheckError(fmt::format(
        "eval: expected no other class within a certified radius, got class {} for label {} by {} "
        "at l2 distance {:.9g} from image {}, certified to {:.9g}; {} in all; saved {}",
        first.found_class, first.label, first.attack, first.l2, first.image, first.radius,
        evaluation.broken.size(), saved.front().string()));
  }
  for (const Sandwich& sandwich : evaluation.sandwiches) {
    for (std::size_t e = 0; e < sandwich.certified.size(); ++e) {
      require<CheckError>(sandwich.certified[e] <= sandwich.attacked[e],
                          "eval: expected certified <= attacked accuracy, got ",
                          sandwich.certified[e], " and ", sandwich.attacked[e]);
    }
  }
}

std::string attacks_help() {
  std::string text =
      "\n\nAttacks (eps and alpha in units of the input; loss margin is max_j f_j - f_y, ce the "
      "cross "
      "entropy,\ndlr the difference of logits ratio):\n";
  for (const AttackInfo& info : attack_infos()) {
    text += wrapped(info.name + ':' + info.options) + "\n      " + info.description + '\n';
  }
  return text;
}

}  // namespace isotape
