"""`overproof select`: the rows of stored answers that a rule chooses, written to a file, and the class counts."""

import io
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from overproof.answers.ask import answers_of
from overproof.answers.files import read_all_answers
from overproof.answers.predictions import Answers
from overproof.errors import InputError
from overproof.methods import selection_in_shards as in_shards
from overproof.methods.composition import override
from overproof.methods.selectors import ClassCounts, Selector, ShortClasses, class_counts, log_confidence
from overproof.processes import HERE, Engine, Work
from overproof.registry import entry_of, lookup
from overproof.storage import store
from overproof.storage.atomic import check_output, write_bytes
from overproof.storage.one_writer import writing_file

ROWS_SHOWN = 40
"""Classes in the table for a terminal; JSON has all."""

ROWS_MAPPED = 2**16
"""Rows of a store that are read at once: of small shards as many."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Selection:
    """The rows of a pool that a rule chose.

    Args:
        path: The file or folder that holds the pool's answers.
        num_available: Its rows.
        selector: The rule.
        chosen: The chosen rows as they are written, in their order.
        classes: Rows of each class before and after.
    """

    path: str
    num_available: int
    selector: Selector
    chosen: pa.Table
    classes: ClassCounts

    def described(self) -> dict[str, Any]:
        """The rule and the class counts as plain data."""
        counts = zip(self.classes.names, self.classes.available, self.classes.kept, strict=True)
        return {
            "source": self.path,
            **_rule_of(self.selector),
            "num_available": self.num_available,
            "num_kept": len(self.chosen),
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
        described = {"overproof": json.dumps(_rule_of(self.selector), sort_keys=True)}
        sink = io.BytesIO()
        table = self.chosen.combine_chunks().replace_schema_metadata(described)
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
        num_available, num_kept = self.num_available, len(self.chosen)
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


def write_selection(
    path: Path, selector: Selector, file: Path, *, teacher: str = "", engine: Engine = HERE
) -> Selection:
    """Choose from stored answers and write the chosen rows.

    Args:
        path: A store of answers (a folder such as `RUN/labels/seed-0/pool`) or a file of answers.
        selector: The rule.
        file: Where to write, `.parquet`.
        teacher: Text that the store's key must contain in its description of the teacher; empty accepts any.
        engine: Where the shards of a store are read: `overproof.scale.engine_on`.

    Raises:
        InputError: The answers, the rule or the file's name does not fit, or another process writes the file; nothing
            is written then.
    """
    if file.suffix != ".parquet":
        raise InputError(f"--out {str(file)!r} must end in .parquet, not {file.suffix!r}.")
    check_output(file, folder=False)
    if path.is_dir():
        chosen = _of_store(path, selector, teacher, engine)
    elif teacher:
        raise InputError(f"{path} is a file of answers, which does not say whose they are; leave --teacher out.")
    elif engine.remote:
        raise InputError(f"--on maps the shards of a store, and {path} is a file of answers; leave --on out.")
    else:
        chosen = _of_answers(path, *read_all_answers(path), selector)
    with writing_file(file):
        chosen.write(file)
    return chosen


def _of_answers(path: Path, answers: Answers, ids: pa.Array, names: tuple[str, ...], selector: Selector) -> Selection:
    try:
        rows = selector(answers)
    except ShortClasses as error:
        raise error.named(names) from None
    table = _rows_as_written(answers.take(rows), ids.take(pa.array(rows.numpy())), rows.numpy(), names)
    counts = class_counts(answers, rows, names)
    return Selection(path=str(path), num_available=len(answers), selector=selector, chosen=table, classes=counts)


def _rows_as_written(some: Answers, ids: pa.Array, rows: NDArray[np.int64], class_names: tuple[str, ...]) -> pa.Table:
    label = pa.array(some.pseudo_label.numpy(), mask=~some.names_class.numpy())
    columns = {"id": ids, "row": rows, "pseudo_label": pa.array(class_names, pa.string()).take(label)}
    return pa.table({**columns, "score": log_confidence(some).numpy()})


# --- the shards of a store


def _of_store(folder: Path, selector: Selector, teacher: str, engine: Engine) -> Selection:
    manifest = _manifest_of(folder, teacher)
    num_shards, names = manifest.header.num_shards(), manifest.class_names
    if not in_shards.knows(selector):
        if engine.remote:
            raise InputError(f"The rule {entry_of(selector).name!r} needs all rows at once; leave --on out.")
        stored = store.some_shards(folder, manifest, range(num_shards))
        return _of_answers(folder, answers_of(stored), _hex(stored.ids), names, selector)
    step = max(1, ROWS_MAPPED // manifest.header.rows_per_shard)
    parts = [range(start, min(start + step, num_shards)) for start in range(0, num_shards, step)]
    passes = partial(_passes, folder, manifest, selector)
    work: Work[tuple[range, Any], Any] = Work(what="shard", here=passes(), elsewhere=lambda: passes)
    summaries = list(engine.map(work, ((part, None) for part in parts)))
    try:
        limits = in_shards.limits(selector, summaries)
    except ShortClasses as error:
        raise error.named(names) from None
    found = list(engine.map(work, ((part, limits) for part in parts)))
    kept = in_shards.cut([each for each, _ in found], limits.quotas)
    chosen = pa.concat_tables([table.take(pa.array(places)) for (_, table), places in zip(found, kept, strict=True)])
    counts = Counter(chosen["pseudo_label"].to_pylist())
    available = sum((each.named for each in summaries), np.zeros(len(names), np.int64))
    return Selection(
        path=str(folder),
        num_available=manifest.header.num_rows,
        selector=selector,
        chosen=chosen,
        classes=ClassCounts(
            names=names, available=tuple(available.tolist()), kept=tuple(counts[name] for name in names)
        ),
    )


def _passes(folder: Path, manifest: store.Manifest, selector: Selector) -> Callable[[tuple[range, Any]], Any]:
    """A function of some shards: the first pass, or with what follows from it the second one."""

    def found(item: tuple[range, in_shards.ShardLimits | None]) -> Any:
        part, limits = item
        stored, start = store.some_shards(folder, manifest, part), manifest.header.rows(part[0]).start
        answers = answers_of(stored)
        if limits is None:
            return in_shards.summary(selector, answers, start)
        chosen = in_shards.candidates(selector, answers, start, limits)
        ids, some = _hex(stored.ids[chosen.rows]), answers.take(torch.from_numpy(chosen.rows))
        return chosen, _rows_as_written(some, ids, chosen.rows + start, manifest.class_names)

    return found


def _hex(ids: NDArray[Any]) -> pa.Array:
    return pa.array([each.hex() for each in ids.tolist()], pa.string())


def _manifest_of(folder: Path, teacher: str) -> store.Manifest:
    if (folder / "experiment.yaml").is_file():
        raise InputError(f"{folder} is a run; give one of its stores of answers, such as {folder}/labels/seed-0/pool.")
    # Students have manifests too.
    stores = (path.parent for path in folder.glob("*/manifest.json") if not (path.parent / "student.json").exists())
    inside = sorted(each.name for each in stores)
    if inside and not (folder / "manifest.json").exists():
        raise InputError(f"{folder} holds several stores of answers; give one of them: {', '.join(inside)}.")
    manifest = store.read_manifest(folder)
    store.refuse_other_kind(folder, manifest.header, "answers")
    whose = manifest.header.key.teacher
    if teacher not in whose:
        theirs = whose[:80] + ("…" if len(whose) > 80 else "")
        raise InputError(
            f"The store {folder} belongs to teacher {theirs!r}, which does not say {teacher!r}: give another "
            f"folder, or another --teacher."
        )
    return manifest


def _rule_of(selector: Selector) -> dict[str, Any]:
    options: Any = selector
    return {"rule": entry_of(selector).name, "options": asdict(options)}


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}".rstrip("%") if whole else "–"
