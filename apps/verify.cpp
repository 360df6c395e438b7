// isotape verify: the independent checker of certificates, as a command.

#include <iostream>
#include <nlohmann/json.hpp>

#include <isotape/apps/commands.hpp>
#include <isotape/apps/errors.hpp>
#include <isotape/apps/verify/failure.hpp>
#include <isotape/apps/verify/verify.hpp>

namespace isotape {

int run_verify(const VerifyOptions& options) {
  verify::Verdict verdict;
  try {
    verdict = verify::verify_certificate(options.certificate, options.weights, options.data);
  } catch (const verify::Missing& missing) {
    throw DataError(message("verify: ", missing.what()));
  }
  if (options.json) {
    const nlohmann::ordered_json json = {
        {"holds", verdict.holds},
        {"logits", options.data ? "recomputed" : "taken as recorded"},
        {"verdict", verdict.line}};
    std::cout << json.dump(2) << '\n';
  } else {
    std::cout << verdict.line << '\n';
  }
  return verdict.holds ? exit_ok : exit_check;
}

}  // namespace isotape
