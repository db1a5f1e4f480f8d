"""Assess a teacher before any student is trained: how accurate it is, where it errs, and which method to run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from overproof.assessment.estimates import (
    Estimate,
    share_of,
)
from overproof.assessment.given import checked_arrays
from overproof.assessment.on_pool import on_pool, said_of_pool
from overproof.assessment.probes import Coordinates, ErrorProbe, error_probe, probe
from overproof.assessment.recommendation import OverCommonest, compare_with_probe, opening, recommend
from overproof.data.wording import counted
from overproof.errors import InputError
from overproof.evaluation.metrics import metrics
from overproof.functional.repeats import Repeats
from overproof.methods.noise_models import Isotonic
from overproof.noise import (
    accuracy_in_words,
    doubtful_classes,
    fit_temperature,
    global_accuracy,
    margin,
    transition_interval,
    transition_matrix,
)
from overproof.noise.class_accuracy import SAME_MARGINS, same_margins

FEWEST_LABELLED = 20
"""Labelled examples that an assessment needs."""
DRIFT_LEVEL = 0.01
"""Level of the test that labelled and pool margins have the same distribution."""
TOGETHER = (
    "stacked, out of fold; it reads the teacher's answer to the row itself, which a student does not: expect less"
)
"""What the accuracy of teacher and labels together is."""


OR_AUTO = (
    "or leave `methods: [auto]`, which compares several methods on the labels, this one's parts among them, and takes "
    "the best; this line costs one training a seed."
)
"""What is said beside a recommended method, because `init` writes `auto`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assessment:
    """The assessment of a teacher; fit for JSON through `dataclasses.asdict`.

    Args:
        num_labelled: Labelled examples that the estimates are computed from; of one content the first.
        num_pool: Pool examples with teacher answers.
        accuracy: The teacher's, out of sample.
        accuracy_by_class: The same by true class.
        share_by_class: Share of each class among the teacher's pseudo-labels on the pool.
        reliability: Accuracy at `SHOWN_MARGINS`, with a pointwise bootstrap band; empty where all margins are equal.
        ece: Calibration error of its confidence.
        temperature: The temperature that calibrates it; above one it is overconfident.
        coverage: By k, how often the true class is among its k likeliest; where classes are equally likely, the share
            of their orders in which it is. Of hard labels only k = 1, since they say nothing of the second.
        confusions: (true class, predicted class, share with interval), the ten largest.
        transition: [K][K], P(predicted class | true class); rows sum to one.
        transition_low: [K][K], the lower ends of the entries' intervals.
        transition_high: [K][K], the upper ends.
        pool_accuracy: Its expected accuracy on the pool, by the reliability curve; where all margins are equal, by the
            classes that it names there.
        pool_by_accuracy: Share of the pool below an expected accuracy of .5, between the steps, and above the last.
        drift: p-value of the test that labelled and pool margins have one distribution (Kolmogorov and Smirnov); where
            all margins are equal, that the named classes have (permutations). None where `copies` is given.
        labels_alone: Accuracy of a linear probe on the student's features, cross-validated; None without features.
        alone_where_wrong: The same, where the teacher is wrong.
        log_losses: Of the teacher, the probe, and both stacked, out of fold, in nats; without a probe of the teacher,
            as it answered, unless it is infinite.
        both_gain: Log-loss of the better of the two less that of both stacked, in nats, with its interval.
        ceiling: Accuracy of teacher and probe stacked, out of fold. It reads the teacher's answer to the row itself,
            which no student has: expect less of a student.
        errors: Whether the errors are predictable from the inputs; None without features, and with too few errors or
            too few right answers.
        labels_needed: Number of labelled examples needed to tell teacher and probe apart; None where these suffice.
        repeated: By role, how many examples are also in the test set.
        opening: Whether the teacher is good enough, in one sentence.
        recommendation: The recommended method.
        reason: Why it is recommended.
        findings: Warnings and further findings.
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
    drift: float | None
    labels_alone: Estimate | None
    alone_where_wrong: Estimate | None
    log_losses: dict[str, float]
    both_gain: Estimate | None
    ceiling: Estimate | None
    errors: ErrorProbe | None
    labels_needed: int | None
    repeated: dict[str, int]
    opening: str
    recommendation: str
    reason: str
    findings: tuple[str, ...]

    @property
    def goes_by(self) -> str:
        """What of its answers shows where the teacher errs."""
        return "margins" if self.reliability else "named classes"

    @property
    def yaml(self) -> str:
        """The line of an experiment that has the recommended method."""
        name, comma, more = self.recommendation.partition(",")
        # A name of its own, so that the row can stand beside one of the plain method.
        more = f"{{method: {name}, name: {name}_{more.partition(':')[0].strip()},{more}}}"
        return f"methods: [{more if comma else name}]"


def assess(
    labels: Any,
    labelled_teacher_probs: Any,
    pool_teacher_probs: Any,
    *,
    class_names: Sequence[str] | None = None,
    features: Any = None,
    repeated: Mapping[str, int] | None = None,
    repeats: Repeats | None = None,
    remarks: Sequence[str] = (),
    seed: int = 0,
    copies: bool = False,
    checked: bool = False,
) -> Assessment:
    """Assess a teacher by its out-of-sample answers on labelled examples and its answers on the pool.

    Args:
        labels: [V], true classes, indices 0..K-1 or names; at least 20.
        labelled_teacher_probs: [V, K], an array, a tensor or a data frame whose columns are the classes, or [V]
            classes; by a teacher that did not see these labels (cross-fitted or pre-trained). None, a row of NaN or a
            word that is no class is no answer; such rows are left out, which a finding says.
        pool_teacher_probs: [N, K], the same of the pool.
        class_names: K names in the order of the columns; by default the column names of `labelled_teacher_probs`, else
            0..K-1.
        features: [V, D], the student's features of the labelled examples, an array or a scipy sparse matrix; None
            leaves out everything that needs a probe.
        repeated: By role, how many examples are also in the test set.
        repeats: Which labelled examples repeat or depend on each other: each content counts once, groups are in one
            fold, and intervals count independent examples.
        remarks: More findings, such as those about the data.
        seed: Seed of folds and resamples.
        copies: Whether each labelled example was answered by the one copy of the teacher that did not see it, and the
            pool by the mean of all copies. A mean has other margins than one copy on the same examples, so pool and
            labelled examples are not compared by the answers.
        checked: Leave out the check of arrays and of the order of their columns, because a run has made it.

    Example:
        >>> from overproof.synthetic import blobs
        >>> world = blobs(num_examples=300, num_classes=3, seed=0)
        >>> found = assess(world.label[:100], world.teacher_probs[:100], world.teacher_probs[100:])
        >>> found.num_labelled, found.accuracy.low < found.accuracy.mean < found.accuracy.high
        (100, True)

    Raises:
        InputError: Too few labelled examples, no pool, sizes that differ, rows that are no distributions, or columns
            that are in another order than that of the classes.
    """
    if not checked:
        given = checked_arrays(labels, labelled_teacher_probs, pool_teacher_probs, class_names)
        if len(given.kept) < len(labels):
            features = None if features is None else features[given.kept.numpy()]
            repeats = None if repeats is None else repeats.take(given.kept)
        labels, labelled_teacher_probs, pool_teacher_probs = given.labels, given.labelled_probs, given.pool_probs
        class_names, remarks = given.class_names, (*remarks, *given.remarks)
    repeats = Repeats.none(len(labels)) if repeats is None else repeats
    num_given = len(labels)
    if len(once := repeats.once) < num_given:
        labels, labelled_teacher_probs, repeats = labels[once], labelled_teacher_probs[once], repeats.take(once)
        features = None if features is None else features[once.numpy()]
    if len(labels) < FEWEST_LABELLED:
        different = " of different content" if len(labels) < num_given else ""
        raise InputError(
            f"A teacher is assessed on at least {FEWEST_LABELLED} labelled examples; there are "
            f"{len(labels)}{different}.{said_of_pool(pool_teacher_probs, class_names)}"
        )
    if len(pool_teacher_probs) == 0:
        raise InputError("There is no pool, so there are no teacher answers to assess.")
    names = [str(name) for name in class_names or range(labelled_teacher_probs.shape[1])]
    probs, margins = labelled_teacher_probs.double(), margin(labelled_teacher_probs.double())
    right = labelled_teacher_probs.argmax(dim=1) == labels
    accuracy = Estimate(
        **dict(zip(("mean", "low", "high"), global_accuracy(labels, probs, repeats=repeats), strict=True))
    )
    pool = on_pool(margins, right, labelled_teacher_probs, pool_teacher_probs, names, seed, repeats, copies)
    features = None if features is None else Coordinates.of(features)
    probe_probs = None if features is None else probe(features, labels, len(names), seed, repeats)
    compared = compare_with_probe(probs, probe_probs, labels, seed, repeats)
    errors = None if features is None else error_probe(features, ~right, margins, seed, repeats)
    over = OverCommonest.of(right, labels, names, repeats)
    recommendation, reason = recommend(accuracy, compared.alone, compared.where_wrong, compared.gain, over.share, over)
    recommendation, reason = _mixed(recommendation, reason, labels, labelled_teacher_probs, pool_teacher_probs, names)
    return Assessment(
        num_labelled=len(labels),
        num_pool=len(pool_teacher_probs),
        accuracy=accuracy,
        **_on_labelled(labels, probs, names, repeats),
        **pool,
        labels_alone=compared.alone,
        alone_where_wrong=compared.where_wrong,
        log_losses=compared.losses,
        both_gain=compared.gain,
        ceiling=compared.ceiling,
        errors=errors,
        labels_needed=compared.needed,
        repeated=dict(repeated or {}),
        opening=opening(accuracy, compared.alone, over),
        recommendation=recommendation,
        reason=reason,
        findings=(
            *_findings(accuracy, pool, repeated or {}, labels, names),
            *remarks,
            *([SAME_MARGINS] if same_margins(margins) else []),
            *([errors.sentence()] if errors is not None else []),
        ),
    )


def _mixed(
    recommendation: str, reason: str, labels: Tensor, labelled_probs: Tensor, pool_probs: Tensor, names: Sequence[str]
) -> tuple[str, str]:
    """The recommendation with the form of student-label mixing that the estimated accuracies allow, and why."""
    name, comma, more = recommendation.partition(",")
    if name != "slam":
        return recommendation, reason
    noise, pseudo_label = Isotonic().fit(labelled_probs, labels), pool_probs.argmax(dim=1)
    found = doubtful_classes(
        noise.teacher_accuracy(pool_probs),
        pseudo_label,
        len(names),
        hard=same_margins(margin(labelled_probs.double())),
    )
    if not found.num_rows:
        return recommendation, reason
    classes = ", ".join(
        f"{names[index]} {accuracy_in_words(value)}" for index, value in list(found.accuracy.items())[:3]
    )
    return f"slam_normalized{comma}{more}", (
        f"{reason} Of the two forms of SLaM the normalised one, because {found.num_rows} of {found.num_answers} pool "
        f"answers are of classes with an estimated accuracy below {found.bound:g} ({classes}), which the other form "
        f"hardly learns."
    )


def _on_labelled(labels: Tensor, probs: Tensor, names: Sequence[str], repeats: Repeats) -> dict[str, Any]:
    """The fields of `Assessment` that are computed from the answers on the labelled examples."""
    right = probs.argmax(dim=1) == labels
    matrix, (low, high) = transition_matrix(labels, probs), transition_interval(labels, probs, repeats=repeats)
    own, hard = probs.gather(1, labels.unsqueeze(1)), same_margins(margin(probs))
    above, equal = (probs > own).sum(dim=1).double(), (probs == own).sum(dim=1).double()
    return {
        "accuracy_by_class": {
            name: share_of(right[labels == index], repeats.take(labels == index))
            for index, name in enumerate(names)
            if (labels == index).any()
        },
        "ece": metrics(probs, labels, probs)["ece"],
        "temperature": fit_temperature(probs, labels),
        "coverage": {
            k: ((k - above) / equal).clamp(0, 1).mean().item()
            for k in (1, 2, 3, 5, 10)
            if k == 1 or (k <= len(names) and not hard)
        },
        "confusions": _confusions(labels, matrix, low, high, names),
        "transition": _rows(matrix),
        "transition_low": _rows(low),
        "transition_high": _rows(high),
    }


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
    pool: Mapping[str, Any],
    repeated: Mapping[str, int],
    labels: Tensor,
    names: Sequence[str],
) -> tuple[str, ...]:
    found = [
        f"{counted(count, f'{role} example is', f'{role} examples are')} also in the test set, character for character."
        for role, count in repeated.items()
        if count
    ]
    few = [name for index, name in enumerate(names) if int((labels == index).sum()) < 5]
    if few:
        found.append(f"Fewer than five labelled examples of {', '.join(few)}: the teacher's accuracy there is unknown.")
    if pool["drift"] is not None and pool["drift"] < DRIFT_LEVEL:
        how = "margins differ" if pool["reliability"] else "answers name the classes in other shares"
        found.append(
            f"The pool is not distributed like the labelled examples: the teacher's {how} (p = {pool['drift']:.1g}). "
            f"Its expected accuracy is {pool['pool_accuracy']} on the pool and {accuracy} on the labelled examples."
        )
    return tuple(found)
