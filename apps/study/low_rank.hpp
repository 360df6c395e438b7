#pragma once

#include <isotape/apps/study/low_rank_nets.hpp>

namespace isotape {

/// The report of the study, of whatever cells there are.
StudyPage low_rank_page(const std::vector<StudyResult>& results, const StudySettings& settings);

/// Its tables, with a row for each net that has results: accuracy, variance ratios and attacks in
/// short; what tells masked gradients; what is left when numbers or layers are; all attacks by eps;
/// and the paper's figures beside ours.
StudyTable low_rank_summary(const LowRankProblem& problem, const std::vector<StudyResult>& results);
StudyTable low_rank_masking(const LowRankProblem& problem, const std::vector<StudyResult>& results);
StudyTable low_rank_compression(const LowRankProblem& problem,
                                const std::vector<StudyResult>& results);
StudyTable low_rank_attacks(const LowRankProblem& problem, const std::vector<StudyResult>& results);
StudyTable low_rank_paper(const std::vector<StudyResult>& results);

}  // namespace isotape
