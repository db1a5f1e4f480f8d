"""What the steps of a run say to machines (`--json`): what was there before the call, and what is new.

Read from the run's folder, before and after; an answer counts as asked where the teacher was asked for it in this call,
and as cached where it came from a store: the run's own, that of another seed, or a file of answers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overproof.runs.costs import costs_of
from overproof.runs.experiment import Experiment
from overproof.runs.scorer_answers import ALL_SEEDS


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """What a run's folder holds when a command begins.

    Args:
        shards: Names of files of answers; the same name is the same teacher's answers to the same examples.
        students: Their folders, of those that are trained.
    """

    shards: frozenset[str]
    students: frozenset[Path]

    @classmethod
    def of(cls, folder: Path) -> "Earlier":
        """Look into a folder, which need not be there.

        Args:
            folder: The run's.
        """
        return cls(
            shards=frozenset(path.name for path in (folder / "labels").rglob("*.parquet")),
            students=frozenset(_trained(folder)),
        )


def answers_told(
    experiment: Experiment, folder: Path, rows: Mapping[int, Mapping[str, int]], earlier: Earlier
) -> dict[str, Any]:
    """Answers by seed, role and teacher: how many, and how many of them were asked for just now.

    Args:
        experiment: All of the run.
        folder: The run's, with all its answers.
        rows: Examples by seed and role.
        earlier: What it held before.
    """
    home, scorers = folder / "labels", experiment.scorers
    told, known = list[dict[str, Any]](), set(earlier.shards)
    for number, scorer in enumerate(scorers):
        below = [f"teacher-{number}"] if number else []
        if scorer.answers:
            told += [
                _told(seed, role, scorer.answers, count, 0)
                for seed, roles in rows.items()
                for role, count in roles.items()
            ]
            continue
        whole = home.joinpath(ALL_SEEDS, *below)
        for seed, stores in [(None, whole), *((seed, home.joinpath(f"seed-{seed}", *below)) for seed in rows)]:
            for manifest in sorted(stores.glob("*/manifest.json")):
                shards = json.loads(manifest.read_text())["shards"]
                new = sum(shard["num_rows"] for shard in shards if shard["file"] not in known)
                known |= {shard["file"] for shard in shards}
                # Labelled examples and pool of a seed are parts of what all seeds draw from, whose answers are copied.
                copied = seed is not None and whole.exists() and manifest.parent.name in ("labelled", "pool")
                count = sum(shard["num_rows"] for shard in shards)
                told.append(_told(seed, manifest.parent.name, scorer.model, count, 0 if copied else new))
    return {
        "folder": str(home),
        "teacher": [scorer.answers or scorer.model for scorer in scorers],
        "asked": sum(each["asked"] for each in told),
        "answers": told,
    }


def students_told(folder: Path, earlier: Earlier) -> dict[str, Any]:
    """The students by seed and row: where each lies, the seconds it took, and whether it was there before.

    Args:
        folder: The run's, with all its students.
        earlier: What it held before.
    """
    costs, told = costs_of(folder), list[dict[str, Any]]()
    for path in _trained(folder):
        seed, row = int(path.parent.name.removeprefix("seed-")), path.name
        cost = costs.get(("train", row, seed))
        told.append(
            {
                "seed": seed,
                "row": row,
                "folder": str(path),
                "seconds": None if cost is None else cost.seconds,
                "finished": "before" if path in earlier.students else "now",
            }
        )
    return {"folder": str(folder / "students"), "students": told}


def file_told(path: Path) -> dict[str, Any]:
    """A file that was written, and its size.

    Args:
        path: Where it lies.
    """
    return {"file": str(path), "num_bytes": path.stat().st_size}


def _told(seed: int | None, role: str, teacher: Any, count: int, asked: int) -> dict[str, Any]:
    return {"seed": seed, "role": role, "teacher": teacher, "rows": count, "asked": asked, "cached": count - asked}


def _trained(folder: Path) -> list[Path]:
    """The folders of trained students, by seed, in the order in which they were trained."""
    rows = [path for path in (folder / "students").glob("seed-*/*/row.json")]
    by_seed = sorted(rows, key=lambda path: (int(path.parts[-3].removeprefix("seed-")), path.stat().st_mtime_ns))
    return [path.parent for path in by_seed]
