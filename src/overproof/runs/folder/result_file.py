"""Writes and reads result.json, and tallies.json beside it: what a finished run leaves for machines and its report."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from overproof.errors import InputError
from overproof.evaluation.confusions import Tally
from overproof.evaluation.verdict import Row, Summary
from overproof.runs.folder.resume import EXPERIMENT
from overproof.storage import atomic
from overproof.storage.manifest import MANIFEST, checked, read_bytes, write_folder

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
    """Write both files and their manifest into the run's folder, result.json last.

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
    files = {TALLIES: f"[\n{lines}\n]\n".encode(), RESULT: atomic.json_bytes({**content, "manifest": MANIFEST})}
    # The options that the result is of, so that it is not shown with others.
    unchanged = {EXPERIMENT: (result.folder / EXPERIMENT).read_bytes()}
    write_folder(result.folder, files, kind="result", unchanged=unchanged)


def read_result(folder: Path) -> RunResult:
    """Read the result of a run.

    Args:
        folder: The run's.

    Raises:
        InputError: The run is not finished, or its files are damaged.
    """
    files = result_files(folder)
    try:
        content = json.loads(files[RESULT])
        return RunResult(
            folder=folder,
            name=str(content["name"]),
            class_names=tuple(content["class_names"]),
            repeated=content["repeated_in_test"],
            rows=tuple(Row(**each) for each in content["rows"]),
            summary=tuple(Summary(**each) for each in content["summary"]),
            findings=tuple(content["findings"]),
            students=tuple(content["students"]),
            tallies=tuple(_tally(**each) for each in json.loads(files[TALLIES])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(
            f"The files {RESULT} and {TALLIES} in {str(folder)!r} are damaged; `overproof evaluate` writes them anew."
        ) from None


def result_files(folder: Path) -> Mapping[str, bytes]:
    """The content of result.json and tallies.json, compared with the run's manifest.

    Args:
        folder: The run's.

    Raises:
        InputError: A file is missing or not the one that the manifest lists, or experiment.yaml was changed since.
    """
    for name in (RESULT, TALLIES):
        if not (folder / name).is_file():
            raise InputError(
                f"{str(folder)!r} holds no {name}: the run has not come to its end; run the same command again, or "
                f"`overproof evaluate`."
            )
    found = checked(folder, (RESULT, TALLIES), kind="result")
    if found is not None and {RESULT, TALLIES} <= found.keys():
        return found
    content = {name: read_bytes(folder / name) for name in (RESULT, TALLIES)}
    # Results of earlier versions have no manifest and do not name one.
    if b'"manifest"' in content[RESULT]:
        raise InputError(
            f"{folder / MANIFEST} is missing, which {RESULT} beside it names: `overproof evaluate` writes them again."
        )
    return content


def _tally(*, pairs: list[list[int]], reliability: list[list[Any]], **others: Any) -> Tally:
    """JSON has no tuples."""
    return Tally(
        pairs=[(i, j, count) for i, j, count in pairs],
        reliability=[(int(number), int(count), mean, int(right)) for number, count, mean, right in reliability],
        **others,
    )
