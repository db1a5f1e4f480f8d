"""Where a student comes from: its run, the row of the table that it is, and what is known of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from overproof.data import Examples
from overproof.data.wording import listed, nearest, reason
from overproof.errors import InputError
from overproof.methods.published import papers_of
from overproof.papers import CO_TRAINING_1998, STACKING_1992
from overproof.registry import Paper
from overproof.runs.experiment import Experiment, MethodOptions, load
from overproof.runs.roles import cast


@dataclass(frozen=True, kw_only=True, eq=False)
class Provenance:
    """A student's run.

    Args:
        run: The run's folder.
        experiment: All of the run.
        row: The student's row in the table.
        seed: Its seed.
        facts: What is known of its training, from `row.json`.
        result: `result.json`; empty where the run is not evaluated yet.
    """

    run: Path
    experiment: Experiment
    row: str
    seed: int
    facts: Mapping[str, Any]
    result: Mapping[str, Any]

    @property
    def options(self) -> MethodOptions | None:
        """The row's options; None for the oracle, which is no method."""
        return next((each for each in self.experiment.rows() if each.row == self.row), None)

    @property
    def metrics(self) -> Mapping[str, float]:
        """What the test said of this one student."""
        rows = (each for each in self.result.get("rows", ()) if (each["method"], each["seed"]) == (self.row, self.seed))
        return next((each["metrics"] for each in rows), {})

    def summary(self, row: str) -> Mapping[str, Any]:
        """A row over all seeds, with its intervals; empty where there is none."""
        return next((each for each in self.result.get("summary", ()) if each["method"] == row), {})

    def papers(self) -> list[Paper]:
        """The works behind this one row, and behind its teacher."""
        each = self.options
        found = [] if each is None else papers_of([(each.method, each.build())])
        rounds = each is not None and bool(each.rounds.most)
        found += [CO_TRAINING_1998] if rounds else []
        return found + ([STACKING_1992] if rounds or self.experiment.teacher.others else [])

    @cached_property
    def test(self) -> Examples | None:
        """The run's test examples; None where their file is not at hand any more."""
        try:
            return cast(self.experiment.data).parties(self.seed).test
        except InputError:
            return None


def student_folder(source: Path | str, method: str = "", seed: int | None = None) -> Path:
    """The folder of one student.

    Args:
        source: A student's folder, or a run's.
        method: For a run, the row of the table.
        seed: For a run, which of its seeds; its first where none is named.

    Raises:
        InputError: It is neither, or the run has no such student.
    """
    source = Path(source)
    if (source / "student.json").is_file():
        if method or seed is not None:
            raise InputError(f"{str(source)!r} is one student; a method and a seed go with the folder of a run.")
        return source
    if not (source / "experiment.yaml").is_file():
        raise InputError(
            f"{str(source)!r} holds neither a student (student.json) nor a run (experiment.yaml); one is needed."
        )
    seeds = [seed] if seed is not None else list(load(source / "experiment.yaml").seeds)
    home = source / "students" / f"seed-{seeds[0]}"
    trained = sorted(each.parent.name for each in home.glob("*/student.json"))
    if method in trained:
        return home / method
    asked = f"no student {method!r}{nearest(method, trained)}" if method else "several students; name one as the method"
    raise InputError(f"Run {str(source)!r} has, of seed {seeds[0]}, {asked}; there are {listed(trained) or 'none'}.")


def provenance_of(folder: Path | str) -> Provenance | None:
    """The run that a student's folder lies in; None where it lies elsewhere.

    Raises:
        InputError: The run's files are damaged.
    """
    folder = Path(folder).absolute()
    if len(folder.parents) < 3 or not folder.parent.name.startswith("seed-"):
        return None
    run = folder.parents[2]
    if not (run / "experiment.yaml").is_file() or not (folder / "row.json").is_file():
        return None
    result = run / "result.json"
    return Provenance(
        run=run,
        experiment=load(run / "experiment.yaml"),
        row=folder.name,
        seed=int(folder.parent.name.removeprefix("seed-")),
        facts=_json(folder / "row.json"),
        result=_json(result) if result.is_file() else {},
    )


def _json(path: Path) -> Mapping[str, Any]:
    try:
        content: Mapping[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({reason(error)}); it is damaged.") from None
    return content
