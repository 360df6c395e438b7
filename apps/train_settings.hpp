#pragma once

#include <string_view>
#include <vector>

#include <isotape/apps/argument.hpp>

namespace isotape {

/// One setting of a training run: the flag --NAME of `isotape train` and the key NAME of a
/// configuration.
struct Setting {
  std::string_view name;
  std::string_view placeholder;  ///< of the value in the help, if there are no choices
  std::string_view help;
  std::string_view group;
  Limits limits = {};                          ///< of a number
  std::vector<std::string_view> choices = {};  ///< of a word; none: any
};

inline constexpr Limits positive{0, 1e9, true, "a number > 0"};
inline constexpr Limits not_negative{0, 1e9, false, "a number >= 0"};
inline constexpr Limits a_seed{0, 9.2e18, false, "an integer >= 0"};
inline constexpr Limits a_count{1, 1e9, false, "an integer >= 1"};
inline constexpr Limits a_step_count{0, 1e9, false, "an integer >= 0"};
inline constexpr Limits a_batch{1, 65536, false, "an integer in 1..65536"};
inline constexpr Limits a_thread_count{1, 1024, false, "an integer in 1..1024"};

/// Those that say what is learned.
template <class Options, class Visit>
void for_each_problem_setting(Options& options, Visit&& visit) {
  const auto problem = "Problem";
  visit(Setting{"model", "NAME|FILE",
                "see `isotape models`, or a model file FILE.toml [bcop-small]", problem},
        options.model);
  visit(Setting{"dataset", "NAME", "see `isotape datasets` [fashion-mnist]", problem},
        options.dataset);
  visit(Setting{"data", "DIR", "folder searched first for its files [$ISOTAPE_DATA, ./data, ...]",
                problem},
        options.data);
  visit(Setting{"data-seed", "N", "of data that is made: glyphs, moons, rings, clusters [0]",
                problem, a_seed},
        options.data_seed);
  visit(Setting{"augment",
                "",
                "random crops and flips; auto: on for images in colour [auto]",
                problem,
                {},
                {"auto", "on", "off"}},
        options.augment);
  visit(Setting{"select-on",
                "",
                "holdout: set 5000 training images aside, to choose settings on [none]",
                problem,
                {},
                {"none", "holdout"}},
        options.select_on);
}

/// Those that say how.
template <class Options, class Visit>
void for_each_training_setting(Options& options, Visit&& visit) {
  const auto training = "Training";
  visit(Setting{"epochs", "N", "passes over the training images [5]", training, a_count},
        options.epochs);
  visit(Setting{"batch", "N", "images per step [128]", training, a_batch}, options.batch);
  visit(Setting{"loss", "NAME[:KEY=X,...]",
                "what is minimised, one of those below, as in hkr:lambda=10 [multi-margin]",
                training},
        options.loss);
  visit(Setting{"margin", "X",
                "of multi-margin, in logits; over sqrt(2) the radius R that other losses ask for "
                "[1.5 sqrt(2); in colour 0.5 sqrt(2)]",
                training, positive},
        options.margin);
  visit(Setting{"low-rank", "LAYER:rank=R,...",
                "low-rank representations behind layers, joined by '+', as in act3:rank=10 [none]",
                training},
        options.low_rank);
  visit(Setting{"optimizer", "NAME[:KEY=X,...]",
                "sgd, adam, adamw, rmsprop or aggmo, as in sgd:momentum=0.9 [adam]", training},
        options.optimizer);
  visit(Setting{"lr", "X", "learning rate [0.001; retract: 0.002]", training, positive},
        options.lr);
  visit(Setting{"schedule", "NAME[:KEY=X,...]",
                "of the rate: constant, exponential, cosine, piecewise-linear or one-cycle, as in "
                "cosine:final=0.01 [exponential: 10^(-3(e-1)/E) in epoch e of E]",
                training},
        options.schedule);
  visit(Setting{"clip-norm", "X", "largest l2 norm of all gradients together; 0: any [0]", training,
                not_negative},
        options.clip_norm);
  visit(Setting{"orthogonal-update",
                "",
                "orthogonal weights: remade from free ones, or moved on their manifold "
                "[reparametrize]",
                training,
                {},
                {"reparametrize", "retract"}},
        options.orthogonal_update);
  visit(Setting{"precision",
                "",
                "of convolutions and large dense layers in training; bf16, where the CPU has it, "
                "rounds their operands: sums, weights and evaluation stay f32 [f32]",
                training,
                {},
                {"f32", "bf16"}},
        options.precision);
  visit(Setting{"audit-every", "N",
                "steps between checks of all constraints: a drifting layer iterates more, or the "
                "run stops; 0: none [0]",
                training, a_step_count},
        options.audit_every);
}

/// Those of what is reported, and of what makes two runs equal.
template <class Options, class Visit>
void for_each_figure_setting(Options& options, Visit&& visit) {
  const auto figures = "Figures and repetition";
  visit(Setting{"eps", "X,...",
                "l2 radii to certify, pixels in [0, 1] [0.3,1.58; in colour 36/255,72/255,108/255]",
                figures},
        options.eps);
  visit(Setting{"seed", "N", "of weights, order and augmentation [0]", figures, a_seed},
        options.seed);
  visit(Setting{"threads", "N", "a result depends on it in the last bits [$OMP_NUM_THREADS, cores]",
                figures, a_thread_count},
        options.threads);
}

/// Calls visit(setting, member) for every setting, in the order of help and files. The members have
/// the settings' names: optional in TrainOptions, plain in RunConfig.
template <class Options, class Visit>
void for_each_setting(Options& options, Visit&& visit) {
  for_each_problem_setting(options, visit);
  for_each_training_setting(options, visit);
  for_each_figure_setting(options, visit);
}

}  // namespace isotape
