"""Which method to run, recommended from the accuracies and log-losses of teacher and linear probe."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from overproof.assessment.estimates import Estimate, mean_of, share_of
from overproof.functional.repeats import Repeats
from overproof.noise import log_loss, stacked_out_of_fold
from overproof.training.search.choose import FEWEST

SYSTEMATIC = 0.2
"""Errors are called systematic where the probe is right on less than this share of them, as in
`overproof.evaluation.findings.regime`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeComparison:
    """The linear probe compared with the teacher on the labelled examples; without a probe only the teacher's loss.

    Args:
        losses: Log-losses by name: `teacher` unless infinite, and with a probe `labels alone` and `both` (stacked).
        alone: Accuracy of the probe.
        where_wrong: Accuracy of the probe where the teacher is wrong.
        gain: Log-loss of the better of the two less that of both stacked, in nats.
        ceiling: Accuracy of both stacked.
        needed: Number of labelled examples needed to tell the two accuracies apart; None where these suffice.
    """

    losses: dict[str, float]
    alone: Estimate | None = None
    where_wrong: Estimate | None = None
    gain: Estimate | None = None
    ceiling: Estimate | None = None
    needed: int | None = None


def compare_with_probe(
    teacher_probs: Tensor, probe_probs: Tensor | None, labels: Tensor, seed: int, repeats: Repeats | None = None
) -> ProbeComparison:
    """Compare teacher and probe, alone and stacked, on the same labelled examples.

    Args:
        teacher_probs: [V, K], out of sample.
        probe_probs: [V, K], out of fold (`overproof.assessment.probes.probe`); None without a probe.
        labels: [V].
        seed: Seed of the folds of the stack.
        repeats: Of the examples, all of different content; groups are in one fold, and intervals count them.
    """
    if probe_probs is None:
        # Where a class that is true has probability 0, as with class names, the log-loss is infinite.
        finite = bool((teacher_probs.gather(1, labels.long()[:, None]) > 0).all())
        return ProbeComparison(losses={"teacher": float(log_loss(teacher_probs, labels).mean())} if finite else {})
    right, alone_right = teacher_probs.argmax(dim=1) == labels, probe_probs.argmax(dim=1) == labels
    repeats = Repeats.none(len(labels)) if repeats is None else repeats
    both = stacked_out_of_fold([teacher_probs, probe_probs], labels, seed=seed, repeats=repeats)
    # Each of the two is stacked alone as well, so that neither loses by a temperature that the stack corrects.
    single = {
        name: log_loss(stacked_out_of_fold([each], labels, seed=seed, repeats=repeats), labels)
        for name, each in (("teacher", teacher_probs), ("labels alone", probe_probs))
    }
    together = log_loss(both, labels)
    better = min(single.values(), key=lambda losses: float(losses.mean()))
    losses = {name: float(each.mean()) for name, each in single.items()}
    return ProbeComparison(
        alone=share_of(alone_right, repeats),
        where_wrong=share_of(alone_right[~right], repeats.take(~right)) if (~right).any() else None,
        losses={**losses, "both": float(together.mean())},
        gain=mean_of((better - together).numpy(), repeats),
        ceiling=share_of(both.argmax(dim=1) == labels, repeats),
        needed=_labels_needed((right.double() - alone_right.double()).numpy(), repeats),
    )


def _labels_needed(differences: NDArray[np.float64], repeats: Repeats) -> int | None:
    """How many examples would make the observed difference significant; None where it already is, or is zero."""
    estimate = mean_of(differences, repeats)
    half = (estimate.high - estimate.low) / 2
    if estimate.low > 0 or estimate.high < 0 or estimate.mean == 0:
        return None
    return int(np.ceil(len(differences) * (half / abs(estimate.mean)) ** 2))


@dataclass(frozen=True, kw_only=True, slots=True)
class OverCommonest:
    """The teacher compared with naming the most frequent class of the labels for every example.

    Args:
        name: The class.
        share: Its share of the labelled examples.
        gain: The teacher's accuracy less that share, of paired examples.
        num_independent: Number of independent labelled examples.
    """

    name: str
    share: float
    gain: Estimate
    num_independent: float

    @classmethod
    def of(cls, right: Tensor, labels: Tensor, names: Sequence[str], repeats: Repeats) -> "OverCommonest":
        """The comparison.

        Args:
            right: [V], bool, whether the teacher's likeliest class is the label.
            labels: [V].
            names: K names.
            repeats: Of the examples, all of different content.

        Example:
            >>> labels, right = torch.tensor([0] * 30 + [1] * 10), torch.tensor([True] * 30 + [False] * 10)
            >>> found = OverCommonest.of(right, labels, ["no", "yes"], Repeats.none(40))
            >>> found.name, found.share, found.gain.mean
            ('no', 0.75, 0.0)
        """
        index = int(torch.bincount(labels, minlength=len(names)).argmax())
        named = labels == index
        return cls(
            name=names[index],
            share=named.double().mean().item(),
            gain=mean_of((right.double() - named.double()).numpy(), repeats),
            num_independent=repeats.num_independent,
        )

    @property
    def is_level(self) -> bool:
        """Whether the teacher is not shown to be better; where labels are too few for that, whether it is not."""
        enough = self.num_independent >= FEWEST or self.gain.mean <= 0
        return self.gain.low <= 0 and enough


