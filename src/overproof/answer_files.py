"""Answers in and out of files that other tools read and write: Parquet, CSV and JSON lines, joined by id.

A file of answers has a column `id` and one of these, the fullest of which counts:

* one column for every class, named by it: the probabilities;
* `probs`: a list of K probabilities in the order of the class names;
* `top_classes` and `top_probs`: lists of the likeliest class names and their probabilities (what an API's top-5 gives);
  the mass that is missing to one is spread evenly over the classes that a row does not name;
* `label`: the name of one class, taken with certainty.
"""

import io
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from overproof import store
from overproof.atomic import write_bytes
from overproof.errors import InputError
from overproof.labels import Answers, answers_of, compress, word_tensor
from overproof.shard import Ids

NUMBERS_AT_A_TIME = 2**22
"""How many probabilities are opened to all K classes at once (32 MB each time)."""

Rows = NDArray[np.int64]
Dense = Callable[[pa.Table, Rows], NDArray[np.float64]]
"""Some rows of the file and their numbers in it -> their probabilities [n, K]."""


def read_answers(
    path: str | Path,
    join: pa.Array | pa.ChunkedArray | Ids,
    class_names: tuple[str, ...],
    *,
    id_column: str = "id",
    source: str = "pool",
) -> Answers:
    """Read a file of answers (`.parquet`, `.csv`, `.jsonl`) for these examples, in their order.

    The file may hold more than is asked for, in any order. Probabilities must be distributions and are kept as in
    `labels.compress`.

    Args:
        path: The file; this module's description says which columns it has.
        join: [N], what to look up in the file's id column: the user's own keys (`Examples.keys`), or content ids
            (`Examples.ids`), which a file spells in hex.
        class_names: K names; the order of `probs`, and of the answers.
        id_column: The file's id column.
        source: What to call the examples in errors.

    Raises:
        InputError: No such column; ids missing, repeated or without an answer; an unknown class; a row that is no
            distribution.
    """
    path = Path(path)
    if len(join) == 0:
        raise InputError(f"{source} has no examples; there must be at least one to look up in {path}.")
    return _answers(path, _read_table(path, id_column), join, class_names, id_column, source)


def read_all_answers(path: str | Path, *, id_column: str = "id") -> tuple[Answers, pa.Array, tuple[str, ...]]:
    """Read all of a file of answers in its own order, with its ids and the classes it speaks of, sorted.

    The classes are those that `top_classes` or `label` name, or the columns of numbers that this module does not know
    otherwise; those of `probs` alone are called by their numbers.

    Args:
        path: The file; this module's description says which columns it has.
        id_column: The file's id column.

    Raises:
        InputError: As `read_answers`; or fewer than two classes.
    """
    path = Path(path)
    table = _read_table(path, id_column)
    if len(table) == 0 or id_column not in table.column_names:
        what = "no rows" if len(table) == 0 else f"no column {id_column!r} for the ids"
        raise InputError(f"{path} has {what}; a file of answers needs some.")
    class_names = _names_in(path, table, id_column)
    ids = _as_text(table.column(id_column))
    return _answers(path, table, ids, class_names, id_column, str(path)), ids, class_names


def _names_in(path: Path, table: pa.Table, id_column: str) -> tuple[str, ...]:
    known = {id_column, "label", "margin", "residual", "probs", "top_classes", "top_probs"}
    names = [
        field.name
        for field in table.schema
        if field.name not in known and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
    ]
    if "top_classes" in table.column_names:
        names = pc.unique(pc.list_flatten(table.column("top_classes"))).to_pylist()
    elif "probs" in table.column_names:
        lengths, _ = _lists(path, "probs", table, np.arange(len(table)))
        names = [str(index) for index in range(int(lengths.max()))]
        return tuple(names)
    elif len(names) < 2 and "label" in table.column_names:
        names = table.column("label").cast(pa.string()).unique().drop_null().to_pylist()
    if len(names) < 2:
        raise InputError(f"{path} speaks of {len(names)} classes; answers are given among two or more.")
    return tuple(sorted(names))


