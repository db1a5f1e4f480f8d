"""Label a run's whole pool by teacher and student, with a guarantee against the truth; the rest is for people."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import torch
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray
from torch import Tensor

from overproof.data import Examples, repeats_in
from overproof.data.wording import counted
from overproof.deployment.provenance import chosen_student
from overproof.errors import InputError
from overproof.evaluation.annotation import accepted_by_rank, certified_cutoff, num_before
from overproof.functional import names_none
from overproof.models.importing import allowing
from overproof.runs.people.of_run import probs_of, seed_of, trained
from overproof.runs.people.sampling import random_order
from overproof.runs.people.to_label import (
    LABEL,
    check_to_label,
    columns_to_show,
    labels_of,
    table_to_label,
    write_to_label,
)
from overproof.runs.pipeline import Run
from overproof.storage import atomic
from overproof.storage.atomic import check_output
from overproof.storage.one_writer import writing_file

By = Literal["both", "student", "teacher"]
Of = Literal["pool", "accepted"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Guarantee:
    """What is promised of the labels of a pool; fit for JSON through `dataclasses.asdict`.

    Args:
        of: `pool`: of all of the pool's labels, people's included, at most a share `error` is wrong, with probability
            `confidence`. `accepted`: of the labels that the model gives, in expectation.
        error: The share, in (0, 1).
        confidence: In (0, 1); None where the promise is one in expectation.
        by: Who names the class: teacher and student together, or one of them.
        row: The student's row in the table.
        seed: Of the run.
        num: Contents of the pool.
        num_calibration: Rows with a label from people that the cutoff was chosen on.
        num_wrong: How many of these the model names another class of.
        num_by_model: Contents of the pool that the model labels.
        num_by_people: Contents that people have labelled.
    """

    of: Of
    error: float
    confidence: float | None
    by: By
    row: str
    seed: int
    num: int
    num_calibration: int
    num_wrong: int
    num_by_model: int
    num_by_people: int

    @property
    def num_left(self) -> int:
        """Contents that wait for a label from people."""
        return self.num - self.num_by_model - self.num_by_people

    def sentence(self) -> str:
        """The guarantee in words, with the counts it is based on."""
        who = {"both": f"the teacher and {self.row!r}", "student": repr(self.row), "teacher": "the teacher"}[self.by]
        left = f"{counted(self.num_left, 'waits', 'wait')} for people" if self.num_left else "none is missing"
        by_people = f"{self.num_by_people} by people"
        counts = f"{self.num_by_model} of {self.num} pool examples are labelled by {who}, {by_people}; {left}"
        based = f"chosen on {counted(self.num_calibration, 'label')} of people, of which {who} missed {self.num_wrong}"
        if self.of == "accepted":
            return (
                f"{counts}. Of the labels by {who} at most {self.error:.1%} are wrong in expectation ({based}); what "
                f"happens in one pool may be more."
            )
        then = "Once people have labelled these, at" if self.num_left else "At"
        return (
            f"{counts}. {then} most {self.error:.1%} of all {self.num} labels are wrong, at confidence "
            f"{self.confidence:.0%} ({based}). Among the labels by {who} alone the share may be larger."
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Annotation:
    """The labels of a pool.

    Args:
        pool: N examples.
        label: [N], the index of the class; -1 where people are to label.
        by_people: [N], whether the label is that of people.
        sure: [N], the probability that the model gives to its class.
        once: [M], the first example of each content.
        guarantee: What is promised.
    """

    pool: Examples
    label: Int64[Tensor, "N"]
    by_people: Bool[Tensor, "N"]
    sure: Float64[Tensor, "N"]
    once: Int64[Tensor, "M"]
    guarantee: Guarantee

    def table(self) -> pa.Table:
        """Columns: content, id where the data have one, the inputs, label (null for people), by, probability."""
        by = np.where(self.by_people, "people", np.where(self.label >= 0, "model", ""))
        names, none = [*self.pool.class_names, None], len(self.pool.class_names)
        label = [names[each] for each in torch.where(self.label < 0, none, self.label).tolist()]
        return pa.table(
            {
                **columns_to_show(self.pool),
                LABEL: pa.array(label, pa.string()),
                "by": pa.array(by.tolist(), pa.string()),
                "probability": pa.array(self.sure.numpy()),
            }
        )

    def rest(self) -> Examples:
        """The contents that people are to label, the most certain first."""
        left = self.once[self.label[self.once] < 0]
        return self.pool.take(left[torch.argsort(self.sure[left], descending=True, stable=True)])


def annotate(
    run: Run,
    *,
    labels: Mapping[str, str],
    error: float,
    confidence: float | None = None,
    rest: Mapping[str, str] | None = None,
    of: Of = "pool",
    by: By = "both",
    row: str = "",
    seed: int | None = None,
) -> Annotation:
    """Label the pool of a finished run, as much of it as the guarantee allows.

    The model's probabilities are the mean of the student's and the teacher's (or those of one of them), its class the
    likeliest one, its uncertainty one minus the largest probability. The cutoff is chosen on a random sample of the
    pool that people labelled after the training: the student knows these rows as well as it knows the others. Other
    labelled examples will not do, as it was trained on the teacher's answers to the pool and is too sure there. A
    content that stands several times counts once and has one label.

    Args:
        run: Opened and finished.
        labels: People's: the class by content, as `read_labels` reads them.
        error: Share of wrong labels that is allowed, in (0, 1).
        confidence: Probability of the guarantee, in (0, 1), with `of="pool"`; .95 by default.
        rest: People's labels for rows that an earlier call left to them, in the same form.
        of: Of which labels at most that share is wrong: all of the pool's, once people have labelled the rest, or the
            model's alone, in expectation.
        by: Who labels.
        row: The student's row; by default that which `export` chooses.
        seed: One of the run's; the first by default.

    Raises:
        InputError: An option is out of range, no such student, labels that are no random sample, none at all, or too
        few
            of them for the guarantee.

    Source: `overproof.evaluation.annotation`.
    """
    if not 0 < error < 1:
        raise InputError(f"Option --error is {error:g}; it must be strictly between 0 and 1.")
    if of == "accepted" and confidence is not None:
        raise InputError("--confidence goes with --of pool: the guarantee of accepted labels is one in expectation.")
    if of == "pool":
        confidence = 0.95 if confidence is None else confidence
        if not 0 < confidence < 1:
            raise InputError(f"Option --confidence is {confidence:g}; it must be strictly between 0 and 1.")
    seed = seed_of(run, seed)
    row = row or chosen_student(run.folder).row
    folder = trained(run, seed, row)
    run.begin()
    pool = run.seed_roles(seed).pool
    if not len(pool):
        raise InputError(f"{run.folder} has no pool; there is nothing to label.")
    repeats = repeats_in(pool)
    drawn = random_order(repeats.once, seed)
    known = labels_of(
        drawn,
        pool,
        labels,
        what=f"are not in the random sample of {run.folder} at seed {seed}: label a file that `overproof next "
        f"--purpose random` wrote for it",
        aliases=run.experiment.aliases,
    )
    if known.num_left_out:
        raise InputError(
            f"{counted(known.num_left_out, 'row without a label stands', 'rows without a label stand')} before "
            "labelled "
            f"ones; the guarantee holds for a random "
            f"sample only, and what was left out may be what is hard: label these too."
        )
    sample, others = drawn[known.place], drawn[len(known.place) :]
    if not len(others):
        raise InputError("People have labelled the whole pool; there is nothing left to label.")
    probs = pool_probs(run, seed, folder, pool, by)
    label, sure = probs.argmax(dim=1), probs.amax(dim=1)
    # A row that names no class is left to people, and none of them is right.
    even = names_none(probs)
    wrong = (label[sample] != known.label) | even[sample]
    accepted = _accepted(
        (1 - sure[others]).numpy(), (1 - sure[sample]).numpy(), wrong.numpy(), error=error, confidence=confidence
    )
    left = others[~torch.from_numpy(accepted) | even[others]]
    label[left], label[sample] = -1, known.label
    by_people = torch.zeros(len(pool), dtype=torch.bool)
    by_people[sample] = True
    if rest is not None:
        what = "were not left to people under this guarantee and these labels"
        more = labels_of(left, pool, rest, what=what, aliases=run.experiment.aliases)
        label[left[more.place]], by_people[left[more.place]] = more.label, True
    # Repeats of a content get what its first example has.
    first = repeats.once[repeats.content]
    return Annotation(
        pool=pool,
        label=label[first],
        by_people=by_people[first],
        sure=sure,
        once=repeats.once,
        guarantee=Guarantee(
            of=of,
            error=error,
            confidence=confidence,
            by=by,
            row=row,
            seed=seed,
            num=len(drawn),
            num_calibration=len(sample),
            num_wrong=int(wrong.sum()),
            num_by_model=int(accepted.sum()),
            num_by_people=int(by_people.sum()),
        ),
    )


def pool_probs(run: Run, seed: int, folder: Path, pool: Examples, by: By) -> Float64[Tensor, "N K"]:
    """The probabilities by which a pool is labelled: the student's, the teacher's, or the mean of both.

    Args:
        run: Begun.
        seed: One of its seeds.
        folder: The student's.
        pool: The seed's.
        by: Whose.
    """
    found = []
    with allowing(run.allow_import):
        if by != "teacher":
            engine, named = run.caches.engine, run.allow_import
            found.append(probs_of(folder, pool, engine=engine, allow_import=named).double())
        if by != "student":
            found.append(run.teacher.for_seed(seed)["pool"].probs().double())
    return torch.stack(found).mean(dim=0)


def _accepted(
    uncertainty: NDArray[np.float64],
    sample_uncertainty: NDArray[np.float64],
    wrong: NDArray[np.bool_],
    *,
    error: float,
    confidence: float | None,
) -> NDArray[np.bool_]:
    """[n], which of the rows that wait the model labels; without a confidence the guarantee is one in expectation."""
    if confidence is None:
        return accepted_by_rank(uncertainty, sample_uncertainty, wrong, error=error)
    rest, num, failure = len(uncertainty), len(wrong), 1 - confidence
    allowed = math.floor(error * (rest + num))
    cutoff = certified_cutoff(sample_uncertainty, wrong, num_rest=rest, num_allowed=allowed, failure=failure)
    if cutoff == -math.inf:
        needed = num_needed(num + rest, num_allowed=allowed, failure=failure)
        raise InputError(
            f"{num} labels are too few to guarantee an error of {error:g} at confidence {confidence:g}, however good "
            f"the model is; at least {needed} of the pool's {num + rest} contents need one."
        )
    accepted: NDArray[np.bool_] = uncertainty < cutoff
    return accepted


def num_needed(num: int, *, num_allowed: int, failure: float) -> int:
    """The least number of labels with which `certified_cutoff` accepts anything.

    Args:
        num: Contents of the pool.
        num_allowed: How many wrong labels are allowed.
        failure: Largest probability that there are more.

    Example:
        A probability of 1 / 6 that both wrong ones of four are outside the sample needs a sample of two.

        >>> num_needed(4, num_allowed=1, failure=0.17)
        2
    """
    low, high = 0, num - 1
    while low < high:
        middle = (low + high) // 2
        enough = num_before(middle, num_rest=num - middle, num_allowed=num_allowed, failure=failure) is not None
        low, high = (low, middle) if enough else (middle + 1, high)
    return low


def write_annotation(found: Annotation, file: Path) -> Path | None:
    """Write the labels, `NAME.guarantee.json` beside them, and `NAME.to_label.csv` with the rest for people, if any.

    Args:
        found: The labels.
        file: `.parquet` or `.csv`.

    Returns:
        The file for people.

    Raises:
        InputError: The name of the file does not fit, or the file for people exists and may hold labels.
    """
    check_annotation(file)
    table, rest = found.table(), found.rest()
    beside = _for_people(file) if len(rest) else None
    if beside is not None:
        write_to_label(table_to_label(rest, "rest"), beside)
    with writing_file(file), atomic.replacing(file) as partial:
        if file.suffix == ".parquet":
            pq.write_table(table, partial)
        else:
            pa.csv.write_csv(table, partial)
    atomic.write_json(file.with_suffix(".guarantee.json"), {"format": 1, **asdict(found.guarantee)})
    return beside


def check_annotation(file: Path, reads: Iterable[Path] = ()) -> None:
    """Refuse, before anything is computed, a file that `write_annotation` would not write.

    Args:
        file: The output.
        reads: Files of labels that the annotation is made from.

    Raises:
        InputError: It is no `.parquet` or `.csv`, it is one of those that are read, or the file for people exists.
    """
    if file.suffix not in (".parquet", ".csv"):
        raise InputError(f"--out {str(file)!r} must end in .parquet or .csv, not {file.suffix!r}.")
    check_output(file, folder=False, reads=reads)
    check_to_label(_for_people(file), option="--out")


def _for_people(file: Path) -> Path:
    return file.with_suffix(".to_label.csv")
