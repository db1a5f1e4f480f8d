"""Answers in and out of files that other tools read and write: Parquet, CSV and JSON lines, joined by id.

A file of answers has a column `id` and one of these, the fullest of which counts:

* one column for every class, named by it: the probabilities;
* `probs`: K probabilities, as a list in the order of the classes or as an object with one number for every class;
* `logprobs`: natural logarithms, as a list or as an object that may leave classes out (those that an LLM
  gives to the names of the classes);
* `top_classes` with `top_probs` or `top_logprobs`: lists of the likeliest class names and their probabilities or
  logarithms (what an API's top-5 gives); also `labels` with `scores` (a Hugging Face pipeline's);
* `labels`: a list of class names, one an annotator; or `label` and `annotator`, a row for each answer, so that an id
  stands in several rows: their votes (`overproof.answers.votes`);
* `label` with `confidence`, `score` or `probability`: the name of one class and its probability, the rest spread evenly
  over the others; with `logprob`: its natural logarithm;
* `label` (or `prediction`): the name of one class, taken with certainty.

Other columns that are answers by their names are an error (`overproof.answers.shapes`), and so is a label beside
probabilities of which another class is the largest, unless `answer_from` says which of the two is the answer.
`overproof.answers.formats` describes how mass that no class is named for is distributed.
"""

import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from overproof.answers.ask import answers_of
from overproof.answers.beside import Beside
from overproof.answers.cells import without_lists
from overproof.answers.formats import KNOWN, Rows, dense_reader, named_classes, unrounded
from overproof.answers.parsed import ParsedFiles
from overproof.answers.predictions import Answers, compress, word_tensor
from overproof.answers.shapes import AnswerFrom, canonical, left_out
from overproof.answers.tables import as_text, check_ids_differ, ids_of
from overproof.answers.unanswered import lacking, other_ids
from overproof.answers.votes import Vote, agreement, has_votes, votes_in
from overproof.data import check_classes
from overproof.errors import InputError
from overproof.storage import store
from overproof.storage.atomic import write_bytes
from overproof.storage.shard import Ids

NUMBERS_AT_A_TIME = 2**22
"""How many probabilities are opened to all K classes at once (32 MB each time)."""


