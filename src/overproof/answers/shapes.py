"""Brings a file of answers, as tools name its columns, to the columns that `overproof.answers.formats` reads.

Columns are renamed and lists opened; nothing is guessed. A column that is an answer by its name and would not be read
is an error: two answers in one row may contradict each other.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from overproof.answers import names
from overproof.answers.formats import LIST_KINDS
from overproof.answers.tables import check_id_column
from overproof.errors import InputError

AnswerFrom = Literal["", "probabilities", "label"]
"""Which of a label and probabilities in one row is the answer; "" raises where they differ."""

_LEFT_OUT = b"overproof.left_out"


def canonical(path: Path, table: pa.Table, id_column: str, class_names: Collection[str]) -> pa.Table:
    """The same answers in columns of known names; the columns that hold none are left out.

    Args:
        path: The file, for errors.
        table: Its content.
        id_column: Its id column.
        class_names: The names of the classes; () where only the file names them.

    Raises:
        InputError: A tool's file that is not read as it is, or a column that is an answer by its name and is not read.
    """
    if twice := sorted({name for name in table.column_names if table.column_names.count(name) > 1}):
        raise InputError(f"{path} has more than one column called {_listed(twice)}; every column needs its own name.")
    check_id_column(path, table, id_column)
    if (
        "labels" in table.column_names
        and "label" not in table.column_names
        and _is_text(table.schema.field("labels").type)
    ):
        # Lists in cells of a CSV file.
        table = _renamed(table, "labels", "label")
    table = _accepted(path, table)
    table = _opened_objects(path, table, id_column)
    table = _class_columns(table, class_names)
    table = _paired_lists(path, table, id_column)
    table = _single_labels(path, table)
    table = _one_label_and_number(path, table, id_column, class_names)
    table = _votes_cast(table, class_names)
    table = _without_abstentions(table, class_names)
    _refuse_unread(path, table, id_column, class_names)
    return table


def left_out(table: pa.Table) -> str:
    """Why rows of the file are no answers, in brackets for an error; empty where all are."""
    return "".join(f" ({no_answers(num, why)})" for why, num in reasons_left_out(table).items())


def no_answers(num: int, why: str) -> str:
    """That some rows of a file are no answers, in words.

    Args:
        num: How many.
        why: What they are.
    """
    return f"1 row of the file is no answer: {why}" if num == 1 else f"{num} rows of the file are no answers: {why}"


def reasons_left_out(table: pa.Table) -> dict[str, int]:
    """How many rows of the file are no answers, by why."""
    found: dict[str, int] = json.loads((table.schema.metadata or {}).get(_LEFT_OUT, b"{}"))
    return found


def without(table: pa.Table, num_left: int, why: str) -> pa.Table:
    """A table that knows how many rows were left out of it.

    Args:
        table: What is left.
        num_left: How many were left out.
        why: What they are, in words.
    """
    if not num_left:
        return table
    known = reasons_left_out(table)
    content = json.dumps({**known, why: known.get(why, 0) + num_left})
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _LEFT_OUT: content.encode()})


def label_beside(table: pa.Table, class_names: Collection[str]) -> bool:
    """Whether a label stands beside probabilities in the rows of a canonical table."""
    columns = set(table.column_names)
    if not class_names or "label" not in columns or "label" in class_names or "annotator" in columns:
        return False
    return bool(set(class_names) <= columns or {"probs", "logprobs", "top_classes"} & columns)


def is_unnamed_list(table: pa.Table, class_names: Collection[str]) -> bool:
    """Whether the classes of a canonical table's probabilities follow from their order in a list alone."""
    if set(class_names) <= set(table.column_names):
        return False
    found = [name for name in ("probs", "logprobs") if name in table.column_names]
    return bool(found) and _is_list(table.schema.field(found[0]).type)


# Tools ----------------------------------------------------------------------------------------------------------------


