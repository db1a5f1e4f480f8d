"""Before any student is trained: is this teacher good enough, and what to do? From labels and stored answers alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import ks_2samp
from torch import Tensor

from overproof.assessment.probes import ErrorProbe, error_probe, probe
from overproof.errors import InputError
from overproof.evaluation.metrics import accuracy_interval, metrics
from overproof.noise import (
    class_accuracy,
    fit_temperature,
    global_accuracy,
    isotonic_accuracy,
    log_loss,
    margin,
    stacked_out_of_fold,
    transition_interval,
    transition_matrix,
)
from overproof.noise.class_accuracy import SAME_MARGINS, same_margins
from overproof.seeds import derived_seed

SHOWN_MARGINS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Where the reliability curve is given."""
ACCURACY_STEPS = (0.5, 0.7, 0.8, 0.9, 0.95)
"""The pool is counted between these accuracies."""
NUM_RESAMPLES = 200
"""Bootstrap resamples of the labelled examples behind a band."""
PRIOR = 4.0
"""Imaginary examples at either end of the curve, as in `Isotonic`."""
SYSTEMATIC = 0.2
"""Mistakes are systematic where the labels alone get fewer of them right, as in `diagnose`."""
DRIFT_LEVEL = 0.01
"""Labelled and pool examples differ where their margins would differ as much in fewer than 1 % of draws."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number from labelled examples with its 95 % interval.

    Args:
        mean: As counted.
        low: Where the interval begins.
        high: Where it ends.
    """

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.1%} [{self.low:.1%}, {self.high:.1%}]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Assessment:
    """What is known of a teacher; fit for JSON through `dataclasses.asdict`.

    Args:
        num_labelled: Labelled examples the estimates rest on.
        num_pool: Pool examples answered.
        accuracy: Of the teacher, out of sample.
        accuracy_by_class: By the true class.
        share_by_class: Of the pool's answers, by class.
        reliability: Accuracy at `SHOWN_MARGINS`, with a pointwise bootstrap band; empty where all margins are equal.
        ece: Calibration error of its confidence.
        temperature: What would calibrate it; above one it is too sure.
        coverage: How often the truth is among its k likeliest classes, by k.
        confusions: (true class, named class, share with interval), the ten largest.
        transition: [K][K], P(named class | true class); rows sum to one.
        transition_low: [K][K], where the interval of each entry begins.
        transition_high: [K][K], where it ends.
        pool_accuracy: What the curve expects of its answers on the pool.
        pool_by_accuracy: Share of the pool below .5, between the steps, and above the last.
        drift: p-value of labelled and pool margins being alike (Kolmogorov and Smirnov).
        labels_alone: Accuracy of a linear probe on the student's own features, cross-validated; None without features.
        alone_where_wrong: The same, where the teacher is wrong.
        log_losses: Of the teacher, the probe, and both stacked, out of fold, in nats.
        both_gain: How much lower the loss of both is than the better one's, in nats, with its interval.
        ceiling: Accuracy of teacher and probe stacked, out of fold: what a student reaches that knows what both do.
        errors: Whether the mistakes can be told from the inputs; None without features or with too few of either.
        labels_needed: How many labelled examples would tell teacher and probe apart; None where it is known already.
        repeated: How many examples of each role also stand in the test.
        recommendation: What to run.
        reason: Why.
        findings: What else a reader must know.
    """

    num_labelled: int
    num_pool: int
    accuracy: Estimate
    accuracy_by_class: dict[str, Estimate]
    share_by_class: dict[str, float]
    reliability: dict[float, Estimate]
    ece: float
    temperature: float
    coverage: dict[int, float]
    confusions: tuple[tuple[str, str, Estimate], ...]
    transition: tuple[tuple[float, ...], ...]
    transition_low: tuple[tuple[float, ...], ...]
    transition_high: tuple[tuple[float, ...], ...]
    pool_accuracy: Estimate
    pool_by_accuracy: tuple[float, ...]
    drift: float
    labels_alone: Estimate | None
    alone_where_wrong: Estimate | None
    log_losses: dict[str, float]
    both_gain: Estimate | None
    ceiling: Estimate | None
    errors: ErrorProbe | None
    labels_needed: int | None
    repeated: dict[str, int]
    recommendation: str
    reason: str
    findings: tuple[str, ...]


