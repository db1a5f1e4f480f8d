"""Writes and reads result.json, and tallies.json beside it: what a finished run leaves for machines and its report."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from overproof.errors import InputError
from overproof.evaluation.confusions import Tally
from overproof.evaluation.verdict import Row, Summary
from overproof.storage import atomic

RESULT, TALLIES = "result.json", "tallies.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """The result of a run.

    Args:
        folder: The run's.
        name: The experiment's.
        class_names: In order.
        repeated: How many examples of each role are in the test too.
        rows: One a method and seed. As read from a file they lack what each test example's answer was.
        summary: One a method, with intervals and verdict.
        findings: What a reader must know beside the table, in sentences.
        students: One a training: method, seed and the content of its row.json.
        tallies: One a method and seed: its answers on the test, counted.
    """

    folder: Path
    name: str
    class_names: tuple[str, ...]
    repeated: Mapping[str, int]
    rows: tuple[Row, ...]
    summary: tuple[Summary, ...]
    findings: tuple[str, ...]
    students: tuple[Mapping[str, Any], ...]
    tallies: tuple[Tally, ...]


def write_result(result: RunResult) -> None:
    """Write both files into the run's folder, result.json last.

    Args:
        result: Of a finished run.
    """
    content = {
        "format": 1,
        "name": result.name,
        "class_names": list(result.class_names),
        "repeated_in_test": dict(result.repeated),
        "rows": [
            {"method": row.method, "seed": row.seed, "role": row.role, "metrics": row.metrics} for row in result.rows
        ],
        "summary": [asdict(each) for each in result.summary],
        "findings": list(result.findings),
        "students": list(result.students),
    }
    lines = ",\n".join(json.dumps(asdict(each), separators=(",", ":")) for each in result.tallies)
    atomic.write_text(result.folder / TALLIES, f"[\n{lines}\n]\n")
    atomic.write_json(result.folder / RESULT, content)


def read_result(folder: Path) -> RunResult:
    """Read the result of a run.

    Args:
        folder: The run's.

    Raises:
        InputError: The run is not finished, or its files are damaged.
    """
    for name in (RESULT, TALLIES):
        if not (folder / name).is_file():
            raise InputError(
                f"{str(folder)!r} holds no {name}: the run has not come to its end; run the same command again, or "
                f"`overproof evaluate`."
            )
    try:
        content = json.loads((folder / RESULT).read_text())
        return RunResult(
            folder=folder,
            name=str(content["name"]),
            class_names=tuple(content["class_names"]),
            repeated=content["repeated_in_test"],
            rows=tuple(Row(**each) for each in content["rows"]),
            summary=tuple(Summary(**each) for each in content["summary"]),
            findings=tuple(content["findings"]),
            students=tuple(content["students"]),
            tallies=tuple(_tally(**each) for each in json.loads((folder / TALLIES).read_text())),
        )
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"The files {RESULT} and {TALLIES} in {str(folder)!r} are damaged; `overproof evaluate` writes them anew."
        ) from None


def _tally(*, pairs: list[list[int]], reliability: list[list[Any]], **others: Any) -> Tally:
    """JSON has no tuples."""
    return Tally(
        pairs=[(i, j, count) for i, j, count in pairs],
        reliability=[(int(number), int(count), mean, int(right)) for number, count, mean, right in reliability],
        **others,
    )