def _accepted(path: Path, table: pa.Table) -> pa.Table:
    """Prodigy's rows that were accepted, the chosen options as `label`."""
    if "answer" not in table.column_names or not _is_text(table.schema.field("answer").type):
        return table
    verdict = table.column("answer").cast(pa.large_string())
    if not set(pc.unique(verdict).drop_null().to_pylist()) <= {"accept", "reject", "ignore"}:
        return table
    if not {"accept", "label"} & set(table.column_names):
        raise InputError(
            f"{path} has `answer` accept, reject or ignore, as Prodigy writes it, and no `accept` or `label` that it "
            f"is about."
        )
    kept = pc.fill_null(pc.equal(verdict, "accept"), False)
    num_left = len(table) - (pc.sum(kept).as_py() or 0)
    table = table.filter(kept).drop_columns(["answer"])
    if "accept" in table.column_names and "label" not in table.column_names:
        table = _renamed(table, "accept", "label")
    return without(table, num_left, "their `answer` is reject or ignore")


def _votes_cast(table: pa.Table, class_names: Collection[str]) -> pa.Table:
    """Rows of annotators with a label: Label Studio also writes those that were skipped or never opened."""
    columns = set(table.column_names)
    if not {"label", "annotator"} <= columns or {"probs", "logprobs", "top_classes"} & columns:
        return table
    if class_names and set(class_names) <= columns:
        return table
    cast = pc.fill_null(pc.not_equal(table.column("label").cast(pa.large_string()), ""), False)
    num_left = len(table) - (pc.sum(cast).as_py() or 0)
    return without(table.filter(cast), num_left, "their `label` is empty")


def _without_abstentions(table: pa.Table, class_names: Collection[str]) -> pa.Table:
    """Rows that have a class and not -1 as their label: beside an abstention Snorkel writes the class balance."""
    if "-1" in class_names or not label_beside(table, class_names) or _is_nested(table, "label"):
        return table
    abstains = pc.fill_null(pc.is_in(table.column("label").cast(pa.large_string()), pa.array(["-1", "-1.0"])), False)
    num_left = pc.sum(abstains).as_py() or 0
    return without(table.filter(pc.invert(abstains)), num_left, "their `label` is -1, an abstention")


def _class_columns(table: pa.Table, class_names: Collection[str]) -> pa.Table:
    """H2O calls the probability of a class that is a whole number `p` and the number, beside a column `predict`."""
    columns = table.column_names
    if "predict" not in columns or not class_names or set(class_names) <= set(columns):
        return table
    spelled = {name if not _is_whole(name) else f"p{name}": name for name in class_names}
    if not set(spelled) <= set(columns):
        return table
    return renamed(table, spelled)


def _opened_objects(path: Path, table: pa.Table, id_column: str) -> pa.Table:
    """A list of objects {"label", "score"}, as Hugging Face pipelines return it with `top_k`, as two lists."""
    for column in table.column_names:
        kind = table.schema.field(column).type
        if column == id_column or not _is_list(kind) or not pa.types.is_struct(kind.value_type):
            continue
        fields = {names.plain(field.name): field.name for field in kind.value_type}
        word = next((fields[name] for name in names.LABELS if name in fields), None)
        number = next((fields[name] for name in (*names.CONFIDENCES, *names.LOGARITHMS) if name in fields), None)
        if word is None or number is None:
            continue
        lists = table.column(column).combine_chunks()
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
        starts = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
        objects = pc.list_flatten(lists)
        logarithms = names.plain(number) in names.LOGARITHMS
        table = table.drop_columns([column])
        for name, field in (("top_classes", word), ("top_logprobs" if logarithms else "top_probs", number)):
            if name in table.column_names:
                raise InputError(f"{path} has {name} beside {column}, a list of objects; one of them is the answer.")
            table = table.append_column(name, pa.ListArray.from_arrays(starts, pc.struct_field(objects, field)))
    return table


