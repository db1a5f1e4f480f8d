"""Which rows of the pool to ask the teacher about next: drawn by what a student is unsure of, with known probabilities.

The draw is one with unequal probabilities from all rows that have no answer. Each row keeps its probability, by which
students later count it: their loss on the answered rows then has no bias for that on the pool.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor

from overproof.answers.names import DRAWN, INCLUSION
from overproof.data import Examples, repeats_in
from overproof.data.wording import counted
from overproof.errors import InputError
from overproof.evaluation.pool_sample import drawn_rows, inclusion_probabilities
from overproof.evaluation.staged_draws import Stage, gains_of, mixed_with_uniform, robust_probabilities
from overproof.functional import margin
from overproof.models.importing import allowing
from overproof.runs.answered import without_answers
from overproof.runs.folder.resume import STAGED
from overproof.runs.people.of_run import probs_of, seed_of, trained
from overproof.runs.people.to_label import CONTENT, check_to_label, columns_to_show, write_to_label
from overproof.runs.pipeline import Run
from overproof.seeds import derived_seed

Rule = Literal["uncertainty", "robust", "random", "least_sure"]
Drawn = Literal["uncertainty", "robust", "random"]
"""The rules that draw rows with known probabilities."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NextRows:
    """Rows to ask the teacher about.

    Args:
        table: They: `id`, the inputs, and where they were drawn `inclusion_probability` and `drawn`.
        stage: Their number, and that of the rows without an answer.
        remarks: Sentences on what to know.
    """

    table: pa.Table
    stage: Stage
    remarks: tuple[str, ...]


def inclusion_by(
    rule: Drawn, student_probs: Float[Tensor, "N K"], budget: int, num_wrong: int | float
) -> Float[np.ndarray, "N"]:
    """The probability of each row to be among those that are drawn.

    Half of the draws go to all rows alike, so that no row counts more than twice; the others in proportion to one minus
    the student's margin (`uncertainty`), or by RAD (`robust`: alike in gain among the rows with the largest ones).

    Args:
        rule: How rows are drawn; `random` draws all alike.
        student_probs: [N, K], the student's.
        budget: Rows to draw, 1 to N.
        num_wrong: For `robust`, how many of the teacher's answers to all N rows would be wrong.
    """
    num = len(student_probs)
    if rule == "random" or budget == num:
        return np.full(num, budget / num)
    gains = gains_of(margin(student_probs).numpy())
    scores = gains if rule == "uncertainty" else robust_probabilities(gains, num_wrong)
    return inclusion_probabilities(mixed_with_uniform(scores), budget)


def draw_next(run: Run, *, budget: int, rule: Rule, row: str, seed: int | None = None) -> NextRows:
    """Rows of the pool without an answer, each content at most once.

    Args:
        run: Opened, with a teacher of files of answers.
        budget: How many rows, at most.
        rule: How they are drawn; `least_sure` draws none but takes the rows with the smallest margins of the student,
            which are no sample of the pool, and count as any other.
        row: The student's row in the table.
        seed: One of the run's; the first by default.

    Raises:
        InputError: The teacher is another one or has answered everything, there is no such student, or nothing tells
            how many of the teacher's answers are wrong.
    """
    seed = seed_of(run, seed)
    run.begin()
    with allowing(run.allow_import):
        left, from_the_top = without_answers(run.experiment, (run.caches.folder or run.folder) / STAGED, run.caches)
        left = left.take(repeats_in(left).once.numpy())
        num = min(budget, len(left))
        probs = torch.empty(len(left), 2) if rule == "random" else probs_of(trained(run, seed, row), left)
        wrong = _share_wrong(run, seed) * len(left) if rule == "robust" else 0.0
    stage, remarks = Stage(num_left=len(left), num=num), list[str]()
    if rule == "least_sure":
        table = _table(left.take(np.argsort(margin(probs).numpy(), kind="stable")[:num]), {})
        remarks.append(
            "These are the rows of which the student is least sure and no sample of the pool: students will count each "
            "row once, and so the pool's hard rows more than they are worth."
        )
    else:
        inclusion = inclusion_by(rule, probs, num, wrong)
        chosen = drawn_rows(inclusion, np.random.default_rng(derived_seed(seed, "ask next", rule, num, len(left))))
        ours = {INCLUSION: pa.array(inclusion[chosen]), DRAWN: pa.array([str(stage)] * num)}
        table = _table(left.take(chosen), ours)
    if from_the_top:
        remarks.append(
            "The rows that have answers are the first ones of the file: if it is sorted, they are no random sample of "
            "it, and students are trained on a pool of another kind."
        )
    if num < budget:
        remarks.append(f"Only {counted(num, 'row has', 'rows have')} no answer; all are listed.")
    return NextRows(table=table, stage=stage, remarks=tuple(remarks))


def write_next(found: NextRows, file: Path) -> None:
    """Write the rows as CSV, atomically; never over a file that is there.

    Raises:
        InputError: The file's name does not fit, or it exists.
    """
    check_to_label(file)
    write_to_label(found.table, file)


def _table(examples: Examples, ours: Mapping[str, pa.Array]) -> pa.Table:
    columns = columns_to_show(examples)
    # Answers are joined by the data's ids, or without any by content.
    content = columns.pop(CONTENT)
    return pa.table({"id": columns.pop("id", content), **columns, **ours})


def _share_wrong(run: Run, seed: int) -> float:
    """The share of the teacher's answers that are wrong, on labelled rows, or as published."""
    answers, roles = run.teacher.for_seed(seed), run.seed_roles(seed).by_role()
    judges = [role for role in ("labelled", "validation") if role in roles and role in answers]
    right = [(answers[role].pseudo_label == roles[role].label)[answers[role].answered] for role in judges]
    if right and len(known := torch.cat(right)):
        return 1 - known.double().mean().item()
    if (published := run.experiment.teacher.published_accuracy) is not None:
        return 1 - published
    raise InputError(
        "--rule robust needs to know how often the teacher is wrong, and there are no labelled rows; use --rule "
        "uncertainty, or give 'teacher.published_accuracy'."
    )
