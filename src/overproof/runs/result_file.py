"""What a finished run leaves for machines and for its report: result.json, and tallies.json beside it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from overproof.errors import InputError
from overproof.evaluation.confusions import Tally
from overproof.evaluation.verdict import Row, Summary
from overproof.storage import atomic

RESULT, TALLIES = "result.json", "tallies.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a run found, as its files say.

    Args:
        name: The experiment's.
        class_names: In order.
        rows: One a method and seed: method, seed, role and metrics.
        summary: One a method.
        findings: In sentences.
        students: What is known of each training: method, seed and what its row.json says.
        tallies: One a method and seed: what it said on the test, counted.
    """

    name: str
    class_names: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    summary: tuple[Summary, ...]
    findings: tuple[str, ...]
    students: tuple[Mapping[str, Any], ...]
    tallies: tuple[Tally, ...]


def write_found(
    folder: Path,
    *,
    name: str,
    class_names: Sequence[str],
    repeated: Mapping[str, int],
    rows: Sequence[Row],
    summary: Sequence[Summary],
    findings: Sequence[str],
    details: Mapping[tuple[str, int], Mapping[str, Any]],
    tallies: Sequence[Tally],
) -> None:
    """Write both files, result.json last.

    Args:
        folder: The run's.
        name: The experiment's.
        class_names: In order.
        repeated: How many examples of each role also stand in the test.
        rows: One a method and seed.
        summary: One a method.
        findings: In sentences.
        details: What is known of each training, by row and seed.
        tallies: One a row.
    """
    content = {
        "format": 1,
        "name": name,
        "class_names": list(class_names),
        "repeated_in_test": dict(repeated),
        "rows": [{"method": row.method, "seed": row.seed, "role": row.role, "metrics": row.metrics} for row in rows],
        "summary": [asdict(each) for each in summary],
        "findings": list(findings),
        "students": [{"method": method, "seed": seed, **facts} for (method, seed), facts in details.items()],
    }
    lines = ",\n".join(json.dumps(asdict(each), separators=(",", ":")) for each in tallies)
    atomic.write_text(folder / TALLIES, f"[\n{lines}\n]\n")
    atomic.write_json(folder / RESULT, content)


def read_found(folder: Path) -> Found:
    """What a run found.

    Raises:
        InputError: It has not come to an end yet, or its files are damaged.
    """
    for name in (RESULT, TALLIES):
        if not (folder / name).is_file():
            raise InputError(
                f"{str(folder)!r} holds no {name}: the run has not come to its end; run the same command again, or "
                f"`overproof evaluate`."
            )
    try:
        content = json.loads((folder / RESULT).read_text())
        return Found(
            name=str(content["name"]),
            class_names=tuple(content["class_names"]),
            rows=tuple(content["rows"]),
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
