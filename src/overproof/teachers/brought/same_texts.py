"""Whether the ids of a file of answers are those of the data: texts that stand beside an id must not be another's."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from overproof.answers.files import ParsedFiles
from overproof.answers.tables import as_text
from overproof.data import Examples
from overproof.errors import InputError

_TEXTS = ("text", "sequence", "sentence", "document", "input")
"""Columns of a file of answers that hold what was answered."""

FEWEST, MOST_SHARE = 2, 0.1
"""So many texts, and this share of those that are compared, must be another example's."""


def check_texts(
    paths: Sequence[str], parties: Mapping[str, Examples], class_names: tuple[str, ...], files: ParsedFiles
) -> None:
    """Reject files whose ids join answers to the texts of other examples, as those do that a tool counts itself.

    Only texts that are known word for word count: that of a row is another example's, and not its own.

    Args:
        paths: The files.
        parties: Examples by role.
        class_names: The run's.
        files: Cache of the files' content.

    Raises:
        InputError: They do.
    """
    known = [each for each in parties.values() if each.kind == "text" and each.mapped is None and each.keys is not None]
    if not known or files.aligned is not None:
        return
    keys = pa.concat_arrays([as_text(each.keys) for each in known if each.keys is not None])
    texts = pa.concat_arrays([pc.utf8_trim_whitespace(each.inputs) for each in known])
    for path in map(Path, paths):
        table = files.table(path, "id", class_names)
        name = next((each for each in _TEXTS if each in table.column_names and each not in class_names), None)
        if name is None or "id" not in table.column_names or not _is_text(table.schema.field(name).type):
            continue
        own = pc.utf8_trim_whitespace(table.column(name).cast(pa.large_string()).combine_chunks())
        place = pc.index_in(as_text(table.column("id")), value_set=keys)
        # A row that no example has, or with a text that no example has, says nothing.
        compared = pc.and_(pc.is_valid(place), pc.is_in(own, value_set=texts, skip_nulls=True))
        differ = pc.and_(compared, pc.fill_null(pc.not_equal(own, texts.take(place)), False))
        num, num_compared = pc.sum(differ).as_py() or 0, pc.sum(compared).as_py() or 0
        if num >= FEWEST and num > MOST_SHARE * num_compared:
            row = pc.index(differ, True).as_py()
            key = table.column("id")[row].as_py()
            raise InputError(
                f"{path}: {num} of {num_compared} answers stand beside the text of another example than the one "
                f"whose id they have; the first is row {row} (counted from 0), id {key!r}. Its ids "
                f"are not those of the data; name the column that is, `columns: {{id: …}}` under `teacher`."
            )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
