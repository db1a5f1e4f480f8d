"""What each column of files of rows is taken for, in one sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

from overproof.data.wording import listed
from overproof.runs.first_look.columns import ColumnFacts, Family
from overproof.runs.first_look.files import FileFacts

_FEATURES: Mapping[Family, str] = {
    "words": "categories",
    "whole": "numbers",
    "number": "numbers",
    "truth": "true or false",
    "date": "dates",
    "image": "images",
    "other": "of a type that no student reads",
}


def uses(files: Sequence[FileFacts], options: Mapping[str, Any]) -> str:
    """What each column is taken for.

    Args:
        files: Files of rows.
        options: Of their source.

    Example:
        >>> from overproof.data.find_files import Place
        >>> place = Place(name="x", files=(), family="columns")
        >>> facts = [ColumnFacts(name=name, family="words", num_values=9, num_missing=0, num_distinct=3)
        ...          for name in ("key", "city", "queue")]
        >>> file = FileFacts(path="x.csv", named_role=None, said=False, place=place, columns=tuple(facts))
        >>> uses([file], {"id": "key", "label": "queue"})
        "Columns: 'key' id; 'city' categories; 'queue' label."
    """
    found: dict[str, list[str]] = {}
    for each in {column.name: column for file in files for column in file.columns}.values():
        found.setdefault(_use(each, options), []).append(each.name)
    return f"Columns: {'; '.join(f'{listed(names)} {use}' for use, names in found.items())}."


def _use(column: ColumnFacts, options: Mapping[str, Any]) -> str:
    for option in ("label", "id", "group"):
        if options.get(option) == column.name:
            return option
    if column.name in options.get("ignore", ()):
        return "left out"
    if column.name in options.get("where", ()):
        return "chooses the rows"
    inputs = options.get("input")
    if inputs is not None:
        what = "image" if options.get("kind") == "image" else "text"
        return what if column.name in ([inputs] if isinstance(inputs, str) else inputs) else "not read"
    return "categories" if column.name in options.get("categories", ()) else _FEATURES[column.family]
