"""`overproof select`: the rows of stored answers that a rule chooses, written to a file, and the class counts."""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int
from rich.table import Table
from rich.text import Text
from torch import Tensor

from overproof.answers.ask import answers_of
from overproof.answers.files import read_all_answers
from overproof.answers.predictions import Answers
from overproof.errors import InputError
from overproof.methods.composition import override
from overproof.methods.selectors import ClassCounts, Selector, ShortClasses, class_counts, log_confidence
from overproof.registry import entry_of, lookup
from overproof.storage import store
from overproof.storage.atomic import check_output, write_bytes
from overproof.storage.one_writer import writing_file

ROWS_SHOWN = 40
"""Classes in the table for a terminal; JSON has all."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pool:
    """Stored answers and the ids of their examples.

    Args:
        answers: N rows.
        ids: [N], content ids in hex, or the user's own.
        class_names: K names.
        path: The file or folder they were read from.
    """

    answers: Answers
    ids: pa.Array
    class_names: tuple[str, ...]
    path: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Selection:
    """The rows of a pool that a rule chose.

    Args:
        pool: The pool.
        selector: The rule.
        rows: [M], ascending.
        classes: Rows of each class before and after.
    """

    pool: Pool
    selector: Selector
    rows: Int[Tensor, "M"]
    classes: ClassCounts

    def described(self) -> dict[str, Any]:
        """The rule and the class counts as plain data."""
        counts = zip(self.classes.names, self.classes.available, self.classes.kept, strict=True)
        return {
            "source": self.pool.path,
            **_rule_of(self.selector),
            "num_available": len(self.pool.answers),
            "num_kept": len(self.rows),
            "classes": [{"name": name, "available": available, "kept": kept} for name, available, kept in counts],
            "vanished": list(self.classes.vanished),
        }

    def write(self, path: Path) -> None:
        """Write the chosen rows as Parquet, atomically; the same selection is always the same bytes.

        Columns: `id`; `row`, its number in the source; `pseudo_label`, the name of the teacher's class, empty where all
        classes are equally likely; `score`, the
        logarithm of the teacher's probability of that class (minus DFND's noise value). The rule is in the file's
        metadata.
        """
        some = self.pool.answers.take(self.rows)
        names = pa.array(self.pool.class_names, pa.string())
        table = pa.table(
            {
                "id": self.pool.ids.take(pa.array(self.rows.numpy())),
                "row": self.rows.numpy(),
                "pseudo_label": names.take(pa.array(some.pseudo_label.numpy(), mask=~some.names_class.numpy())),
                "score": log_confidence(some).numpy(),
            },
            metadata={"overproof": json.dumps(_rule_of(self.selector), sort_keys=True)},
        )
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
        write_bytes(path, sink.getvalue())

    def table(self) -> Table:
        """The classes before and after, the most frequent first."""
        drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
        drawn.add_column("class")
        for name in ("available", "%", "kept", "%", "kept of available %"):
            drawn.add_column(name, justify="right")
        counts = list(zip(self.classes.names, self.classes.available, self.classes.kept, strict=True))
        counts.sort(key=lambda each: -each[1])
        rest = counts[ROWS_SHOWN:]
        shown = [*counts[:ROWS_SHOWN]]
        if rest:
            shown.append((f"{len(rest)} more", sum(each[1] for each in rest), sum(each[2] for each in rest)))
        num_available, num_kept = len(self.pool.answers), len(self.rows)
        for name, available, kept in [*shown, ("all", num_available, num_kept)]:
            drawn.add_row(
                Text(name),
                str(available),
                _percent(available, num_available),
                str(kept),
                _percent(kept, num_kept),
                _percent(kept, available),
            )
        return drawn


def selector_of(rule: str, options: Mapping[str, Any]) -> Selector:
    """A selector by name, with its options set.

    Args:
        rule: The name.
        options: Its options.

    Raises:
        InputError: There is no selector of that name, no such option, or a wrong value.
    """
    selector: Selector = lookup("select", rule).make()
    for option, value in options.items():
        selector = override(selector, option, value)
    return selector


def open_pool(path: Path, teacher: str = "") -> Pool:
    """Read a store of answers (a folder such as `RUN/labels/seed-0/pool`) or a file of answers.

    Args:
        path: A folder or a file.
        teacher: Text that the store's key must contain in its description of the teacher; empty accepts any.

    Raises:
        InputError: Not a store or a file of answers, damaged, or of another teacher.
    """
    if path.is_dir():
        return _open_store(path, teacher)
    if teacher:
        raise InputError(f"{path} is a file of answers, which does not say whose they are; leave --teacher out.")
    answers, ids, class_names = read_all_answers(path)
    return Pool(answers=answers, ids=ids, class_names=class_names, path=str(path))


def choose(pool: Pool, selector: Selector) -> Selection:
    """Apply a rule to a pool.

    Args:
        pool: The pool.
        selector: The rule.

    Raises:
        InputError: The pool has too few rows for the rule.
    """
    try:
        rows = selector(pool.answers)
    except ShortClasses as error:
        raise error.named(pool.class_names) from None
    counts = class_counts(pool.answers, rows, pool.class_names)
    return Selection(pool=pool, selector=selector, rows=rows, classes=counts)


def write_selection(path: Path, selector: Selector, file: Path, *, teacher: str = "") -> Selection:
    """Choose from stored answers and write the chosen rows.

    Args:
        path: A store of answers or a file of answers, as in `open_pool`.
        selector: The rule.
        file: Where to write, `.parquet`.
        teacher: As in `open_pool`.

    Raises:
        InputError: The answers, the rule or the file's name does not fit, or another process writes the file; nothing
            is written then.
    """
    if file.suffix != ".parquet":
        raise InputError(f"--out {str(file)!r} must end in .parquet, not {file.suffix!r}.")
    check_output(file, folder=False)
    chosen = choose(open_pool(path, teacher), selector)
    with writing_file(file):
        chosen.write(file)
    return chosen


def _open_store(folder: Path, teacher: str) -> Pool:
    if (folder / "experiment.yaml").is_file():
        raise InputError(f"{folder} is a run; give one of its stores of answers, such as {folder}/labels/seed-0/pool.")
    # Students have manifests too.
    stores = (path.parent for path in folder.glob("*/manifest.json") if not (path.parent / "student.json").exists())
    inside = sorted(each.name for each in stores)
    if inside and not (folder / "manifest.json").exists():
        raise InputError(f"{folder} holds several stores of answers; give one of them: {', '.join(inside)}.")
    stored = store.load(
        folder, kind="answers", key=None, class_names=None, ids=None, source="", align=False, mmap=False
    )
    if teacher not in stored.key.teacher:
        theirs = stored.key.teacher[:80] + ("…" if len(stored.key.teacher) > 80 else "")
        raise InputError(
            f"The store {folder} belongs to teacher {theirs!r}, which does not say {teacher!r}: give another "
            f"folder, or another --teacher."
        )
    ids = pa.array([content.hex() for content in stored.ids.tolist()], pa.string())
    return Pool(answers=answers_of(stored), ids=ids, class_names=stored.class_names, path=str(folder))


def _rule_of(selector: Selector) -> dict[str, Any]:
    options: Any = selector
    return {"rule": entry_of(selector).name, "options": asdict(options)}


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}".rstrip("%") if whole else "–"
