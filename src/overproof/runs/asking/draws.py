"""Rows of the pool that the teacher was asked about with unequal probabilities, as files of answers say it.

Two columns: `inclusion_probability`, with which the row was drawn, and `drawn`, the draw it belongs to, as `2000 of
95000`. `overproof next --for teacher` writes them; they are in a file of answers, or in a file of its own that
`teacher.draws` names. A row without them is of a simple random sample.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float32
from torch import Tensor

from overproof.answers.names import DRAWN, INCLUSION
from overproof.answers.parsed import ParsedFiles
from overproof.answers.tables import as_text, ids_of, read_table
from overproof.data import Examples
from overproof.data.wording import listed
from overproof.errors import InputError
from overproof.evaluation.staged_draws import Stage, draw_weights
from overproof.methods.selectors import Everything, Nothing, Random
from overproof.runs.experiment import Experiment, ScorerOptions
from overproof.storage.shard import Ids

_DRAWN = re.compile(r"\s*(\d{1,15}) of (\d{1,15})\s*")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Draws:
    """How rows of the pool were drawn.

    Args:
        weight: What each drawn row counts, by its id; rows without one count 1.
        stages: The draws, in their order in time.
        files: The files that say it.
    """

    weight: Mapping[str, float]
    stages: tuple[Stage, ...]
    files: tuple[str, ...]

    @property
    def unequal(self) -> bool:
        """Whether some row counts more than another."""
        return any(np.float32(each) != 1 for each in self.weight.values())

    def of(self, keys: pa.Array | Ids) -> Float32[Tensor, "N"] | None:
        """What each of some rows counts; None where all count 1.

        Args:
            keys: [N], their ids, as those in files of answers.
        """
        found = torch.tensor([self.weight.get(key, 1.0) for key in as_text(keys).to_pylist()], dtype=torch.float32)
        return None if bool((found == 1).all()) else found

    def sentence(self, examples: Examples, keys: pa.Array | Ids, experiment: Experiment) -> str:
        """What a run says of them.

        Args:
            examples: N rows: the pool, or what it is drawn from.
            keys: [N], their ids.
            experiment: All of the run.
        """
        found = [self.weight[key] for key in as_text(keys).to_pylist() if key in self.weight]
        counts = f"{len(found)} of {len(examples)} rows were drawn ({'; '.join(map(str, self.stages))})"
        said = (
            f"{' and '.join(self.files)}: {counts} with the probabilities in {INCLUSION!r}. Students count them "
            f"{min(found, default=1):.3g} to {max(found, default=1):.3g} times, and the others, which are taken for a "
            f"random sample, once; all other numbers about the pool count rows"
        )
        counting = [
            each.row
            for each in experiment.rows()
            if not isinstance(each.build().select, Everything | Nothing | Random) and each.build().search is None
        ]
        if self.unequal and counting:
            said += f"; so do the rules by which {listed(counting)} select{'s' if len(counting) == 1 else ''} from it"
        return f"{said}."


def draws_of(experiment: Experiment, scorer: ScorerOptions, files: ParsedFiles, names: tuple[str, ...]) -> Draws | None:
    """What the files of a teacher say about how its rows were drawn; None where none says anything.

    Args:
        experiment: All of a run.
        scorer: With files of answers.
        files: These, parsed.
        names: The run's classes.

    Raises:
        InputError: A column is missing or holds something else, two files contradict each other, or the teacher is one
            of several.
    """
    tables = {path: files.table(Path(path), "id", names) for path in scorer.answers}
    tables = {path: table for path, table in tables.items() if {INCLUSION, DRAWN} & set(table.column_names)}
    for path in scorer.draws:
        table = read_table(Path(path), "id")
        if not {INCLUSION, DRAWN} & set(table.column_names):
            raise InputError(
                f"{path} has no column {INCLUSION!r}, only {listed(table.column_names)}; 'teacher.draws' takes files "
                f"that `overproof next --for teacher` wrote."
            )
        tables[path] = table
    if not tables:
        return None
    if len(experiment.scorers) > 1:
        raise InputError(
            f"{next(iter(tables))} says with which probability rows were drawn for one teacher, and there are "
            f"{len(experiment.scorers)}; leave the column {INCLUSION!r} out, or use one teacher."
        )
    found: dict[str, tuple[float, Stage]] = {}
    for path, table in tables.items():
        for key, each in _rows_of(path, table):
            if found.setdefault(key, each) != each:
                raise InputError(
                    f"{path} says that {key!r} was drawn with probability {each[0]:g} ({each[1]}), and elsewhere it is "
                    f"{found[key][0]:g} ({found[key][1]}); a row is drawn once."
                )
    return made(found, tuple(tables))


def made(found: Mapping[str, tuple[float, Stage]], files: Sequence[str]) -> Draws:
    """The draws with what each row counts.

    Args:
        found: Inclusion probability and draw, by id.
        files: The files that say it.

    Raises:
        InputError: Two draws are from the same rows, or a later one is from more rows than were left.
    """
    stages = sorted({stage for _, stage in found.values()}, key=lambda each: -each.num_left)
    for before, after in itertools.pairwise(stages):
        if after.num_left >= before.num_left:
            raise InputError(
                f"{' and '.join(files)}: the draws {before} and {after} are from the same rows; each draw is from "
                f"those that are left after the one before, so draw again from a run that has its answers."
            )
    place = {stage: number for number, stage in enumerate(stages)}
    weight = draw_weights(
        np.array([inclusion for inclusion, _ in found.values()]),
        np.array([place[stage] for _, stage in found.values()], dtype=np.int64),
        stages,
    )
    return Draws(weight=dict(zip(found, weight.tolist(), strict=True)), stages=tuple(stages), files=tuple(files))


def _rows_of(path: str, table: pa.Table) -> list[tuple[str, tuple[float, Stage]]]:
    if missing := [name for name in (INCLUSION, DRAWN) if name not in table.column_names]:
        raise InputError(
            f"{path} has no column {missing[0]!r} beside {(DRAWN if missing[0] == INCLUSION else INCLUSION)!r}; keep "
            f"both as `overproof next --for teacher` wrote them."
        )
    columns = [ids_of(Path(path), table, "id").to_pylist(), *(table.column(n).to_pylist() for n in (INCLUSION, DRAWN))]
    rows = []
    for number, (key, inclusion, drawn) in enumerate(zip(*columns, strict=True)):
        if (inclusion is None or inclusion == "") and (drawn is None or drawn == ""):
            # Of a random sample, in one file with the others.
            continue
        where = f"{path}, row {number} (counted from 0), id {key!r}"
        try:
            value = float(inclusion)
        except (TypeError, ValueError):
            value = float("nan")
        if not 0 < value <= 1:
            raise InputError(f"{where}: {INCLUSION!r} is {inclusion!r}; a probability above 0 and up to 1 is needed.")
        matched = _DRAWN.fullmatch(str(drawn))
        num, num_left = (int(matched[1]), int(matched[2])) if matched else (0, 0)
        if not 1 <= num <= num_left:
            raise InputError(f"{where}: {DRAWN!r} is {drawn!r}; it says how many rows were drawn, as '2000 of 95000'.")
        rows.append((key, (value, Stage(num_left=num_left, num=num))))
    return rows
