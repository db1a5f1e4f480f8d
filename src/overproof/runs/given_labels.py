"""The labels a seed is given: the true ones, or in experiments on label noise corrupted ones."""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.runs.roles import SeedRoles
from overproof.runs.scorer_answers import ScorerAnswers
from overproof.seeds import derived_seed

ADVERSARY_FOLDS = 2
"""Folds of the scorer that tells which wrong class is likeliest, where given labels are corrupted adversarially."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenLabels:
    """The given labels of every seed, corrupted once.

    Args:
        scorers: Scores wrong classes for adversarial corruption; also holds the experiment and its roles.
    """

    scorers: ScorerAnswers
    _corrupted: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    def for_seed(self, seed: int) -> SeedRoles:
        """The examples of a seed by role, with the labels they are given."""
        roles = self.scorers.roles.for_seed(seed)
        relabelled: Any = {
            role: replace(getattr(roles, role), label=label) for role, label in self._of(seed, roles).items()
        }
        return replace(roles, **relabelled)

    def truth(self, seed: int) -> dict[str, Tensor]:
        """The true labels of the roles whose given labels are corrupted: for findings and the oracle row alone."""
        roles = self.scorers.roles.for_seed(seed)
        return {role: getattr(roles, role).label for role in self._of(seed, roles)}

    def _of(self, seed: int, roles: SeedRoles) -> dict[str, Tensor]:
        """The corrupted labels by role; empty where none are."""
        if seed not in self._corrupted:
            noise, names = self.scorers.experiment.data.label_noise, self.scorers.roles.class_names
            clean = {"labelled": roles.labelled, "validation": roles.validation}
            affected = {role: each for role, each in clean.items() if each is not None and noise.corrupts(role)}
            scores = self._scores(seed, roles) if affected and noise.kind == "adversarial" else {}
            self._corrupted[seed] = {
                role: noise.corrupted(
                    each.label,
                    names,
                    derived_seed(seed, "label noise", role),
                    scores[role].probs() if role in scores else None,
                ).label
                for role, each in affected.items()
            }
        return self._corrupted[seed]

    def _scores(self, seed: int, roles: SeedRoles) -> dict[str, Answers]:
        """Class probabilities by a scorer like the teacher, cross-fitted on the true labels."""
        nothing = roles.test.take(torch.arange(0))
        adversary = self.scorers.experiment.teacher.model_copy(update={"folds": ADVERSARY_FOLDS})
        labelled = replace(roles, pool=nothing, test=nothing)
        home = self.scorers.home(seed) / "adversary"
        return self.scorers.of(adversary, labelled, derived_seed(seed, "adversary"), home)