def _answers(
    path: Path,
    table: pa.Table,
    join: pa.Array | pa.ChunkedArray | Ids,
    class_names: tuple[str, ...],
    id_column: str,
    source: str,
) -> Answers:
    dense = _dense_reader(path, table.column_names, class_names)
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
    """`export_parquet` of all that a folder of `labels.answer` holds, in its order.

    Args:
        folder: Where the answers are kept.
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


def _join(path: Path, table: pa.Table, id_column: str, wanted: pa.Array, source: str) -> Rows:
    """The row of the file for each wanted id."""
    if id_column not in table.column_names:
        raise InputError(f"{path} has no column {id_column!r} for the ids; it has {', '.join(table.column_names)}.")
    ids = _as_text(table.column(id_column))
    if ids.null_count:
        row = int(np.argmax(ids.is_null().to_numpy(zero_copy_only=False)))
        raise InputError(f"{path}, row {row} (counted from 0): it has no {id_column}; every row needs one.")
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


# Its answers --------------------------------------------------------------------------------------------------------


def _dense_reader(path: Path, columns: list[str], class_names: tuple[str, ...]) -> Dense:
    missing = [name for name in class_names if name not in columns]
    if not missing:
        return lambda table, rows: np.stack([_numbers(path, name, table.column(name)) for name in class_names], axis=1)
    if len(missing) < len(class_names):
        raise InputError(
            f"{path} has columns for {len(class_names) - len(missing)} of the {len(class_names)} classes and none for "
            f"{', '.join(repr(name) for name in missing[:5])}{' …' if len(missing) > 5 else ''}; it needs all or none."
        )
    names = pa.array(class_names, pa.large_string())
    if "probs" in columns:
        return lambda table, rows: _listed_probs(path, table, rows, len(class_names))
    if {"top_classes", "top_probs"} <= set(columns):
        return lambda table, rows: _top_probs(path, table, rows, names)
    if "label" in columns:
        return lambda table, rows: _one_hot(_classes(path, table.column("label"), rows, names), len(names))
    raise InputError(
        f"{path} holds no answers: it needs a column for each class ({', '.join(class_names[:3])} …), or probs, "
        f"or top_classes and top_probs, or label; it has {', '.join(columns)}."
    )


def _numbers(path: Path, name: str, column: pa.ChunkedArray | pa.Array) -> NDArray[np.float64]:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise InputError(f"{path}: column {name!r} holds {column.type}; it must hold numbers.")
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))  # an empty place becomes NaN


def _lists(path: Path, name: str, table: pa.Table, rows: Rows) -> tuple[Rows, pa.Array]:
    """The length of each row's list, and all their elements."""
    column = table.column(name).combine_chunks()
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(kind(column.type) for kind in kinds):
        raise InputError(f"{path}: column {name!r} holds {column.type}; it must hold a list in every row.")
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64)
    return lengths, pc.list_flatten(column)


def _listed_probs(path: Path, table: pa.Table, rows: Rows, num_classes: int) -> NDArray[np.float64]:
    lengths, values = _lists(path, "probs", table, rows)
    if (lengths != num_classes).any():
        row = int(np.argmax(lengths != num_classes))
        raise InputError(
            f"{path}, row {rows[row]} (counted from 0): probs has {lengths[row]} numbers; "
            f"it must have {num_classes}, one for each class."
        )
    return _numbers(path, "probs", values).reshape(-1, num_classes).copy()


def _classes(path: Path, column: pa.ChunkedArray | pa.Array, rows: Rows, names: pa.Array) -> Rows:
    """The index of each name; `rows` says where each stands in the file."""
    text = column.cast(pa.large_string())
    classes = pc.index_in(text, value_set=names)
    if classes.null_count:
        place = int(np.argmax(classes.is_null().to_numpy(zero_copy_only=False)))
        raise InputError(
            f"{path}, row {rows[place]} (counted from 0): there is no class {text[place].as_py()!r}; "
            f"the classes are {', '.join(names.slice(0, 10).to_pylist())}{' …' if len(names) > 10 else ''}."
        )
    return classes.to_numpy().astype(np.int64)


def _one_hot(classes: Rows, num_classes: int) -> NDArray[np.float64]:
    probs = np.zeros((len(classes), num_classes))
    probs[np.arange(len(classes)), classes] = 1
    return probs


def _top_probs(path: Path, table: pa.Table, rows: Rows, names: pa.Array) -> NDArray[np.float64]:
    num_named, named = _lists(path, "top_classes", table, rows)
    num_values, values = _lists(path, "top_probs", table, rows)
    if (num_named != num_values).any():
        row = int(np.argmax(num_named != num_values))
        raise InputError(
            f"{path}, row {rows[row]} (counted from 0): {num_named[row]} top_classes and {num_values[row]} top_probs; "
            "there must be as many."
        )
    owner = np.repeat(np.arange(len(rows)), num_named)
    classes = _classes(path, named, rows[owner], names)
    times = np.zeros((len(rows), len(names)), np.int16)
    np.add.at(times, (owner, classes), 1)
    if (times > 1).any():
        row, twice = (int(place) for place in np.argwhere(times > 1)[0])
        raise InputError(f"{path}, row {rows[row]} (counted from 0): top_classes names {names[twice].as_py()!r} twice.")
    probs = np.zeros(times.shape)
    probs[owner, classes] = _numbers(path, "top_probs", values)
    # What is not a number spreads nothing: it stays where it is, to be refused by name.
    share = np.nan_to_num(1 - probs.sum(axis=1)).clip(min=0) / np.maximum((times == 0).sum(axis=1), 1)
    if (too_much := share > 1.001 * probs.max(axis=1)).any():
        row = int(np.argmax(too_much))
        raise InputError(
            f"{path}, row {rows[row]} (counted from 0): each class that it does not name would get {share[row]:.3g}, "
            "more than those it names; give more of its probabilities."
        )
    return np.where(times == 0, share[:, None], probs)