def opening(accuracy: Estimate, alone: Estimate | None, over: OverCommonest) -> str:
    """Whether the teacher is good enough to learn from, in one sentence.

    Args:
        accuracy: The teacher's, out of sample.
        alone: That of a linear probe trained on the labels; None without one.
        over: The teacher compared with naming the most frequent class.

    Example:
        >>> gain = Estimate(mean=0.4, low=0.3, high=0.5)
        >>> nothing = OverCommonest(name="no", share=0.4, gain=gain, num_independent=90.0)
        >>> poor, good = Estimate(mean=0.6, low=0.55, high=0.65), Estimate(mean=0.8, low=0.75, high=0.85)
        >>> opening(poor, good, nothing)
        'The teacher (60.0% [55.0%, 65.0%]) is worse than your labels alone (80.0% [75.0%, 85.0%]).'
    """
    if over.is_level:
        return f"The teacher ({accuracy}) is not good enough: it is no better than always naming {over.name!r}."
    if alone is None:
        return f"The teacher is right {accuracy} of the time, {over.gain.mean:+.1%} beside always naming {over.name!r}."
    if alone.low > accuracy.high:
        return f"The teacher ({accuracy}) is worse than your labels alone ({alone})."
    if accuracy.low > alone.high:
        return f"The teacher ({accuracy}) is good enough: it is better than your labels alone ({alone})."
    if alone.mean > accuracy.mean:
        return f"The teacher ({accuracy}) is not shown to be better than your labels alone ({alone})."
    return f"The teacher ({accuracy}) may be better than your labels alone ({alone}); the intervals overlap."


def recommend(
    accuracy: Estimate,
    alone: Estimate | None,
    where_wrong: Estimate | None,
    gain: Estimate | None,
    commonest: float,
    over: OverCommonest | None = None,
) -> tuple[str, str]:
    """The recommended method and the reason: the first rule that applies, of those that docs/results.md supports.

    Args:
        accuracy: The teacher's.
        alone: The probe's; None without a probe.
        where_wrong: The probe's where the teacher is wrong.
        gain: Log-loss of the better of the two less that of both stacked.
        commonest: Share of the most frequent class, the accuracy of always predicting it.
        over: The teacher compared with that; None leaves the rule out.

    Example:
        >>> poor, good = Estimate(mean=0.6, low=0.55, high=0.65), Estimate(mean=0.8, low=0.75, high=0.85)
        >>> recommend(poor, good, good, None, 0.5)[0]
        'labelled_only'
    """
    if over is not None and over.is_level:
        return _of_a_level_teacher(accuracy, alone, gain, over)
    if alone is not None and where_wrong is None:
        return (
            "hard",
            "The teacher is right on every labelled example: there is nothing to correct that labels could show.",
        )
    if alone is None or where_wrong is None:
        return "slam", "Without the student's features only the teacher's accuracy is known."
    if gain is not None and gain.low > 0:
        return "slam, rounds: 3", (
            f"Teacher and labels together predict better than either alone (log-loss {gain.mean:.3f} nats lower "
            f"[{gain.low:.3f}, {gain.high:.3f}]): the inputs hold information that the teacher lacks; peer rounds use "
            f"it."
        )
    if alone.low > accuracy.high:
        return "labelled_only", (
            f"Distillation will hardly help here: a linear probe trained on your labels alone has an accuracy of "
            f"{alone}, the teacher one of {accuracy}. Train on your labels, or find a better teacher."
        )
    if alone.low <= commonest:
        return "slam", (
            f"A linear probe trained on your labels alone ({alone}) is not significantly better than always predicting "
            f"the most frequent class ({commonest:.1%}), so it cannot tell random errors from systematic ones; compare "
            f"with 'hard'."
        )
    if where_wrong.mean < SYSTEMATIC:
        return "hard", (
            f"The teacher's errors look systematic: a probe trained on the labels alone is right on only {where_wrong} "
            f"of them, so they follow from the inputs and a noise model cannot detect them. Plain distillation "
            f"transfers what the teacher knows; more labels or other features would be needed to correct the rest."
        )
    return "slam", (
        f"Not all of the teacher's errors follow from the inputs: a probe trained on the labels alone is right on "
        f"{where_wrong} of them. A method that models the noise can gain here; compare it with 'hard'."
    )


def _of_a_level_teacher(
    accuracy: Estimate, alone: Estimate | None, gain: Estimate | None, over: OverCommonest
) -> tuple[str, str]:
    """What to run with a teacher that is no better than naming the most frequent class."""
    found = (
        f"The teacher ({accuracy}) is no better than naming the most frequent class, {over.name!r} ({over.share:.1%}), "
        f"for every example: the difference is {over.gain.mean:+.1%} [{over.gain.low:+.1%}, {over.gain.high:+.1%}]."
    )
    if gain is not None and gain.low > 0:
        return "auto", (
            f"{found} Its probabilities still say something that a probe trained on your labels does not (log-loss "
            f"{gain.mean:.3f} nats lower together [{gain.low:.3f}, {gain.high:.3f}]); `auto` lets the labels "
            f"choose how much of it is used."
        )
    if alone is not None and alone.low > over.share:
        return "labelled_only", (
            f"{found} A linear probe trained on your labels alone has an accuracy of {alone}: train on your labels, or "
            f"find a better teacher."
        )
    if over.num_independent < FEWEST:
        return "labelled_only", f"{found} Label more examples, or find a better teacher."
    return "auto", (
        f"{found} Distillation would teach the student little else; `auto` lets the labels choose whether the answers "
        f"are used at all. A better teacher or more labels would help more."
    )
