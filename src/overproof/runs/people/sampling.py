"""Rows of the pool that were drawn with known probabilities for people: which ones, and what their labels say."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float64, Int64
from numpy.typing import NDArray
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.data import Examples, repeats_in
from overproof.data.wording import counted
from overproof.errors import InputError
from overproof.evaluation.pool_sample import (
    PoolAccuracy,
    accuracy_by_inclusion,
    accuracy_of_sample,
    drawn_rows,
    inclusion_probabilities,
    spread_of,
)
from overproof.functional import margin
from overproof.models.importing import allowing
from overproof.noise import isotonic_accuracy
from overproof.runs.folder.resume import is_finished
from overproof.runs.people.of_run import probs_of, seed_of
from overproof.runs.people.to_label import (
    INCLUSION,
    check_to_label,
    labels_of,
    shuffled,
    table_to_label,
    write_to_label,
)
from overproof.runs.pipeline import Run
from overproof.seeds import derived_seed

Purpose = Literal["random", "teacher_accuracy"]


def random_order(once: Int64[Tensor, "M"], seed: int) -> Int64[Tensor, "M"]:
    """[M], the contents of a pool in the random order in which people are asked for labels.

    Args:
        once: [M], the first example of each content.
        seed: Of the run.
    """
    return shuffled(once, seed, "random sample")


@dataclass(frozen=True, kw_only=True, eq=False)
class TeacherCurve:
    """How likely the teacher is right on each content of the pool, by a fit on the labelled examples of the run.

    Args:
        once: [M], the first example of each content.
        expected: [M], the probability that the teacher is right there.
    """

    once: Int64[Tensor, "M"]
    expected: Float64[Tensor, "M"]

    @classmethod
    def of(cls, run: Run, seed: int) -> "TeacherCurve":
        """Fit the curve.

        Raises:
            InputError: The run has no labelled examples that the teacher was not trained on.
        """
        roles, answers = run.seed_roles(seed), run.teacher.for_seed(seed)
        judges = "validation" if "validation" in answers else "labelled"
        if not len(answers[judges]) or (judges == "labelled" and not run.experiment.answers_out_of_sample):
            raise InputError(
                f"{run.folder} has no labelled examples that the teacher was not trained on, so it is not known where "
                f"it errs; draw a random sample with --purpose random."
            )
        known = roles.by_role()[judges]
        answered = answers[judges].answered
        some = repeats_in(known).counted(answered.nonzero()[:, 0])
        probs = answers[judges].probs()[some]
        curve = isotonic_accuracy(margin(probs), probs.argmax(dim=1) == known.label[some], prior=1.0)
        once = repeats_in(roles.pool).once
        expected = curve(margin(answers["pool"].probs()[once])).double()
        # Where it names no class it is right as often as a guess.
        even = ~answers["pool"].names_class[once]
        return cls(once=once, expected=expected.masked_fill(even, 1 / answers["pool"].num_classes))


def draw(run: Run, purpose: Purpose, budget: int, seed: int) -> pa.Table:
    """Rows of the pool for people, each content at most once.

    Args:
        run: Opened.
        purpose: `random`: all rows alike. `teacher_accuracy`: such that the labels say most about it, in
            proportion to the standard deviation of being right; the file then holds the probabilities.
        budget: How many rows, at most.
        seed: One of the run's.

    Returns:
        Columns as `table_to_label`, and `inclusion` with `teacher_accuracy`.

    Raises:
        InputError: There is no pool, or nothing is known of the teacher.
    """
    run.begin()
    pool = _pool(run, seed)
    if purpose == "random":
        return table_to_label(pool.take(random_order(repeats_in(pool).once, seed)[:budget].numpy()), purpose)
    with allowing(run.allow_import):
        curve = TeacherCurve.of(run, seed)
    budget = min(budget, len(curve.once))
    inclusion = inclusion_probabilities(spread_of(curve.expected.numpy()), budget)
    chosen = drawn_rows(inclusion, np.random.default_rng(derived_seed(seed, "teacher sample")))
    table = table_to_label(pool.take(curve.once[torch.from_numpy(chosen)].numpy()), purpose)
    return table.append_column(INCLUSION, pa.array(inclusion[chosen]))


def write_drawn(run: Run, purpose: Purpose, budget: int, file: Path, seed: int | None) -> int:
    """Draw rows and write them as CSV; returns their number.

    Raises:
        InputError: As `draw`, or the file's name does not fit, or it exists.
    """
    check_to_label(file)
    table = draw(run, purpose, budget, seed_of(run, seed))
    write_to_label(table, file)
    return len(table)


def judged_by(
    run: Run, labels: Mapping[str, str], inclusion: Mapping[str, float], seed: int | None = None
) -> dict[str, PoolAccuracy]:
    """How often the teacher, and with a random sample every student, is right on the pool, by labels of people.

    Args:
        run: Opened.
        labels: The class by content, of a file that `write_drawn` wrote.
        inclusion: The probability of being drawn by content; empty for a random sample.
        seed: One of the run's; the first by default.

    Raises:
        InputError: Rows that were not drawn, a name that is no class, or rows left out before labelled ones.
    """
    seed = seed_of(run, seed)
    run.begin()
    pool, what = _pool(run, seed), f"are not of the pool of {run.folder} at seed {seed}"
    with allowing(run.allow_import):
        answers = run.teacher.for_seed(seed)["pool"]
        if inclusion:
            curve = TeacherCurve.of(run, seed)
            known = labels_of(curve.once, pool, labels, what=what, aliases=run.experiment.aliases)
            _refuse_left_out(len(labels) - len(known.place))
            rows = curve.once[known.place]
            contents = [each.hex() for each in pool.ids[rows.numpy()].tolist()]
            return {
                "teacher": accuracy_by_inclusion(
                    _right(answers, rows, known.label),
                    curve.expected[known.place].numpy(),
                    np.array([inclusion[each] for each in contents]),
                    expected_mean=float(curve.expected.mean()),
                    num=len(curve.once),
                )
            }
        drawn = random_order(repeats_in(pool).once, seed)
        known = labels_of(drawn, pool, labels, what=what, aliases=run.experiment.aliases)
        _refuse_left_out(known.num_left_out)
        rows = drawn[known.place]
        some = pool.take(rows.numpy())
        found = {"teacher": accuracy_of_sample(_right(answers, rows, known.label), len(drawn))}
        for folder in sorted((run.folder / "students" / f"seed-{seed}").glob("*")):
            if is_finished(folder):
                named = probs_of(folder, some).argmax(dim=1)
                found[folder.name] = accuracy_of_sample((named == known.label).numpy(), len(drawn))
        return found


def _right(answers: Answers, rows: Tensor, label: Tensor) -> NDArray[np.float64]:
    """[n], whether the teacher is right on some rows: as often as a guess where it names no class."""
    right = (answers.pseudo_label[rows] == label).double()
    return right.masked_fill(~answers.names_class[rows], 1 / answers.num_classes).numpy()


def sentences_of(found: Mapping[str, PoolAccuracy]) -> list[str]:
    """The accuracies in words, one sentence a model."""
    return [
        f"{name}: right on {100 * each.accuracy:.1f} % [{100 * each.low:.1f}, {100 * each.high:.1f}] of the {each.num} "
        f"pool examples, by {counted(each.num_labelled, 'label')}."
        for name, each in found.items()
    ]


def _pool(run: Run, seed: int) -> Examples:
    pool = run.seed_roles(seed).pool
    if not len(pool):
        raise InputError(f"{run.folder} has no pool to draw from.")
    return pool


def _refuse_left_out(num: int) -> None:
    if num:
        raise InputError(
            f"{counted(num, 'row')} of the sample {'has' if num == 1 else 'have'} no label; what was left out "
            "may be what is hard, and the estimate would be "
            f"wrong: label these too."
        )