def assess(
    labels: Int[Tensor, "V"],
    labelled_teacher_probs: Float[Tensor, "V K"],
    pool_teacher_probs: Float[Tensor, "N K"],
    *,
    class_names: Sequence[str],
    features: Any = None,
    repeated: Mapping[str, int] | None = None,
    seed: int = 0,
) -> Assessment:
    """Judge a teacher by its out-of-sample answers on labelled examples and its answers on the pool.

    Args:
        labels: [V], true classes, in 0..K-1; at least 20.
        labelled_teacher_probs: [V, K], by a teacher that did not see these labels (cross-fitted, or brought).
        pool_teacher_probs: [N, K].
        class_names: K names.
        features: [V, D], the labelled examples as the student sees them, an array or a scipy sparse matrix; None leaves
            out everything that needs a probe.
        repeated: How many examples of each role also stand in the test.
        seed: Draws folds and resamples.

    Raises:
        InputError: Too few labelled examples, no pool, or sizes that differ.
    """
    if len(labels) < 20:
        raise InputError(f"A teacher is assessed on at least 20 labelled examples; there are {len(labels)}.")
    if len(pool_teacher_probs) == 0:
        raise InputError("There is no pool, so there are no answers to assess.")
    names = [str(name) for name in class_names]
    probs, answer = labelled_teacher_probs.double(), labelled_teacher_probs.argmax(dim=1)
    right, margins = answer == labels, margin(probs)
    pool_margins = margin(pool_teacher_probs.double())
    curve, band = _curve(margins, right, torch.tensor(SHOWN_MARGINS, dtype=torch.float64), pool_margins, seed)
    told = metrics(probs, labels, probs)
    accuracy = Estimate(**dict(zip(("mean", "low", "high"), global_accuracy(labels, probs), strict=True)))
    beside = Beside(losses={"teacher": float(log_loss(probs, labels).mean())})
    if features is not None:
        beside = _beside(probs, probe(features, labels, len(names), seed), labels, seed)
    errors = None if features is None else error_probe(features, ~right, margins, seed)
    matrix, (low, high) = transition_matrix(labels, probs), transition_interval(labels, probs)
    drift = float(ks_2samp(margins.numpy(), pool_margins.numpy()).pvalue)
    pool_curve, hard = isotonic_accuracy(margins, right, prior=PRIOR)(pool_margins), same_margins(margins)
    if hard:
        named = class_accuracy(answer, right, len(names), lower=0.0, prior=PRIOR)
        pool_curve = named(pool_teacher_probs.argmax(dim=1))
    recommendation, reason = recommend(
        accuracy, beside.alone, beside.where_wrong, beside.gain, max(_shares(labels, len(names)))
    )
    rank = 1 + (probs > probs.gather(1, labels.unsqueeze(1))).sum(dim=1)
    return Assessment(
        num_labelled=len(labels),
        num_pool=len(pool_teacher_probs),
        accuracy=accuracy,
        accuracy_by_class=_by_class(labels, right, names),
        share_by_class=dict(zip(names, _shares(pool_teacher_probs.argmax(dim=1), len(names)), strict=True)),
        reliability={} if hard else dict(zip(SHOWN_MARGINS, curve, strict=True)),
        ece=told["ece"],
        temperature=fit_temperature(probs, labels),
        coverage={k: (rank <= k).double().mean().item() for k in (1, 2, 3, 5, 10) if k <= len(names)},
        confusions=_confusions(labels, matrix, low, high, names),
        transition=_rows(matrix),
        transition_low=_rows(low),
        transition_high=_rows(high),
        pool_accuracy=band,
        pool_by_accuracy=tuple(
            _shares(torch.bucketize(pool_curve, torch.tensor(ACCURACY_STEPS), right=True), len(ACCURACY_STEPS) + 1)
        ),
        drift=drift,
        labels_alone=beside.alone,
        alone_where_wrong=beside.where_wrong,
        log_losses=beside.losses,
        both_gain=beside.gain,
        ceiling=beside.ceiling,
        errors=errors,
        labels_needed=beside.needed,
        repeated=dict(repeated or {}),
        recommendation=recommendation,
        reason=reason,
        findings=(
            *_findings(accuracy, band, drift, repeated or {}, labels, names),
            *([SAME_MARGINS] if hard else []),
            *([errors.sentence()] if errors is not None else []),
        ),
    )


