#include <doctest/doctest.h>

#include <isotape/core/error.hpp>
#include <isotape/optim/make_optimizer.hpp>

using namespace isotape;

TEST_SUITE_BEGIN("optim/make_optimizer");

TEST_CASE("make_optimizer: a bare name has the defaults, and describe() spells them out") {
  CHECK(make_optimizer("sgd", {})->describe() == "sgd:momentum=0,nesterov=0,weight_decay=0");
  CHECK(make_optimizer("adam", {})->describe() ==
        "adam:beta1=0.9,beta2=0.999,eps=1e-08,weight_decay=0");
  CHECK(make_optimizer("adamw", {})->describe() ==
        "adamw:beta1=0.9,beta2=0.999,eps=1e-08,weight_decay=0.01");
  CHECK(make_optimizer("rmsprop", {})->describe() ==
        "rmsprop:alpha=0.99,eps=1e-08,momentum=0,weight_decay=0");
  CHECK(make_optimizer("aggmo", {})->describe() == "aggmo:betas=0/0.9/0.99,weight_decay=0");
}

TEST_CASE("make_optimizer: reads every option that describe() writes") {
  for (const char* const text :
       {"sgd:momentum=0.9,nesterov=1,weight_decay=0.1,decay_all=1",
        "adam:beta1=0.5,beta2=0.99,eps=0.001,weight_decay=0.1,decay_all=1",
        "adamw:beta1=0.5,beta2=0.99,eps=0.001,weight_decay=0.1",
        "rmsprop:alpha=0.9,eps=0.001,momentum=0.5,weight_decay=0.1,decay_all=1",
        "aggmo:betas=0/0.5,weight_decay=0.1,decay_all=1"}) {
    CHECK(make_optimizer(text, {})->describe() == text);
  }
}

TEST_CASE("make_optimizer: rejects unknown names and options, and lists those there are") {
  CHECK_THROWS_WITH_AS(make_optimizer("lion", {}),
                       "optimizer: expected a name among sgd, adam, adamw, rmsprop, aggmo, got "
                       "'lion'",
                       ValueError);
  CHECK_THROWS_WITH_AS(make_optimizer("adam:momentum=0.9", {}),
                       "adam: expected an option among beta1, beta2, eps, weight_decay, decay_all, "
                       "got momentum",
                       ValueError);
  CHECK_THROWS_WITH_AS(make_optimizer("sgd:momentum=2", {}),
                       "sgd: expected momentum in [0, 1), got 2", ValueError);
}

TEST_SUITE_END();
