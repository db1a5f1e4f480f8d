"""Pool examples on which two students of a run disagree: to be labelled by people, and what their labels say."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.data import Examples, repeats_in
from overproof.data.wording import counted
from overproof.errors import InputError
from overproof.evaluation.disagreements import DisagreementVerdict, verdict_by_regression
from overproof.models.importing import allowing
from overproof.runs.people.of_run import probs_of, seed_of, trained
from overproof.runs.people.to_label import VERDICT, check_to_label, labels_of, shuffled, table_to_label, write_to_label
from overproof.runs.pipeline import Run


@dataclass(frozen=True, kw_only=True, eq=False)
class Disagreements:
    """The pool examples on which two students of one seed predict different classes.

    Args:
        pool: The pool of the seed.
        names: The two rows of the table.
        seed: Of the run; it also decides the order in which disagreements are drawn.
        first: [N], the class that the first student predicts, of every pool example.
        second: [N], that of the second one.
        described: [N, 3], what is known before people label them (`describe`).
        once: [M], the pool examples of which each content is counted, its first one.
        aliases: Classes by the words that mean them in people's labels.
    """

    pool: Examples
    names: tuple[str, str]
    seed: int
    first: Int64[Tensor, "N"]
    second: Int64[Tensor, "N"]
    described: Float[Tensor, "N 3"]
    once: Int64[Tensor, "M"]
    aliases: Mapping[str, str]

    @cached_property
    def drawn(self) -> Int64[Tensor, "D"]:
        """All disagreements, each content once, in random order: the first n of them are a random sample."""
        different = self.once[self.first[self.once] != self.second[self.once]]
        return shuffled(different, self.seed, "disagreements", *sorted(self.names))

    def table(self, budget: int) -> pa.Table:
        """The first disagreements, to be labelled (`table_to_label`).

        Args:
            budget: How many rows, at most.

        Raises:
            InputError: Images without ids, which nobody could find again.
        """
        return table_to_label(self.pool.take(self.drawn[:budget].numpy()), f"{VERDICT}{','.join(self.names)}")

    def judged(self, labels: Mapping[str, str]) -> tuple[DisagreementVerdict, list[str]]:
        """The verdict by people's labels, and remarks on them.

        Args:
            labels: The name of the class by content; an empty one is not labelled yet.

        Raises:
            InputError: A content that is no disagreement of these two, a name that is no class, or no label at all.
        """
        drawn = self.drawn
        known = labels_of(
            drawn,
            self.pool,
            labels,
            what=f"are no disagreements of {self.names[0]!r} and {self.names[1]!r} in this run at seed {self.seed}: "
            f"label a file of `overproof next --purpose verdict` for these two and this seed",
            aliases=self.aliases,
        )
        rows, truth, remarks = drawn[known.place], known.label, [known.reading] if known.reading else []
        if known.num_left_out:
            remarks.append(
                f"{counted(known.num_left_out, 'row without a label stands', 'rows without a label stand')} "
                "before labelled "
                f"ones. The interval holds "
                f"for a random sample only: label the rows in their order, and leave none out because it is hard."
            )
        return (
            verdict_by_regression(
                ((self.first[rows] == truth).int() - (self.second[rows] == truth).int()).numpy(),
                self.described[drawn].double().numpy(),
                known.place.numpy(),
                num=len(self.once),
            ),
            remarks,
        )


def disagreements(run: Run, names: tuple[str, str], seed: int | None = None) -> Disagreements:
    """The pool examples on which two finished students of a run disagree.

    Args:
        run: Opened.
        names: Two rows of its table.
        seed: One of its seeds; the first by default.

    Raises:
        InputError: There is no pool, no such seed or row, twice the same, or a student is not trained yet.
    """
    if names[0] == names[1]:
        raise InputError(f"Option --between names {names[0]!r} twice; give two rows, as --between auto,hard.")
    seed = seed_of(run, seed)
    folders = [trained(run, seed, each) for each in names]
    run.begin()
    pool = run.seed_roles(seed).pool
    if not len(pool):
        raise InputError(f"{run.folder} has no pool; disagreements are looked for there.")
    with allowing(run.allow_import):
        probs = [probs_of(folder, pool) for folder in folders]
    classes = [each.argmax(dim=1) for each in probs]
    once = repeats_in(pool).once
    return Disagreements(
        pool=pool,
        names=names,
        seed=seed,
        first=classes[0],
        second=classes[1],
        described=describe(probs[0], probs[1], run.teacher.for_seed(seed)["pool"]),
        once=once,
        aliases=run.experiment.aliases,
    )


def describe(first: Float[Tensor, "N K"], second: Float[Tensor, "N K"], answers: Answers) -> Float[Tensor, "N 3"]:
    """What speaks for the first of two students on each example, and with the other sign for the second one.

    By how much more likely its class is than the other's, to the teacher; whether the teacher names its class (1) or
    the other's (-1); and by how much surer it is of its class than the other student is of the other's.

    Args:
        first: [N, K], the probabilities of the first student.
        second: [N, K], of the second one.
        answers: The teacher's.

    Example:
        >>> from overproof.answers.predictions import compress
        >>> first, second = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.375, 0.625]])
        >>> describe(first, second, compress(torch.tensor([[0.5, 0.5]]))).tolist()
        [[0.0, 0.0, 0.25]]
        >>> describe(first, second, compress(torch.tensor([[0.25, 0.75]]))).tolist()
        [[-0.5, -1.0, 0.25]]
    """
    own, other = (each.argmax(dim=1, keepdim=True) for each in (first, second))

    def apart(probs: Tensor) -> Tensor:
        return (probs.gather(1, own) - probs.gather(1, other))[:, 0]

    named = answers.pseudo_label.unsqueeze(1).where(answers.names_class.unsqueeze(1), -1)
    names = (named == own).float() - (named == other).float()
    return torch.stack([apart(answers.probs()), names[:, 0], apart(first) + apart(second)], dim=1)


def pair(between: str) -> tuple[str, str]:
    """Two names with a comma between them.

    Args:
        between: As typed.

    Example:
        >>> pair("auto, hard")
        ('auto', 'hard')

    Raises:
        InputError: There are not two.
    """
    names = [each.strip() for each in between.split(",")]
    if len(names) != 2 or not all(names):
        raise InputError(f"--between is {between!r}; name two rows of the table, as --between auto,hard.")
    return names[0], names[1]


def sentence(names: tuple[str, str], found: DisagreementVerdict) -> str:
    """The verdict in words, and how many more labels would probably decide where it is inconclusive.

    Args:
        names: The two rows of the table.
        found: The verdict.
    """
    first, second = names
    points = f"{100 * found.difference:+.1f} points [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    words = (
        f"{first} {found.verdict} {second}: accuracy {points} on {found.num} pool examples. They disagree on "
        f"{found.num_different}; of {found.num_labelled} labelled ones {first} has {found.first_right} right and "
        f"{second} {found.second_right}."
    )
    left = found.num_different - found.num_labelled
    if found.verdict != "INCONCLUSIVE" or not left:
        return words
    half = (found.high - found.low) / 2
    wanted = math.ceil(found.num_labelled * ((half / found.difference) ** 2 - 1)) if found.difference else left + 1
    if wanted > left:
        return f"{words} Even all {left} others would hardly decide, if this difference is the true one."
    return f"{words} About {counted(max(wanted, 1), 'more label')} would decide, if this difference is the true one."


def write_disagreements(found: Disagreements, budget: int, file: Path) -> int:
    """Write the disagreements to be labelled as CSV, atomically; never over a file that is there.

    Args:
        found: The disagreements.
        budget: Number of rows, at most.
        file: `.csv`.

    Returns:
        Number of rows.

    Raises:
        InputError: The file's name does not fit, it exists (it may hold labels), or the students agree everywhere.
    """
    check_to_label(file)
    table = found.table(budget)
    if not len(table):
        raise InputError(f"{found.names[0]!r} and {found.names[1]!r} predict the same class of every pool example.")
    write_to_label(table, file)
    return len(table)
