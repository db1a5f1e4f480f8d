"""Answers in and out of files that other tools read and write: Parquet, CSV and JSON lines, joined by id.

A file of answers has a column `id` and one of these, the fullest of which counts:

* one column for every class, named by it: the probabilities;
* `probs`: K probabilities, as a list in the order of the classes or as an object with one number for every class;
* `logprobs`: natural logarithms, as a list or as an object that may leave classes out (those that an LLM
  gives to the names of the classes);
* `top_classes` with `top_probs` or `top_logprobs`: lists of the likeliest class names and their probabilities or
  logarithms (what an API's top-5 gives);
* `labels`: a list of class names, one an annotator; or `label` and `annotator`, a row for each answer, so that an id
  stands in several rows: their votes (`overproof.answers.votes`);
* `label` and `confidence`: the name of one class and its probability, the rest spread evenly over the others;
* `label`: the name of one class, taken with certainty.

`overproof.answers.formats` describes how mass that no class is named for is distributed.
"""

import io
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq
import torch

from overproof.answers.ask import answers_of
from overproof.answers.formats import KNOWN, Rows, dense_reader, named_classes
from overproof.answers.predictions import Answers, compress, word_tensor
from overproof.answers.votes import Vote, agreement, counted, has_votes, votes_in
from overproof.data import check_classes
from overproof.errors import InputError
from overproof.storage import store
from overproof.storage.atomic import write_bytes
from overproof.storage.shard import Ids

