"""Writes and reads result.json, and tallies.json beside it: what a finished run leaves for machines and its report."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from overproof.data.wording import reason
from overproof.errors import InputError
from overproof.evaluation.confusions import Tally
from overproof.evaluation.judged import JudgedOn
from overproof.evaluation.verdict import Role, Row, Summary
from overproof.models.saved.checked_fields import checked_fields
from overproof.runs.folder.resume import EXPERIMENT
from overproof.storage import atomic
from overproof.storage.manifest import MANIFEST, checked, read_bytes, write_folder

RESULT, TALLIES = "result.json", "tallies.json"
FORMAT = 1
"""Of both files."""


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
        judged_on: What its numbers are estimated on.
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
    judged_on: JudgedOn


def write_result(result: RunResult) -> None:
    """Write both files and their manifest into the run's folder, result.json last.

    Args:
        result: Of a finished run.
    """
    content = {
        "format": FORMAT,
        "name": result.name,
        "class_names": list(result.class_names),
        "judged_on": asdict(result.judged_on),
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


def remove_result(folder: Path) -> None:
    """Remove the result of a run that gets more methods or seeds, and its report: they are of another experiment.

    Args:
        folder: The run's.
    """
    for name in (RESULT, TALLIES, MANIFEST, "report.html"):
        (folder / name).unlink(missing_ok=True)


def read_result(folder: Path) -> RunResult:
    """Read the result of a run.

    Args:
        folder: The run's.

    Raises:
        InputError: The run is not finished, or its files are damaged.
    """
    files = result_files(folder)
    try:
        return _result(folder, json.loads(files[RESULT]), json.loads(files[TALLIES]))
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"The files {RESULT} and {TALLIES} in {str(folder)!r} are damaged ({reason(error)}); `overproof evaluate` "
            f"writes them anew."
        ) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Content:
    """What `result.json` holds beside its format and the name of its manifest."""

    name: str
    class_names: tuple[str, ...]
    repeated_in_test: Mapping[str, Any]
    rows: tuple[Mapping[str, Any], ...]
    summary: tuple[Mapping[str, Any], ...]
    findings: tuple[str, ...]
    students: tuple[Mapping[str, Any], ...]
    judged_on: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A row as `result.json` has it."""

    method: str
    seed: int
    role: Role
    metrics: Mapping[str, Any]


def _result(folder: Path, content: Any, tallies: Any) -> RunResult:
    """Raises ValueError where something is of another type than `write_result` writes."""
    if not isinstance(content, dict) or not isinstance(tallies, list):
        raise ValueError("the files hold something else")
    if type(content["format"]) is not int or content["format"] != FORMAT:
        raise InputError(
            f"{folder / RESULT} has format {content['format']!r}; this version reads {FORMAT}: `overproof evaluate` "
            f"writes it anew."
        )
    found = checked_fields(
        _Content, {name: each for name, each in content.items() if name not in ("format", "manifest")}, "it"
    )
    rows = [checked_fields(_Row, each, f"row {number}") for number, each in enumerate(found.rows)]
    for where, numbers in (("repeated_in_test", found.repeated_in_test), *(("metrics", row.metrics) for row in rows)):
        if odd := [each for each in numbers.values() if each is not None and type(each) not in (int, float)]:
            raise ValueError(f"{where} has {odd[0]!r}; a number is needed")
    for facts in found.students:
        check_facts(facts)
    return RunResult(
        folder=folder,
        name=found.name,
        class_names=found.class_names,
        repeated=found.repeated_in_test,
        rows=tuple(Row(method=row.method, seed=row.seed, role=row.role, metrics=dict(row.metrics)) for row in rows),
        summary=tuple(checked_fields(Summary, each, f"summary {n}") for n, each in enumerate(found.summary)),
        findings=found.findings,
        students=found.students,
        tallies=tuple(_tally(**each) for each in tallies),
        judged_on=(
            # Of earlier versions, which had a test always.
            JudgedOn.of(int(max((row.metrics["num_examples"] for row in rows), default=0)), 0)
            if found.judged_on is None
            else checked_fields(JudgedOn, found.judged_on, "judged_on")
        ),
    )


def check_facts(facts: Mapping[str, Any]) -> None:
    """Check the types of what every training leaves in its row.json.

    Args:
        facts: Its content.

    Raises:
        ValueError: A fact is missing or of another type.
    """
    wanted = {"noise": dict, "history": list, "num_parameters": int}
    for name, kind in wanted.items():
        if type(facts.get(name)) is not kind:
            raise ValueError(f"{name} is {repr(facts.get(name))[:60]}; {kind.__name__} is needed")
    for number, record in enumerate(facts["history"]):
        if not isinstance(record, dict) or type(record.get("epoch")) is not int:
            raise ValueError(f"history has no epoch at {number}")
        for name, each in record.items():
            if isinstance(each, bool | str):
                raise ValueError(f"history has {name} {each!r} at {number}; a number is needed")


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
    numbers = [*(each for row in others["confusion"] for each in row), *(each for row in pairs for each in row)]
    if odd := [each for each in (*numbers, others["seed"]) if type(each) is not int]:
        raise ValueError(f"a count is {odd[0]!r}; a whole number is needed")
    return Tally(
        pairs=[(i, j, count) for i, j, count in pairs],
        reliability=[(int(number), int(count), mean, int(right)) for number, count, mean, right in reliability],
        **others,
    )
