"""What files hold: their columns and rows, and which role each has, by its name and by where it has labels."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.compute as pc

from overproof.data import Source, num_bytes
from overproof.data.find_files import Place, find_files
from overproof.data.open_source import open_source
from overproof.data.options import LARGE_BYTES, FileRole
from overproof.data.readers.database import tables_in
from overproof.data.readers.h5ad import columns_of
from overproof.data.readers.image_sets import cifar_labels
from overproof.data.readers.mat_file import mat_variables
from overproof.data.readers.npz import headers_of
from overproof.data.source import format_of
from overproof.data.wording import listed
from overproof.errors import InputError
from overproof.runs.first_look.columns import ColumnFacts, facts_of

_ROLES: dict[FileRole, frozenset[str]] = {
    "pool": frozenset(("pool", "unlabelled", "unlabeled", "unsup", "unannotated", "raw")),
    "test": frozenset(("test", "eval", "evaluation", "holdout", "heldout")),
    "validation": frozenset(("validation", "valid", "val", "dev")),
    "labelled": frozenset(("labelled", "labeled", "annotated", "gold", "train", "training")),
}

NO_CLASS = ("unlabelled", "unlabeled", "unlabelled_images", "pool", "unsup", "unknown")
"""Subfolders of images that are no class."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FileFacts:
    """One of the files that a user names.

    Args:
        path: As it was typed.
        named_role: The role that its name, or the user, says.
        said: Whether the user has said the role.
        place: The files on disk.
        columns: Of files of rows; empty for images and arrays.
        table: Its rows, or the first of them.
        num_rows: All of its rows, images or examples; of arrays 0.
        whole: Whether the table holds all rows.
        query: What of a database they are.
    """

    path: str
    named_role: FileRole | None
    said: bool
    place: Place
    columns: tuple[ColumnFacts, ...] = ()
    table: pa.Table | None = None
    num_rows: int = 0
    whole: bool = True
    query: str | None = None

    def column(self, name: str | None) -> ColumnFacts | None:
        """A column by its name; None where it has none of that name."""
        return next((each for each in self.columns if each.name == name), None)


def role_named(path: str) -> FileRole | None:
    """The role that a file's name says.

    Example:
        >>> role_named("data/test.csv"), role_named("tickets-unlabelled.jsonl.gz"), role_named("tickets.csv")
        ('test', 'pool', None)
    """
    words = set(re.split(r"[^a-z]+", Path(path).name.lower()))
    return next((role for role, names in _ROLES.items() if words & names), None)


def look_at(typed: str, query: str | None = None) -> FileFacts:
    """Open a file, a folder or a glob and look at its columns.

    Args:
        typed: The path, or ROLE=PATH where the user says the role.
        query: What is read of a database; None for all of its only table.

    Raises:
        InputError: It cannot be read.
    """
    before, equals, after = typed.partition("=")
    said = bool(equals) and before in get_args(FileRole) and not Path(typed).exists()
    path, role = (after, before) if said else (typed, role_named(typed))
    place = find_files((path,), "data")
    facts = FileFacts(path=path, named_role=role, said=said, place=place)  # type: ignore[arg-type]  # checked above
    if place.family != "columns":
        return replace(facts, num_rows=len(place.files) if place.family == "pictures" else 0)
    query = _query_of(place, query)
    source = Source(path=path, query=query)
    peek = num_bytes(source, role="data") > LARGE_BYTES
    opened = open_source(source, place, peek=peek)
    names = list(opened.rows[0].columns)
    tables, held, complete = [], 0, True
    for rows in opened.rows:
        for piece in rows.tables(names, 65_536 if peek else None):
            tables.append(piece)
            held += len(piece)
            if peek:
                break
        complete = complete and not peek
    if sum(map(len, tables)) == 0:
        raise InputError(f"{place.name} has no rows; at least one is needed.")
    table = pa.concat_tables(tables, promote_options="permissive")
    return replace(
        facts,
        columns=tuple(facts_of(name, table.column(name)) for name in names),
        table=table,
        num_rows=sum(rows.num_rows for rows in opened.rows) if peek else held,
        whole=complete,
        query=query,
    )