# Lists ----------------------------------------------------------------------------------------------------------------


def _paired_lists(path: Path, table: pa.Table, id_column: str) -> pa.Table:
    """A list of class names beside a list of numbers, whatever they are called, as `top_classes` and `top_...`."""
    words = _columns(table, names.NAME_LISTS, of=_is_text, without=id_column)
    numbers = _columns(table, (*names.NUMBER_LISTS, *names.LOGARITHM_LISTS), of=_is_number, without=id_column)
    if len(words) > 1 or len(numbers) > 1:
        many = words if len(words) > 1 else numbers
        raise InputError(f"{path} has the lists {_listed(many)}; keep the one that is the answer.")
    if not numbers:
        _refuse_ranking(path, table, words)
        return table
    logarithms = names.plain(numbers[0]) in names.LOGARITHM_LISTS
    if words:
        table = _renamed(table, words[0], "top_classes")
        return _renamed(table, numbers[0], "top_logprobs" if logarithms else "top_probs")
    if names.plain(numbers[0]) in ("scores", "top_scores", "top_probs", "top_logprobs"):
        raise InputError(
            f"{path} has the list {numbers[0]!r} and no list of the classes in its order (`labels`); without one only "
            f"`probs` and `logprobs` are read, in the order of the classes."
        )
    return _renamed(table, numbers[0], "logprobs" if logarithms else "probs")


def _refuse_ranking(path: Path, table: pa.Table, words: Sequence[str]) -> None:
    """Lists that each name all classes once are no votes."""
    if list(words) != ["labels"] or len(table) < 3:
        return
    lists = table.column("labels").combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    values = pc.list_flatten(lists).dictionary_encode()
    num_classes = len(values.dictionary)
    if num_classes < 2 or not (lengths == num_classes).all() or values.null_count:
        return
    in_rows = np.sort(values.indices.to_numpy().reshape(len(lists), num_classes), axis=1)
    if (in_rows == np.arange(num_classes)).all():
        raise InputError(
            f"{path}: labels names each of {num_classes} classes once in every row, so it is a ranking and no votes; "
            f"give the numbers too (`scores`), or the first of them as `label`."
        )


# One label and one number ---------------------------------------------------------------------------------------------


def _single_labels(path: Path, table: pa.Table) -> pa.Table:
    """`label` without the list around it that doccano and Prodigy write."""
    if "label" not in table.column_names or not _is_list(table.schema.field("label").type):
        return table
    lists = table.column("label").combine_chunks()
    if not (_is_text(lists.type.value_type) or pa.types.is_null(lists.type.value_type)):
        raise InputError(f"{path}: label holds lists of {lists.type.value_type}; one class name in each is allowed.")
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    if (lengths > 1).any():
        row = int(np.argmax(lengths > 1))
        raise InputError(
            f"{path}, row {row} (counted from 0): label names {lengths[row]} classes; one is allowed; for "
            f"votes of annotators, or all classes that may hold, write `columns: {{labels: label}}` under `teacher`."
        )
    starts = np.cumsum(lengths) - lengths
    place = pa.array(starts.astype(np.int64), mask=lengths == 0)
    column = pc.list_flatten(lists).cast(pa.large_string()).take(place)
    return table.set_column(table.column_names.index("label"), "label", column)


def _one_label_and_number(path: Path, table: pa.Table, id_column: str, class_names: Collection[str]) -> pa.Table:
    """Other names of `label`, `confidence` and `logprob` as these."""
    free = [name for name in table.column_names if name != id_column and name not in class_names]
    words = [name for name in free if names.plain(name) in names.LABELS and not _is_nested(table, name)]
    if words and "label" not in table.column_names:
        if len(words) > 1:
            raise InputError(f"{path} has the columns {_listed(words)}; name the one that is the answer `label`.")
        table = _renamed(table, words[0], "label")
    if "label" not in table.column_names or "label" in class_names:
        return table
    numbers = [
        name
        for name in free
        if names.plain(name) in (*names.CONFIDENCES, *names.LOGARITHMS) and _is_number(table.schema.field(name).type)
    ]
    if len(numbers) > 1:
        raise InputError(
            f"{path} has the columns {_listed(numbers)} beside label; keep the one that is its probability."
        )
    if numbers:
        table = _renamed(table, numbers[0], "logprob" if names.plain(numbers[0]) in names.LOGARITHMS else "confidence")
    return table


