#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/optim/make_attack.hpp>
#include "linear_victim.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("optim/make_attack");

namespace {

std::string effective(const char* text) {
  std::string all;
  for (const auto& [key, value] : make_attack(text).settings) {
    all += (all.empty() ? "" : ",") + key + '=' + value;
  }
  return all;
}

}  // namespace

TEST_CASE("make_attack: notes every option with the value in effect") {
  CHECK(effective("fgsm:norm=inf") == "norm=inf,loss=margin,target=none");
  CHECK(effective("pgd:steps=200,alpha=0.01,restarts=5,norm=2") ==
        "norm=2,steps=200,alpha=0.01,restarts=5,start=random,momentum=0,loss=margin,target=none");
  CHECK(effective("bim:loss=ce,target=3") ==
        "norm=2,steps=10,alpha=eps/10,momentum=0,loss=ce,target=3");
}

TEST_CASE("make_attacks: a list, each once") {
  const std::vector<NamedAttack> attacks = make_attacks("pgd:steps=7;fgsm;pgd");
  REQUIRE(attacks.size() == 3);
  CHECK(attacks[0].text == "pgd:steps=7");
  CHECK(attacks[1].name == "fgsm");
  CHECK_THROWS_WITH_AS(make_attacks("fgsm;fgsm:norm=2"),
                       "attack: expected each attack once, got fgsm:norm=2 twice", ValueError);
}

TEST_CASE("make_attack: every attack runs with its defaults and keeps to its goal") {
  LinearVictim linear(5, {6, 6, 1}, DType::f32, 1);
  AttackTask task = linear.task(3, 0.3, 0.7, {0, 1});
  task.eps = 2;
  for (const AttackInfo& info : attack_infos()) {
    CAPTURE(info.name);
    const NamedAttack made = make_attack(info.name);
    const AttackResult result = made.attack->run(linear.victim(), task);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(result.success[i] == 1);
      if (made.attack->goal() == AttackGoal::within_eps) {
        CHECK((made.attack->norm() == BallNorm::l2 ? result.l2[i] : result.linf[i]) <= 2);
      }
    }
  }
}

TEST_CASE("make_attack: unknown names, options and values are one clear error") {
  const auto error = [](const char* text) -> std::string {
    try {
      make_attacks(text);
    } catch (const ValueError& refused) {
      return refused.what();
    }
    return "nothing thrown";
  };
  CHECK(error("pdg").substr(0, 44) == "attack: expected a name among fgsm, bim, pgd");
  CHECK(error("fgsm;").substr(0, 38) == "attack: expected a name among fgsm, bi");
  CHECK(error("pgd:step=3") ==
        "pgd: expected an option among norm, steps, alpha, restarts, start, momentum, loss, "
        "target, got step");
  CHECK(error("pgd:steps=0") == "pgd: expected an integer in 1..1000000 for steps, got 0");
  CHECK(error("pgd:steps=1.5") == "pgd: expected an integer in 1..1000000 for steps, got 1.5");
  CHECK(error("pgd:alpha=0") == "pgd: expected alpha > 0, got 0");
  CHECK(error("pgd:alpha=nan") == "pgd: expected alpha > 0, got nan");
  CHECK(error("pgd:momentum=2") == "pgd: expected momentum in [0, 1], got 2");
  CHECK(error("pgd:norm=1") == "pgd: expected norm among 2, inf, got '1'");
  CHECK(error("pgd:loss=hinge") == "pgd: expected loss among margin, ce, dlr, got 'hinge'");
  CHECK(error("pgd:target=x") ==
        "pgd: expected target among none, least-likely, each or an integer in 0..1000000, got 'x'");
  CHECK(error("pgd:steps") == "pgd: expected options as key=value, got 'steps'");
}

TEST_SUITE_END();
