"""The `--json` output of the steps of a run: what was there before the call, and what is new.

It is read from the run's folder, before and after the call. An answer counts as `asked` if the teacher computed it in
this call, and as `cached` if it was stored: by the run, by another seed, or in a file of answers.
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
    """What a run's folder holds before a command.

    Args:
        shards: Names of files of answers; equal names mean the same teacher's answers for the same examples.
        students: Folders of the trained students.
    """

    shards: frozenset[str]
    students: frozenset[Path]

    @classmethod
    def of(cls, folder: Path) -> "Earlier":
        """Read a folder, which need not exist.

        Args:
            folder: Folder of the run.
        """
        return cls(
            shards=frozenset(path.name for path in (folder / "labels").rglob("*.parquet")),
            students=frozenset(_trained(folder)),
        )


def answers_as_json(
    experiment: Experiment, folder: Path, rows: Mapping[int, Mapping[str, int]], earlier: Earlier
) -> dict[str, Any]:
    """Number of answers by seed, role and teacher, and how many of them the teacher computed in this call.

    Args:
        experiment: All options of the run.
        folder: Folder of the run, with all its answers.
        rows: Number of examples by seed and role.
        earlier: What the folder held before the call.
    """
    home, scorers = folder / "labels", experiment.scorers
    answers, known = list[dict[str, Any]](), set(earlier.shards)
    for number, scorer in enumerate(scorers):
        below = [f"teacher-{number}"] if number else []
        if scorer.answers or scorer.asks:
            answers += [
                _counted(seed, role, scorer.answers or scorer.model, count, 0)
                for seed, roles in rows.items()
                for role, count in roles.items()
            ]
            continue
        whole = home.joinpath(ALL_SEEDS, *below)
        for seed, stores in [(None, whole), *((seed, home.joinpath(f"seed-{seed}", *below)) for seed in rows)]:
            for manifest in sorted(stores.glob("*/manifest.json")):
                shards = json.loads(manifest.read_text()).get("shards", ())
                if not shards:  # A student of the teacher's.
                    continue
                new = sum(shard["num_rows"] for shard in shards if shard["file"] not in known)
                known |= {shard["file"] for shard in shards}
                # Labelled examples and pool of a seed are parts of what all seeds draw from, whose answers are copied.
                copied = seed is not None and whole.exists() and manifest.parent.name in ("labelled", "pool")
                count = sum(shard["num_rows"] for shard in shards)
                answers.append(_counted(seed, manifest.parent.name, scorer.model, count, 0 if copied else new))
    return {
        "folder": str(home),
        "teacher": [scorer.answers or scorer.model for scorer in scorers],
        "asked": sum(each["asked"] for each in answers),
        "answers": answers,
    }


def students_as_json(folder: Path, earlier: Earlier) -> dict[str, Any]:
    """The students by seed and row: folder, seconds of training, and whether they existed before this call.

    Args:
        folder: Folder of the run, with all its students.
        earlier: What the folder held before the call.
    """
    costs, students = costs_of(folder), list[dict[str, Any]]()
    for path in _trained(folder):
        seed, row = int(path.parent.name.removeprefix("seed-")), path.name
        cost = costs.get(("train", row, seed))
        students.append(
            {
                "seed": seed,
                "row": row,
                "folder": str(path),
                "seconds": None if cost is None else cost.seconds,
                "finished": "before" if path in earlier.students else "now",
            }
        )
    return {"folder": str(folder / "students"), "students": students}


def file_as_json(path: Path) -> dict[str, Any]:
    """A written file and its size.

    Args:
        path: The file.
    """
    return {"file": str(path), "num_bytes": path.stat().st_size}


def _counted(seed: int | None, role: str, teacher: Any, count: int, asked: int) -> dict[str, Any]:
    return {"seed": seed, "role": role, "teacher": teacher, "rows": count, "asked": asked, "cached": count - asked}


def _trained(folder: Path) -> list[Path]:
    """The folders of trained students, by seed, in the order in which they were trained."""
    rows = [path for path in (folder / "students").glob("seed-*/*/row.json")]
    by_seed = sorted(rows, key=lambda path: (int(path.parts[-3].removeprefix("seed-")), path.stat().st_mtime_ns))
    return [path.parent for path in by_seed]