def _refuse_unread(path: Path, table: pa.Table, id_column: str, class_names: Collection[str]) -> None:
    columns = table.column_names
    read, what = _read_columns(columns, class_names)
    others = [name for name in columns if name not in read and name not in (id_column, *names.NOT_READ)]
    spelled = _spelled_by_class(table, others, class_names)
    unread = [name for name in others if names.is_answer(name) or name in spelled]
    if unread and read:
        raise InputError(
            f"{path} has {_listed(unread)} beside {what}, and only one of them can be the answer; leave out what is "
            f"not, or name it as what it is (such as `true_class`)."
        )


def _read_columns(columns: Sequence[str], class_names: Collection[str]) -> tuple[set[str], str]:
    """The columns that `formats` reads, and what to call them."""
    present = set(columns)
    if class_names and set(class_names) <= present:
        return {*class_names, "label", "confidence"}, "a column for each class"
    for fullest in (("probs",), ("logprobs",), ("top_classes", "top_probs"), ("top_classes", "top_logprobs")):
        if set(fullest) <= present:
            return {*fullest, "label", "confidence"}, " and ".join(fullest)
    if "labels" in present:
        return {"labels"}, "labels"
    if {"label", "annotator"} <= present:
        return {"label"}, "label and annotator"
    for number in ("confidence", "logprob"):
        if {"label", number} <= present:
            return {"label", number}, f"label and {number}"
    return ({"label"}, "label") if "label" in present else (set(), "")


def _spelled_by_class(table: pa.Table, others: Sequence[str], class_names: Collection[str]) -> set[str]:
    """Columns of numbers of which there is one for each class, called by it and something else (`cal_p0`, `cal_p1`)."""
    numbers = [name for name in others if _is_number(table.schema.field(name).type)]
    found: set[str] = set()
    for each in class_names:
        ends = tuple(f"{mark}{each}" for mark in ("_", "-", ".", " ", "_p", ":", "="))
        own = [name for name in numbers if name.endswith(ends) or name == f"p{each}"]
        if not own:
            return set()
        found |= set(own)
    return found


# Columns --------------------------------------------------------------------------------------------------------------


def _columns(table: pa.Table, known: Sequence[str], *, of: object, without: str) -> list[str]:
    """The columns of lists of a kind that have one of these names."""
    assert callable(of)
    return [
        field.name
        for field in table.schema
        if field.name != without
        and names.plain(field.name) in known
        and _is_list(field.type)
        and of(field.type.value_type)
    ]


def _renamed(table: pa.Table, old: str, new: str) -> pa.Table:
    return renamed(table, {old: new})


def renamed(table: pa.Table, new: Mapping[str, str]) -> pa.Table:
    """A table whose columns are called otherwise; what it knows of rows that were left out stays.

    Args:
        table: Any.
        new: New names by old ones.
    """
    names_now = [new.get(name, name) for name in table.column_names]
    return table.rename_columns(names_now).replace_schema_metadata(table.schema.metadata)


def _is_list(kind: pa.DataType) -> bool:
    return any(check(kind) for check in LIST_KINDS)


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_nested(table: pa.Table, name: str) -> bool:
    return bool(pa.types.is_nested(table.schema.field(name).type))


def _is_whole(name: str) -> bool:
    return name.removeprefix("-").isdigit()


def _listed(columns: Sequence[str]) -> str:
    return " and ".join(repr(name) for name in columns)