def recommend(
    accuracy: Estimate, alone: Estimate | None, where_wrong: Estimate | None, gain: Estimate | None, commonest: float
) -> tuple[str, str]:
    """What to run, and why: the rules that docs/results.md bears out, first that holds first.

    Args:
        accuracy: The teacher's.
        alone: The probe's; None where there is none.
        where_wrong: The probe's where the teacher is wrong.
        gain: How much lower the log-loss of both is than the better one's.
        commonest: Share of the commonest class: what naming it always would get right.

    Example:
        >>> poor, good = Estimate(mean=0.6, low=0.55, high=0.65), Estimate(mean=0.8, low=0.75, high=0.85)
        >>> recommend(poor, good, good, None, 0.5)[0]
        'labelled_only'
    """
    if alone is None or where_wrong is None:
        return "slam", "Without the student's features nothing can be said beyond the teacher's accuracy."
    if gain is not None and gain.low > 0:
        return "slam, rounds: 3", (
            f"Teacher and labels together predict better than either alone (log-loss {gain.mean:.3f} nats lower "
            f"[{gain.low:.3f}, {gain.high:.3f}]): the student sees what the teacher does not, which peer rounds use."
        )
    if alone.low > accuracy.high:
        return "labelled_only", (
            f"Distillation will hardly help here: a linear probe trained on your labels alone is right {alone} of the "
            f"time, the teacher {accuracy}. Train on your labels, or find a better teacher."
        )
    if alone.low <= commonest:
        return "slam", (
            f"A linear probe trained on your labels alone ({alone}) is not seen to do better than naming the commonest "
            f"class ({commonest:.1%}), so it cannot tell random mistakes from systematic ones; compare with 'hard'."
        )
    if where_wrong.mean < SYSTEMATIC:
        return "hard", (
            f"The mistakes look systematic: the labels alone are right on only {where_wrong} of those the teacher "
            f"makes, so they follow from the inputs and no noise model sees them. Plain distillation takes over what "
            f"the teacher knows; more labels or another view of the data would mend the rest."
        )
    return "slam", (
        f"The mistakes do not all follow from the inputs: the labels alone are right on {where_wrong} of them. A "
        f"method that models the noise has something to win; compare it with 'hard' all the same."
    )


def _curve(
    margins: Tensor, right: Tensor, shown: Tensor, pool_margins: Tensor, seed: int
) -> tuple[list[Estimate], Estimate]:
    """The accuracy at every shown margin and over the pool, with bootstrap bands."""
    generator = np.random.Generator(np.random.PCG64(derived_seed(seed, "bootstrap")))
    # A thousand quantiles stand for the pool: the band asks for its mean only.
    pool = torch.from_numpy(np.quantile(pool_margins.numpy(), (np.arange(1000) + 0.5) / 1000))
    curves, means = [], []
    for number in range(NUM_RESAMPLES + 1):
        rows = torch.arange(len(margins))
        if number:
            rows = torch.from_numpy(generator.integers(len(margins), size=len(margins)))
        fitted = isotonic_accuracy(margins[rows], right[rows], prior=PRIOR)
        curves.append(fitted(shown).double().numpy())
        means.append(fitted(pool).double().mean().item())
    low, high = np.quantile(curves[1:], (0.025, 0.975), axis=0)
    estimates = [
        Estimate(mean=float(at), low=float(min(a, at)), high=float(max(b, at)))
        for at, a, b in zip(curves[0], low, high, strict=True)
    ]
    pool_low, pool_high = np.quantile(means[1:], (0.025, 0.975))
    return estimates, Estimate(mean=means[0], low=float(pool_low), high=float(pool_high))


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """What the probe comes to beside the teacher; the losses of the teacher alone where there is no probe."""

    losses: dict[str, float]
    alone: Estimate | None = None
    where_wrong: Estimate | None = None
    gain: Estimate | None = None
    ceiling: Estimate | None = None
    needed: int | None = None