NUMBERS_AT_A_TIME = 2**22
"""How many probabilities are opened to all K classes at once (32 MB each time)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ParsedFiles:
    """Files of answers, each parsed once for as long as it stays as it is, and its votes counted once."""

    _tables: dict[tuple[Path, str], tuple[tuple[int, int], pa.Table]] = field(default_factory=dict)
    _counted: dict[tuple[Path, str], tuple[pa.Table, tuple[tuple[str, ...], Vote], pa.Table]] = field(
        default_factory=dict
    )

    def table(self, path: Path, id_column: str) -> pa.Table:
        """The content of a file.

        Raises:
            InputError: It cannot be read.
        """
        try:
            stamp = (path.stat().st_size, path.stat().st_mtime_ns)
        except OSError:
            # Reading it raises the error that names the cause.
            return _read_table(path, id_column)
        kept = self._tables.get((path, id_column))
        if kept is None or kept[0] != stamp:
            kept = self._tables[path, id_column] = stamp, _read_table(path, id_column)
        return kept[1]

    def counted(self, path: Path, id_column: str, class_names: tuple[str, ...], vote: Vote) -> pa.Table:
        """A file of votes as one of answers.

        Raises:
            InputError: As `overproof.answers.votes.counted`.
        """
        table, how = self.table(path, id_column), (class_names, vote)
        kept = self._counted.get((path, id_column))
        if kept is None or kept[0] is not table or kept[1] != how:
            ids = _ids_of(path, table, id_column)
            made = counted(path, table, ids, class_names, vote, id_column=id_column)
            kept = self._counted[path, id_column] = table, how, made
        return kept[2]


def read_answers(
    path: str | Path,
    join: pa.Array | pa.ChunkedArray | Ids,
    class_names: tuple[str, ...],
    *,
    classes: tuple[str, ...] = (),
    vote: Vote = "soft",
    id_column: str = "id",
    source: str = "pool",
    parsed: ParsedFiles | None = None,
) -> Answers:
    """Read a file of answers (`.parquet`, `.csv`, `.jsonl`) for these examples, in their order.

    The file may hold more rows than these, in any order. Probabilities must be distributions and are kept as in
    `overproof.answers.predictions.compress`.

    Args:
        path: The file; this module's description lists its columns.
        join: [N], what to look up in the file's id column: the user's own keys (`Examples.keys`), or content ids
            (`Examples.ids`), which a file spells in hex.
        class_names: K names; the order of the answers.
        classes: The same names in the order of the file's lists of K numbers, where that is another.
        vote: How several answers to one example are combined.
        id_column: The file's id column.
        source: What to call the examples in errors.
        parsed: Cache of the file's content.

    Raises:
        InputError: No such column; ids missing, repeated or without an answer; an unknown class; a row that is no
            distribution.
    """
    path = Path(path)
    if len(join) == 0:
        raise InputError(f"{source} has no examples; there must be at least one to look up in {path}.")
    if classes:
        ordered = [name for name in class_names if name in classes]
        check_classes(
            class_names, ordered + [name for name in classes if name not in class_names], f"classes of {path}"
        )
    files = parsed or ParsedFiles()
    return _answers(path, files, join, class_names, classes or class_names, vote, id_column, source)


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
    class_names = _names_in(path, table, id_column)
    ids = _as_text(table.column(id_column))
    if has_votes(table):
        ids = ids.unique()
    return _answers(path, files, ids, class_names, class_names, "soft", id_column, str(path)), ids, class_names


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
    table = (parsed or ParsedFiles()).table(path, id_column)
    if not has_votes(table) or set(class_names) <= set(table.column_names):
        return None
    return agreement(votes_in(path, table, _ids_of(path, table, id_column), class_names))


def _names_in(path: Path, table: pa.Table, id_column: str) -> tuple[str, ...]:
    names = named_classes(path, table, {id_column, *KNOWN})
    if len(names) < 2:
        raise InputError(f"{path} names {len(names)} classes; at least two are needed.")
    return names


def _answers(
    path: Path,
    files: ParsedFiles,
    join: pa.Array | pa.ChunkedArray | Ids,
    class_names: tuple[str, ...],
    classes: tuple[str, ...],
    vote: Vote,
    id_column: str,
    source: str,
) -> Answers:
    table = files.table(path, id_column)
    if has_votes(table) and not set(class_names) <= set(table.column_names):
        table = files.counted(path, id_column, class_names, vote)
    dense = dense_reader(path, table.schema, class_names, classes)
    rows = _join(path, table, id_column, _as_text(join), source)
    parts = []
    step = max(NUMBERS_AT_A_TIME // len(class_names), 1)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        probs = torch.from_numpy(dense(table.take(pa.array(some)), some))
        parts.append(compress(probs, source=str(path), row_numbers=some))
    columns = [field.name for field in fields(Answers) if field.name not in ("num_classes", "id_word")]
    joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in columns}
    return Answers(**joined, num_classes=len(class_names), id_word=word_tensor(join))


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
            "id": _as_text(ids),
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


def _read_table(path: Path, id_column: str) -> pa.Table:
    text = {id_column: pa.string(), "label": pa.string()}
    try:
        if path.suffix == ".csv":
            # Without this, the id 007 would be read as 7.
            return pyarrow.csv.read_csv(path, convert_options=pyarrow.csv.ConvertOptions(column_types=text))
        if path.suffix == ".jsonl":
            return pyarrow.json.read_json(path)
        if ".parquet" in path.suffixes:
            return pq.read_table(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read: {str(error).splitlines()[0].rstrip('.')}.") from error
    raise InputError(f"{path} is not a file of answers by its name; it must end in .parquet, .csv or .jsonl.")


def _as_text(ids: pa.Array | pa.ChunkedArray | Ids) -> pa.Array:
    if isinstance(ids, np.ndarray):
        return pa.array([content.hex() for content in ids.tolist()], pa.large_string())
    if pa.types.is_fixed_size_binary(ids.type) or pa.types.is_binary(ids.type):
        return pa.array([None if content is None else content.hex() for content in ids.to_pylist()], pa.large_string())
    text = ids.cast(pa.large_string())
    return text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text


def _ids_of(path: Path, table: pa.Table, id_column: str) -> pa.Array:
    """The id of every row, as text."""
    if id_column not in table.column_names:
        raise InputError(f"{path} has no column {id_column!r} for the ids; it has {', '.join(table.column_names)}.")
    ids = _as_text(table.column(id_column))
    if ids.null_count:
        row = int(np.argmax(ids.is_null().to_numpy(zero_copy_only=False)))
        raise InputError(f"{path}, row {row} (counted from 0): it has no {id_column}; every row needs one.")
    return ids


def _join(path: Path, table: pa.Table, id_column: str, wanted: pa.Array, source: str) -> Rows:
    """The row of the file for each wanted id."""
    ids = _ids_of(path, table, id_column)
    codes = ids.dictionary_encode().indices.to_numpy()
    first_rows = np.unique(codes, return_index=True)[1]
    if len(first_rows) < len(ids):
        row = int(np.setdiff1d(np.arange(len(ids)), first_rows)[0])
        first = int(np.argmax(codes == codes[row]))
        raise InputError(
            f"{path}, rows {first} and {row} (counted from 0): both have {id_column} {ids[row].as_py()!r}; "
            "an id may stand in one row only."
        )
    rows = pc.index_in(wanted, value_set=ids)
    if rows.null_count:
        row = int(np.argmax(rows.is_null().to_numpy(zero_copy_only=False)))
        raise InputError(
            f"{path} has no answer for {rows.null_count} of the {len(wanted)} examples of {source}; the first is "
            f"row {row} (counted from 0), {id_column} {wanted[row].as_py()!r}."
        )
    return rows.to_numpy().astype(np.int64)