def _query_of(place: Place, query: str | None) -> str | None:
    """The query that is read of a database: that of the user, or all of its only table; None for other files."""
    if format_of(place.files[0]) != "database":
        return None
    if query is None and (tables := tables_in(place.files[0], place.name)):
        if len(tables) > 1:
            raise InputError(
                f"{place.name} has the tables {listed(tables)}: write --query 'SELECT * FROM {tables[0]}'."
            )
        return 'SELECT * FROM "' + tables[0].replace('"', '""') + '"'
    return query


def num_without(files: Sequence[FileFacts], names: Sequence[str]) -> int:
    """How many rows have nothing, or blanks alone, in all of some columns of words.

    Args:
        files: Those with the columns are counted.
        names: The columns.
    """
    num = 0
    for file in files:
        if file.table is None or not set(names) <= set(file.table.column_names):
            continue
        words = [pc.fill_null(file.table.column(name).cast(pa.large_string()), "") for name in names]
        blank = [pc.equal(pc.utf8_trim_whitespace(each), "") for each in words]
        num += pc.sum(functools.reduce(pc.and_, blank)).as_py() or 0
    return num


def label_of_arrays(facts: FileFacts) -> tuple[str | None, str | None]:
    """The arrays of an archive that hold inputs and labels, by their names; None where they cannot be told.

    Args:
        facts: An .npz archive, a MATLAB file, an AnnData file, or a binary file of CIFAR.
    """
    names = names_in(facts)
    labels = [name for name in names if name.lower() in ("y", "label", "labels", "target", "targets", "classes")]
    if format_of(facts.place.files[0]) in ("cifar", "h5ad"):
        return None, (labels[0] if len(labels) == 1 else None)
    others = [name for name in names if name not in labels]
    named = [name for name in others if name.lower() in ("x", "image", "images", "input", "inputs", "data")]
    inputs = others if len(others) == 1 else named
    return (inputs[0] if len(inputs) == 1 else None), (labels[0] if len(labels) == 1 else None)


def names_in(facts: FileFacts) -> list[str]:
    """What may be named as the label in a file of arrays.

    Args:
        facts: As for `label_of_arrays`.
    """
    path, name = facts.place.files[0], facts.place.name
    match format_of(path):
        case "cifar":
            return list(cifar_labels(path, name))
        case "mat":
            return list(mat_variables(path, name))
        case "h5ad":
            return list(columns_of(path, name)[1])
    return list(headers_of(path, name, "numbers and images are allowed"))


def folders_of(facts: FileFacts) -> dict[str, int]:
    """The subfolders of a folder of images with the number of images in each; "" holds those outside of any.

    Args:
        facts: A folder of images.
    """
    counts: dict[str, int] = {}
    for path, root in zip(facts.place.files, facts.place.roots, strict=True):
        inside = path.relative_to(root).parts
        counts[inside[0] if len(inside) > 1 else ""] = counts.get(inside[0] if len(inside) > 1 else "", 0) + 1
    return counts


def roles_of_files(files: Sequence[FileFacts], known: Sequence[tuple[int, int]]) -> dict[FileRole, list[FileFacts]]:
    """The files of each role.

    Args:
        files: Those that the user named.
        known: For each, how many of its rows have a label, and how many have none.

    Raises:
        InputError: Two files with labels in all rows could each be labelled or test examples, or no row has a label.
    """
    roles: dict[FileRole, list[FileFacts]] = {}
    open_ones: list[FileFacts] = []
    for each, (with_label, without) in zip(files, known, strict=True):
        role = each.named_role
        if each.said and role is not None:
            roles.setdefault(role, []).append(each)
        elif with_label == 0:
            roles.setdefault("pool", []).append(each)
        elif role in ("test", "validation"):
            roles.setdefault(role, []).append(each)
        elif without:
            roles.setdefault("all", []).append(each)
        elif role == "labelled":
            roles.setdefault("labelled", []).append(each)
        else:
            open_ones.append(each)
    if len(open_ones) > 1 or (open_ones and "labelled" in roles):
        names = [each.path for each in (*roles.get("labelled", []), *open_ones)]
        raise InputError(
            f"Every row of {listed(names)} has a label, so either may be the test: write labelled={names[0]} "
            f"test={names[1]}."
        )
    if open_ones:
        roles.setdefault("labelled", []).extend(open_ones)
    if "all" in roles and "labelled" in roles and not any(each.said for each in roles["labelled"]):
        # No label may be lost: all rows with one are drawn from the same set.
        roles["all"] = [*roles.pop("labelled"), *roles["all"]]
    return roles