def _beside(probs: Tensor, alone_probs: Tensor, labels: Tensor, seed: int) -> Beside:
    """The probe beside the teacher, and both together, on the same labelled examples."""
    right, alone_right = probs.argmax(dim=1) == labels, alone_probs.argmax(dim=1) == labels
    both = stacked_out_of_fold([probs, alone_probs], labels, seed=seed)
    # Each by itself is stacked as well, so that none is blamed for a temperature that the stack would mend.
    single = {
        word: log_loss(stacked_out_of_fold([each], labels, seed=seed), labels)
        for word, each in (("teacher", probs), ("labels alone", alone_probs))
    }
    together = log_loss(both, labels)
    better = min(single.values(), key=lambda losses: float(losses.mean()))
    losses = {word: float(each.mean()) for word, each in single.items()}
    return Beside(
        alone=_share(alone_right),
        where_wrong=_share(alone_right[~right]) if (~right).any() else None,
        losses={**losses, "both": float(together.mean())},
        gain=_mean_with_interval((better - together).numpy()),
        ceiling=_share(both.argmax(dim=1) == labels),
        needed=_labels_needed((right.double() - alone_right.double()).numpy()),
    )


def _labels_needed(differences: NDArray[np.float64]) -> int | None:
    """How many examples would show the difference that these seem to have; None where they show it already."""
    estimate = _mean_with_interval(differences)
    half = (estimate.high - estimate.low) / 2
    if estimate.low > 0 or estimate.high < 0 or estimate.mean == 0:
        return None
    return int(np.ceil(len(differences) * (half / abs(estimate.mean)) ** 2))


def _by_class(labels: Tensor, right: Tensor, names: Sequence[str]) -> dict[str, Estimate]:
    return {name: _share(right[labels == index]) for index, name in enumerate(names) if (labels == index).any()}


def _rows(matrix: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())


def _confusions(
    labels: Tensor, matrix: Tensor, low: Tensor, high: Tensor, names: Sequence[str]
) -> tuple[tuple[str, str, Estimate], ...]:
    seen = torch.bincount(labels, minlength=len(names)) > 0
    off = matrix.clone().fill_diagonal_(0) * seen[:, None]
    largest = off.flatten().sort(descending=True, stable=True).indices[:10]
    pairs = [divmod(index, len(names)) for index in largest.tolist()]
    return tuple(
        (names[i], names[j], Estimate(mean=matrix[i, j].item(), low=low[i, j].item(), high=high[i, j].item()))
        for i, j in pairs
        if off[i, j] > 0
    )


def _findings(
    accuracy: Estimate,
    on_pool: Estimate,
    drift: float,
    repeated: Mapping[str, int],
    labels: Tensor,
    names: Sequence[str],
) -> tuple[str, ...]:
    found = [
        f"{count} {role} examples also stand in the test, letter for letter."
        for role, count in repeated.items()
        if count
    ]
    few = [name for index, name in enumerate(names) if int((labels == index).sum()) < 5]
    if few:
        found.append(
            f"Fewer than five labelled examples of {', '.join(few)}: nothing reliable is known of the teacher there."
        )
    if drift < DRIFT_LEVEL:
        found.append(
            f"The pool is not like the labelled examples: the teacher's margins differ (p = {drift:.1g}), and on the "
            f"pool it is expected to be right {on_pool} of the time, against {accuracy} on the labelled ones."
        )
    return tuple(found)


def _share(right: Tensor) -> Estimate:
    low, high = accuracy_interval(int(right.sum()), len(right))
    return Estimate(mean=right.double().mean().item(), low=low, high=high)


def _shares(index: Tensor, count: int) -> list[float]:
    shares: list[float] = (torch.bincount(index, minlength=count).double() / len(index)).tolist()
    return shares


def _mean_with_interval(values: NDArray[np.float64]) -> Estimate:
    mean, half = float(values.mean()), float(ndtri(0.975) * values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(mean=mean, low=mean - half, high=mean + half)