def read_answers(
    path: str | Path | Sequence[str | Path],
    join: pa.Array | pa.ChunkedArray | Ids,
    class_names: tuple[str, ...],
    *,
    classes: tuple[str, ...] = (),
    vote: Vote = "soft",
    id_column: str = "id",
    source: str = "pool",
    answer_from: AnswerFrom = "",
    unanswered: Literal["refuse", "none"] = "refuse",
    parsed: ParsedFiles | None = None,
) -> Answers:
    """Read a file of answers (`.parquet`, `.csv`, `.jsonl`) for these examples, in their order.

    The file may hold more rows than these, in any order. Probabilities must be distributions (within .001, or within
    what rounding their decimals explains) and are kept as in `overproof.answers.predictions.compress`.

    Args:
        path: The file, or several that each answer a part of the examples; this module's description lists their
            columns.
        join: [N], what to look up in the file's id column: the user's own keys (`Examples.keys`), or content ids
            (`Examples.ids`), which a file spells in hex.
        class_names: K names; the order of the answers.
        classes: The same names in the order of the file's lists of K numbers, where that is another.
        vote: How several answers to one example are combined.
        id_column: The file's id column.
        source: What to call the examples in errors.
        answer_from: Which of a label and probabilities beside it is the answer, where they differ in some row.
        unanswered: An example without an answer, or with a word that is no class, is an error (`refuse`), or stays
            without an answer (`none`: `Answers.without`).
        parsed: Cache of the files' content.

    Raises:
        InputError: No such column; ids missing, repeated or without an answer; a row that is no
            distribution, or whose label is not the likeliest class; two answers to one example.
    """
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(each) for each in path]
    called = " and ".join(str(each) for each in paths)
    if len(join) == 0:
        raise InputError(f"{source} has no examples; there must be at least one to look up in {called}.")
    if classes:
        ordered = [name for name in class_names if name in classes]
        check_classes(
            class_names, ordered + [name for name in classes if name not in class_names], f"classes of {called}"
        )
    files = parsed or ParsedFiles()
    wanted = as_text(join)
    found = np.full(len(wanted), -1)
    parts: list[Answers] = []
    why = ""
    for number, each in enumerate(paths):
        opened = _Opened.of(each, files, class_names, classes or class_names, vote, id_column, answer_from)
        why += left_out(opened.table)
        rows, has = _join(each, opened.table, id_column, wanted)
        has[has] = opened.answering[rows[has]]
        if not has.any():
            continue
        part = opened.answers(rows[has])
        again = np.flatnonzero(has & (found >= 0))
        if len(again):
            _check_same(paths, number, again, found, parts, part, np.cumsum(has) - 1, wanted, source)
        new = has & (found < 0)
        found[new] = sum(map(len, parts)) + (np.cumsum(has) - 1)[new]
        parts.append(part)
    if (found < 0).any() and unanswered == "refuse":
        row, lacks = int(np.argmax(found < 0)), lacking(paths, join, class_names, id_column=id_column, parsed=files)
        words = "; aliases name the class that a word means" if any(lacks.words) else ""
        how = f"Write `unanswered: drop` under `teacher` to leave such examples out{words}."
        if lacks.num == len(wanted) and not words:
            how = other_ids(files.canonical(paths[0], id_column, class_names), id_column, join)
        raise InputError(
            f"{called} {'has' if len(paths) == 1 else 'have'} no answer for {lacks.num} of the {len(wanted)} examples "
            f"of {source}{lacks.reasons()}; the first is row {row} (counted from 0), {id_column} "
            f"{wanted[row].as_py()!r}{why}. The classes are {_shown(class_names)}. {how}"
        )
    if (silent := torch.from_numpy(found < 0)).any():
        found[found < 0] = sum(map(len, parts))
        parts.append(compress(torch.full((1, len(class_names)), 1 / len(class_names))))
    answers = replace(_joined(parts).take(torch.from_numpy(found)), id_word=word_tensor(join))
    return answers.without(silent) if silent.any() else answers


def _shown(class_names: Sequence[str]) -> str:
    return f"{', '.join(class_names[:10])}{' …' if len(class_names) > 10 else ''}"


def in_list_order(
    path: str | Path, class_names: tuple[str, ...], *, id_column: str = "id", parsed: ParsedFiles | None = None
) -> bool:
    """Whether the classes of a file's probabilities follow from their place in a list alone.

    Args:
        path: The file.
        class_names: K names.
        id_column: The file's id column.
        parsed: Cache of the file's content.

    Raises:
        InputError: As `read_answers`.
    """
    return (parsed or ParsedFiles()).in_order(Path(path), id_column, class_names)


def read_all_answers(path: str | Path, *, id_column: str = "id") -> tuple[Answers, pa.Array, tuple[str, ...]]:
    """Read all of a file of answers in its own order, with its ids and the classes it names, sorted.

    The classes are those that `top_classes` or `label` name, or the columns of numbers that have no other
    meaning here; those of `probs` alone are called by their numbers.

    Args:
        path: The file; this module's description lists its columns.
        id_column: The file's id column.

    Raises:
        InputError: As `read_answers`; or fewer than two classes.
    """
    path = Path(path)
    files = ParsedFiles()
    table = files.table(path, id_column)
    if len(table) == 0 or id_column not in table.column_names:
        what = "no rows" if len(table) == 0 else f"no column {id_column!r} for the ids"
        raise InputError(f"{path} has {what}; a file of answers needs some.")
    class_names = names_in(path, table, id_column)
    table = files.canonical(path, id_column, class_names)
    ids = as_text(table.column(id_column))
    if has_votes(table):
        ids = ids.unique()
    return read_answers(path, ids, class_names, id_column=id_column, source=str(path), parsed=files), ids, class_names


