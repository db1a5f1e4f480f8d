"""The rows of a file as questions: which columns the prompt needs, which is the id, and which classes there are."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from overproof.answers.names import DRAWN, INCLUSION
from overproof.answers.tables import as_text
from overproof.data import Source
from overproof.data.ids import text_ids
from overproof.data.open_source import open_source
from overproof.data.wording import listed, nearest
from overproof.errors import InputError
from overproof.runs.first_look.columns import MAX_CLASSES, id_of, label_of, texts_of
from overproof.runs.first_look.files import FileFacts, look_at
from overproof.teachers.endpoint.prompt import Prompt, check_fields
from overproof.teachers.endpoint.request import check_classes_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """What the user has said of a file.

    Args:
        text: The column that `{text}` stands for.
        id: The column of ids.
        label: The column of labels, whose values are the classes.
        classes: The classes, separated by commas or as a JSON list; empty for those of the labels.
    """

    text: str | None = None
    id: str | None = None
    label: str | None = None
    classes: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """The rows of a file, as they are asked.

    Args:
        ids: One a row, all different.
        prompts: One a row; "" where it has no text.
        class_names: K names.
        understood: What was taken for what, in sentences.
        kept: Columns that answers keep: how the rows were drawn, where the file says so.
    """

    ids: tuple[str, ...]
    prompts: tuple[str, ...]
    class_names: tuple[str, ...]
    understood: tuple[str, ...] = field(default=())
    kept: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def rows_of(path: str, prompt: Prompt, columns: Columns, prompt_name: str) -> Rows:
    """The rows of a file as questions.

    Args:
        path: CSV, JSON lines, Parquet, or another file of rows.
        prompt: With fields for its columns.
        columns: What the user has said.
        prompt_name: What to call the prompt in errors.

    Raises:
        InputError: It cannot be read, has no column that the prompt asks for, or ids that occur twice.
    """
    facts, understood = look_at(path), list[str]()
    if facts.table is None:
        raise InputError(f"{path} holds no rows with columns; a table of texts is needed, such as a CSV file.")
    if not facts.whole:
        raise InputError(f"{path} is larger than is read at once; split it, and ask for each part.")
    for option, name in (("text", columns.text), ("id", columns.id), ("label", columns.label)):
        if name is not None and facts.column(name) is None:
            raise InputError(
                f"--{option} {name!r}: {path} has no such column{nearest(name, facts.table.column_names)}; there are "
                f"{listed(facts.table.column_names)}."
            )
    table = _spelled(facts)
    kept = {name: table.column(name).to_pylist() for name in (INCLUSION, DRAWN) if name in table.column_names}
    # How rows were drawn is no label.
    facts = replace(facts, columns=tuple(each for each in facts.columns if each.name not in kept))
    class_names, label = _classes(facts, table, columns, understood)
    sources = _sources(facts, prompt, columns, understood, prompt_name)
    if shown := [field for field, source in sources.items() if source == label]:
        raise InputError(
            f"{prompt_name} shows the model the label ({{{shown[0]}}}): its answers would say nothing about its errors."
        )
    values = [pc.fill_null(as_text(table.column(source)), "").to_pylist() for source in sources.values()]
    rows = [dict(zip(sources, row, strict=True)) for row in zip(*values, strict=True)]
    return Rows(
        ids=_ids(facts, table, sources, columns, understood),
        prompts=tuple(
            prompt.rendered(row, class_names) if all(value.strip() for value in row.values()) else "" for row in rows
        ),
        class_names=class_names,
        understood=tuple(understood),
        kept=kept,
    )


def _spelled(facts: FileFacts) -> pa.Table:
    """All rows, with numbers as they are written: an id 07 is no 7, and a price 1.50 is shown so."""
    assert facts.table is not None
    names = facts.table.column_names
    scalar = [each.name for each in facts.columns if each.family not in ("image", "other")]
    opened = open_source(Source(path=facts.path, kind="table", categories=tuple(scalar)), facts.place)
    pieces = [piece for rows in opened.rows for piece in rows.tables(names)]
    return pa.concat_tables(pieces, promote_options="permissive")


def _classes(
    facts: FileFacts, table: pa.Table, columns: Columns, understood: list[str]
) -> tuple[tuple[str, ...], str | None]:
    """The classes, and the column of labels that they are the values of."""
    if columns.classes:
        names = _split(columns.classes)
        check_classes_of(names)
        return names, columns.label
    name, why = columns.label, ""
    if name is None:
        try:
            name, why = label_of(facts.columns)
        except InputError as error:
            raise InputError(f"{error} Or write the classes: --classes first,second.") from None
    words = {word.strip() for word in as_text(table.column(name)).unique().drop_null().to_pylist()} - {""}
    names = tuple(sorted(words))
    if len(names) > MAX_CLASSES:
        raise InputError(f"Column {name!r} of {facts.path} has {len(names)} different values: write --classes a,b.")
    check_classes_of(names)
    because = f", because {why}" if why else ""
    understood.append(f"The classes are the values of {name!r}{because}: {listed(names)}.")
    return names, name


def _split(text: str) -> tuple[str, ...]:
    if text.lstrip().startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise InputError(f'--classes {text!r} starts as a JSON list and is none; write \'["first", "second"]\'.')
        return tuple(each.strip() for each in found)
    return tuple(each.strip() for each in text.split(","))


def _sources(
    facts: FileFacts, prompt: Prompt, columns: Columns, understood: list[str], prompt_name: str
) -> dict[str, str]:
    """The column that each field of the prompt stands for."""
    names = [each.name for each in facts.columns]
    sources = {field: field for field in prompt.fields}
    if columns.text is not None and "text" not in sources:
        raise InputError(f"--text is what {{text}} stands for, and {prompt_name} has no {{text}}.")
    if columns.text is not None:
        sources["text"] = columns.text
    elif "text" in sources and "text" not in names and (found := texts_of(facts.columns)):
        sources["text"] = found[0].name
        understood.append(f"{{text}} stands for the column {found[0].name!r}; otherwise write --text COLUMN.")
    check_fields(prompt, [*names, *(field for field, source in sources.items() if source in names)], prompt_name)
    return sources


def _ids(
    facts: FileFacts, table: pa.Table, sources: dict[str, str], columns: Columns, understood: list[str]
) -> tuple[str, ...]:
    name = columns.id or id_of(facts.columns)
    alike = [each.name for each in facts.columns if each.may_be_id and each.name not in sources.values()]
    if name is None and len(alike) == 1:
        name = alike[0]
    if name is None:
        if list(sources) != ["text"]:
            raise InputError(f"{facts.path} has no column of ids, and answers are joined by one: name it with --id.")
        understood.append(f"{facts.path} has no column of ids: an answer is joined by the content of its text.")
        return tuple(as_text(text_ids(pc.fill_null(as_text(table.column(sources["text"])), ""))).to_pylist())
    found = as_text(table.column(name)).to_pylist()
    first: dict[str, int] = {}
    for row, key in enumerate(found):
        if key is None or not key.strip():
            raise InputError(f"{facts.path}, row {row} (counted from 0), has no id in column {name!r}; each needs one.")
        if key in first:
            raise InputError(
                f"{facts.path}, rows {first[key]} and {row} (counted from 0), have the same id {key!r} in column "
                f"{name!r}: an id stands in one row only."
            )
        first[key] = row
    if columns.id is None:
        understood.append(f"{name!r} is taken for the id; otherwise write --id COLUMN.")
    return tuple(found)
