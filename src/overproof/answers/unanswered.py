"""Which examples have no answer in any file, and why: no row, an empty one, or a word that is no class."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from overproof.answers.parsed import ParsedFiles
from overproof.answers.tables import as_text, ids_of
from overproof.answers.words import counted_words
from overproof.storage.shard import Ids

Unanswered = Literal["refuse", "drop", "uniform"]
"""What happens to examples of labelled, pool and validation without an answer."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Lacking:
    """The examples without an answer.

    Args:
        mask: [N], true where there is none.
        words: How many of them have which word instead; "" for an empty answer.
        num_without_row: How many have no row.
    """

    mask: Bool[np.ndarray, "N"]
    words: Counter[str]
    num_without_row: int

    @property
    def num(self) -> int:
        """How many there are."""
        return int(self.mask.sum())

    def reasons(self) -> str:
        """What they have instead, in brackets; empty where all of them have no row."""
        if not self.words:
            return ""
        without = f", {self.num_without_row} have no row" if self.num_without_row else ""
        return f" ({counted_words(self.words)}{without})"


def lacking(
    paths: Sequence[str | Path],
    join: pa.Array | pa.ChunkedArray | Ids,
    class_names: tuple[str, ...],
    *,
    id_column: str = "id",
    parsed: ParsedFiles | None = None,
) -> Lacking:
    """Which examples have no answer in any of the files.

    Args:
        paths: Files of answers.
        join: [N], what to look up in their id columns, as for `overproof.answers.files.read_answers`.
        class_names: K names.
        id_column: The files' id column.
        parsed: Cache of the files' content.

    Raises:
        InputError: A file cannot be read.
    """
    files, wanted = parsed or ParsedFiles(), as_text(join)
    missing = np.ones(len(wanted), bool)
    instead = pa.nulls(len(wanted), pa.large_string())
    for each in map(Path, paths):
        table = files.canonical(each, id_column, class_names)
        words = files.spelling(each, id_column, class_names).words
        ids = ids_of(each, table, id_column)
        if words is not None and words.null_count < len(words):
            named = pc.index_in(wanted, value_set=ids.filter(pc.is_valid(words)))
            instead = pc.coalesce(instead, words.filter(pc.is_valid(words)).take(named))
            ids = ids.filter(pc.is_null(words))
        missing &= ~pc.is_in(wanted, value_set=ids).to_numpy(zero_copy_only=False)
    found = instead.filter(pa.array(missing))
    return Lacking(
        mask=missing, words=Counter(found.drop_null().to_pylist()), num_without_row=len(found) - len(found.drop_null())
    )


def other_ids(table: pa.Table, id_column: str, join: object) -> str:
    """What to do where no id of a file is one of the data's.

    Args:
        table: The file's.
        id_column: Its column of ids.
        join: Of the examples, as for `overproof.answers.files.read_answers`.
    """
    first = as_text(table.column(id_column).slice(0, 1)).to_pylist() if id_column in table.column_names else []
    like = f"The file's ids are like {first[0]!r}; " if first else ""
    by_content = not isinstance(join, pa.Array | pa.ChunkedArray)
    return like + (
        "the data name no id column, so that theirs are made of the content: write `id: COLUMN` beside the data's path."
        if by_content
        else "is the data's id column the one that they are from?"
    )