def vote_counts(
    path: str | Path, class_names: tuple[str, ...], *, id_column: str = "id", parsed: ParsedFiles | None = None
) -> tuple[float, float] | None:
    """Votes an example and the share of examples whose votes agree; None for a file that is not one of votes.

    Args:
        path: The file.
        class_names: K names.
        id_column: The file's id column.
        parsed: Cache of the file's content.

    Raises:
        InputError: As `read_answers`.
    """
    path = Path(path)
    files = parsed or ParsedFiles()
    table = files.canonical(path, id_column, class_names)
    if not has_votes(table) or set(class_names) <= set(table.column_names):
        return None
    table = files.votes(path, id_column, class_names)
    return agreement(votes_in(path, table, ids_of(path, table, id_column), class_names))


def names_in(path: Path, table: pa.Table, id_column: str) -> tuple[str, ...]:
    """The classes that a file names by itself, sorted; those of lists without names by their numbers.

    Args:
        path: The file, for errors.
        table: Its content.
        id_column: Its id column.

    Raises:
        InputError: It names fewer than two.
    """
    numbers = [each.name for each in table.schema if pa.types.is_floating(each.type) or pa.types.is_integer(each.type)]
    columns = tuple(name for name in numbers if name != id_column)
    # As `overproof predict` writes: the classes that the labels name are columns, whatever these are called.
    single = "label" in table.column_names and not pa.types.is_nested(table.schema.field("label").type)
    labels = as_text(table.column("label")).unique().drop_null().to_pylist() if single else []
    if len(columns) >= 2 and labels and set(labels) <= set(columns):
        return tuple(sorted(columns))
    names = without_lists(named_classes(path, canonical(path, table, id_column, ()), {id_column, "", *KNOWN}))
    if len(names) < 2:
        raise InputError(f"{path} names {len(names)} classes; at least two are needed.")
    return names


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Opened:
    """One file, ready to be read for some of its rows."""

    path: Path
    table: pa.Table
    class_names: tuple[str, ...]
    classes: tuple[str, ...]
    beside: Beside
    answering: NDArray[np.bool_]

    @staticmethod
    def of(
        path: Path,
        files: ParsedFiles,
        class_names: tuple[str, ...],
        classes: tuple[str, ...],
        vote: Vote,
        id_column: str,
        answer_from: AnswerFrom,
    ) -> "_Opened":
        table = files.canonical(path, id_column, class_names)
        beside = Beside.of(path, table, class_names, answer_from)
        words = files.spelling(path, id_column, class_names).words
        if has_votes(table) and not set(class_names) <= set(table.column_names):
            # Only rows that name a class are counted.
            table, words = files.counted(path, id_column, class_names, vote), None
        return _Opened(
            path=path,
            table=table,
            class_names=class_names,
            classes=classes,
            beside=beside,
            # The rows that name a class, where that is all they do.
            answering=np.ones(len(table), bool) if words is None else np.asarray(words.is_null()),
        )

    def answers(self, rows: Rows) -> Answers:
        """The answers in these rows, in this order."""
        parts = self._parts(rows)
        if self.beside.differs:
            # Counted in all of the file, where all of it can be read.
            with suppress(InputError):
                self._parts(np.setdiff1d(np.arange(len(self.table)), rows))
                rows = np.arange(len(self.table))
            self.beside.refuse(len(rows))
        return _joined(parts)

    def _parts(self, rows: Rows) -> list[Answers]:
        dense = dense_reader(self.path, self.table.schema, self.class_names, self.classes)
        parts = []
        step = max(NUMBERS_AT_A_TIME // len(self.class_names), 1)
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            taken = self.table.take(pa.array(some))
            probs = self.beside.decided(unrounded(dense(taken, some)), taken, some)
            parts.append(compress(torch.from_numpy(probs), source=str(self.path), row_numbers=some))
        return parts


def _joined(parts: Sequence[Answers]) -> Answers:
    columns = [each.name for each in fields(Answers) if each.name != "num_classes"]
    joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in columns}
    return Answers(**joined, num_classes=parts[0].num_classes)


