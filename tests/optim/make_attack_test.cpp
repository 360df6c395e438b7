#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/ops/elementwise.hpp>
#include <isotape/optim/make_attack.hpp>
#include "linear_victim.hpp"

using namespace isotape;

TEST_SUITE_BEGIN("optim/make_attack");

namespace {

std::string effective(const char* text) {
  std::string all;
  for (const auto& [key, value] : make_attack(text).settings) {
    if (!all.empty()) all += ',';
    all.append(key).append("=").append(value);
  }
  return all;
}

}  // namespace

TEST_CASE("make_attack: notes every option with the value in effect") {
  CHECK(effective("fgsm:norm=inf") == "norm=inf,loss=margin,target=none");
  CHECK(effective("pgd:steps=200,alpha=0.01,restarts=5,norm=2") ==
        "norm=2,steps=200,alpha=0.01,restarts=5,start=random,momentum=0,loss=margin,target=none,"
        "early_stop=1");
  CHECK(effective("apgd") == "norm=2,steps=100,loss=ce,target=none,restarts=1,rho=0.75");
  CHECK(effective("apgd:loss=dlr,target=each") ==
        "norm=2,steps=100,loss=dlr,target=each,restarts=9,rho=0.75");
  CHECK(effective("cw:range=tanh") ==
        "steps=200,rounds=6,targets=0,c=1,lr=0.01,kappa=0,range=tanh,refine=10");
  CHECK(effective("bim:loss=ce,target=3") ==
        "norm=2,steps=10,alpha=eps/10,momentum=0,loss=ce,target=3,early_stop=1");
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
    const bool must_succeed = info.name != "noise" && info.name != "universal";
    for (std::size_t i = 0; i < 3; ++i) {
      if (must_succeed) CHECK(result.success[i] == 1);
      if (made.attack->goal() == AttackGoal::within_eps) {
        CHECK((made.attack->norm() == BallNorm::l2 ? result.l2[i] : result.linf[i]) <= 2);
      }
    }
  }
}

namespace {

// Attacks with their defaults, but for shorter ones of those that take long.
std::vector<std::string> short_attacks() {
  std::vector<std::string> all;
  for (const AttackInfo& info : attack_infos()) {
    const std::string& name = info.name;
    all.push_back(name == "boundary"     ? "boundary:steps=300"
                  : name == "square"     ? "square:queries=200"
                  : name == "autoattack" ? "autoattack:steps=10,targets=2,queries=50"
                  : name == "cw"         ? "cw:steps=50,rounds=3"
                                         : name);
  }
  return all;
}

}  // namespace

TEST_CASE("make_attack: every attack is a function of its seeds, and of each image by itself") {
  LinearVictim linear(5, {5, 5, 1}, DType::f64, 2);
  AttackTask task = linear.task(4, 0.3, 0.7, {0, 1});
  task.eps = 1.1 * linear.radius(task, 0, BallNorm::l2);
  task.starts = linear.task(10, 0, 1).x;
  for (const std::string& text : short_attacks()) {
    CAPTURE(text);
    const NamedAttack made = make_attack(text);
    const AttackResult all = made.attack->run(linear.victim(), task);
    CHECK(max_abs_diff(all.x, made.attack->run(linear.victim(), task).x) == 0);
    if (made.attack->is_universal()) continue;
    for (std::int64_t row = 0; row < 4; ++row) {
      const std::int64_t rows[] = {row};
      const AttackResult one = made.attack->run(linear.victim(), part_of(task, rows));
      CHECK(one.success[0] == all.success[row]);
      CHECK(max_abs_diff(one.x, all.x.rows(row, row + 1).clone()) < 1e-9);
    }
  }
}

TEST_CASE("make_attack: whoever follows gradients gets off a plain where they vanish") {
  // relu(s - 1) with s the sum of entries: flat around the image, a slope from s = 1 on.
  const Victim victim([](const Var& x) {
    const Var slope = relu(add_scalar(matmul(x, Tensor::full({4, 1}, 1, DType::f64)), -1));
    return add(matmul(slope, Tensor::of({0, 1, 0, 0}, {1, 4}, DType::f64)),
               Tensor::of({0.1, 0, -1, -2}, {4}, DType::f64));
  });
  AttackTask task;
  task.x = Tensor::full({4, 4}, 0.249, DType::f64);
  task.labels.assign(4, 0);
  for (std::uint64_t i = 0; i < 4; ++i) task.rngs.push_back(Rng(9).stream(i));
  task.eps = 1.5;
  for (const std::string text : {"bim:steps=2000,alpha=0.3", "pgd:steps=2000,start=image",
                                 "apgd:steps=300", "deepfool:steps=4000", "fab:steps=4000",
                                 "autoattack:steps=300", "universal:fooled=1,steps=4000"}) {
    CAPTURE(text);
    const AttackResult result = make_attack(text).attack->run(victim, task);
    for (std::size_t i = 0; i < 4; ++i) CHECK(result.success[i] == 1);
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
        "target, early_stop, got step");
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