def _check_same(
    paths: Sequence[Path],
    number: int,
    again: Rows,
    found: Rows,
    parts: Sequence[Answers],
    part: Answers,
    place: Rows,
    wanted: pa.Array,
    source: str,
) -> None:
    """Two files may answer the same example if they give the same answer."""
    earlier = _joined(parts).take(torch.from_numpy(found[again]))
    later = part.take(torch.from_numpy(place[again]))
    differ = (earlier.probs() - later.probs()).abs().amax(dim=1).numpy() > 1e-3
    if differ.any():
        row = int(again[np.argmax(differ)])
        before = " and ".join(str(path) for path in paths[:number])
        raise InputError(
            f"{paths[number]} answers {int(differ.sum())} of the examples of {source} otherwise than {before}; the "
            f"first is {wanted[row].as_py()!r}. Files of one teacher answer an example once; give each file a teacher "
            f"of its own, or write one file with a column `annotator`."
        )


def export_parquet(
    answers: Answers,
    path: str | Path,
    *,
    ids: pa.Array | pa.ChunkedArray | Ids,
    class_names: tuple[str, ...],
) -> None:
    """Write answers as a Parquet file for other tools, and for `read_answers`, which gives the same probabilities back.

    Columns: `id` (the keys as given, or content ids in hex), `label` (the likeliest class's name), `margin`,
    `residual` (mass not named), `top_classes` and `top_probs` (lists, likeliest first).

    Args:
        answers: N rows.
        path: The file to write, whole or not at all.
        ids: [N], keys or content ids.
        class_names: K names, in the order of the answers.
    """
    if len(ids) != len(answers):
        raise InputError(f"There are {len(answers)} answers and {len(ids)} ids to write to {path}; one each is needed.")
    names = pa.array(class_names, pa.string())
    num_kept = answers.class_indices.shape[1]
    offsets = pa.array(np.arange(len(answers) + 1) * num_kept, pa.int32())
    top_classes = pa.DictionaryArray.from_arrays(pa.array(answers.class_indices.flatten().numpy()), names)
    top_probs = pa.array(answers.class_probs.float().flatten().numpy())
    table = pa.table(
        {
            "id": as_text(ids),
            "label": names.take(pa.array(answers.pseudo_label.numpy())),
            "margin": answers.margin.float().numpy(),
            "residual": answers.residual.float().numpy(),
            "top_classes": pa.ListArray.from_arrays(offsets, top_classes.dictionary_decode()),
            "top_probs": pa.ListArray.from_arrays(offsets, top_probs),
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    write_bytes(Path(path), sink.getvalue())


def export_store(folder: str | Path, path: str | Path, *, keys: pa.Array | pa.ChunkedArray | None = None) -> None:
    """`export_parquet` of all that a folder of `overproof.answers.ask.answer` holds, in its order.

    Args:
        folder: Where the answers are stored.
        path: The file to write.
        keys: [N], the user's own ids in the order of the store; None writes content ids.
    """
    stored = store.load(
        Path(folder), kind="answers", key=None, class_names=None, ids=None, source="", align=False, mmap=False
    )
    export_parquet(answers_of(stored), path, ids=stored.ids if keys is None else keys, class_names=stored.class_names)


# The file -----------------------------------------------------------------------------------------------------------


def _join(path: Path, table: pa.Table, id_column: str, wanted: pa.Array) -> tuple[Rows, NDArray[np.bool_]]:
    """The row of the file for each wanted id, and whether it has one."""
    ids = ids_of(path, table, id_column)
    check_ids_differ(path, ids, id_column)
    rows = pc.index_in(wanted, value_set=ids)
    has = rows.is_valid().to_numpy(zero_copy_only=False)
    return pc.fill_null(rows, -1).to_numpy().astype(np.int64), has
