"""Which column of a table is the label, the input, the id: by its values and its name, or a refusal that asks."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from overproof.answers.names import plain
from overproof.data.columns import is_string
from overproof.data.labels import OFTEN_UNLABELLED
from overproof.data.readers.images import is_encoded
from overproof.data.source import format_of
from overproof.data.wording import listed
from overproof.errors import InputError

Family = Literal["words", "whole", "number", "truth", "date", "image", "other"]
"""What a column holds: strings, whole numbers, other numbers, true or false, points in time, encoded images."""

LABELS = (
    *("label", "labels", "class", "category", "target", "y", "truth", "true_label", "gold", "gold_label"),
    *("annotation", "topic", "intent", "sentiment"),
)
"""Names that a column of labels often has."""
TEXTS = (
    *("text", "body", "message", "content", "review", "review_text", "description", "question", "comment", "sentence"),
    *("abstract", "tweet", "document", "utterance", "query"),
)
"""Names that a column of texts often has."""
_ID = re.compile(r"(.*_)?(id|key|uuid|guid|nr|no|number)")
_GROUP = re.compile(
    r"(patient|author|user|customer|client|thread|conversation|session|speaker|household|subject|account|device)"
    r"(_?(id|key|nr|no|number|name))"
    r"|patient|author|user|customer|client|thread|conversation|session|speaker|household"
)
_GROUP_OF_CODES = re.compile(r"subject|account|device|person|participant|pat|pid|uid|cust|usr")
"""Names of groups where the values are codes; the subject of a letter is a text."""

_CODE = re.compile(
    r"(.*_)?(zip|zip_?code|plz|postal|post_?code|postal_?code|code|area_?code|sku|isbn|ean|phone|tel|fips|icd|iban)"
)
"""Names of columns of digits that are no quantity."""

MAX_CLASSES = 200
"""A column with more different values is taken for a label only where it is named."""
_FEWEST_WORDS = 3
_MANY_CODES = 30
"""A column of so many different codes, each in some rows, may be what rows come from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnFacts:
    """What a column holds.

    Args:
        name: Its name.
        family: Of its values.
        num_values: Rows with a value.
        num_missing: Rows without: null, or a blank string.
        num_distinct: Number of different values.
        mean_words: Words of a string on average; 0 for other values.
        values: The different values as text, where there are at most `MAX_CLASSES`.
        names_images: Whether its strings are names of image files.
        counts_rows: Whether its whole numbers are 0..N-1 or 1..N.
        codes: Whether its strings are single words with a digit, such as `PT-017`.
    """

    name: str
    family: Family
    num_values: int
    num_missing: int
    num_distinct: int
    mean_words: float = 0.0
    values: tuple[str, ...] = ()
    names_images: bool = False
    counts_rows: bool = False
    codes: bool = False

    @property
    def names_somebody(self) -> bool:
        """Whether it is what several rows may come from by its name, such as a customer, and so is no text."""
        return _GROUP.fullmatch(plain(self.name)) is not None

    @property
    def is_code(self) -> bool:
        """Whether its whole numbers are a code by its name, such as a postal code."""
        return self.family == "whole" and _CODE.fullmatch(plain(self.name)) is not None

    @property
    def unique(self) -> bool:
        """Whether every row has a value of its own."""
        return self.num_missing == 0 and self.num_distinct == self.num_values > 0

    @property
    def may_be_label(self) -> bool:
        """Whether it has few short values, each in several rows."""
        few = 2 <= self.num_distinct <= min(MAX_CLASSES, self.num_values / 3)
        return self.family in ("words", "whole", "truth") and few and self.mean_words <= _FEWEST_WORDS + 1

    @property
    def may_be_text(self) -> bool:
        """Whether it has strings of several words that seldom repeat."""
        varied = self.num_distinct > 0.2 * self.num_values
        found = self.family == "words" and not self.names_images and self.mean_words >= _FEWEST_WORDS and varied
        return found and not self.names_somebody

    @property
    def may_be_id(self) -> bool:
        """Whether every row has a whole number or a short string of its own."""
        return self.unique and (self.family == "whole" or (self.family == "words" and self.mean_words <= 1))


def facts_of(name: str, column: pa.ChunkedArray) -> ColumnFacts:
    """What a column holds.

    Args:
        name: Its name.
        column: [N] values.

    Example:
        >>> found = facts_of("kind", pa.chunked_array([["a", "b", "a", "", None]]))
        >>> found.family, found.num_values, found.num_missing, found.values
        ('words', 3, 2, ('a', 'b'))
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    family, words, names_images, codes = _family(column), 0.0, False, False
    present = column.drop_null()
    if family == "words":
        present = present.filter(pc.not_equal(pc.utf8_trim_whitespace(present), ""))
        if len(present):
            words = pc.mean(pc.count_substring_regex(present, r"\S+")).as_py()
            first = present.slice(0, 100).to_pylist()
            names_images = all(format_of(Path(word)) == "picture" for word in first)
            codes = not names_images and all(re.fullmatch(r"[\w.:/-]*\d[\w.:/-]*", word.strip()) for word in first)
    if family == "number" and len(present):
        present = present.filter(pc.is_finite(present))
        if len(present) and pc.all(pc.equal(pc.floor(present), present)).as_py():
            family = "whole"
    ends = pc.min_max(present).as_py() if family == "whole" and len(present) else {}
    num_distinct = pc.count_distinct(present).as_py() if family not in ("image", "other") else len(present)
    values: tuple[str, ...] = ()
    if num_distinct <= MAX_CLASSES and family in ("words", "whole", "truth"):
        values = tuple(sorted(_spelled(value) for value in pc.unique(present).to_pylist()))
    return ColumnFacts(
        name=name,
        family=family,
        num_values=len(present),
        num_missing=len(column) - len(present),
        num_distinct=num_distinct,
        mean_words=words,
        values=values,
        names_images=names_images,
        codes=codes,
        counts_rows=bool(ends) and ends["min"] in (0, 1) and ends["max"] - ends["min"] == num_distinct - 1,
    )


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) else str(value)


def _family(column: pa.ChunkedArray) -> Family:
    kind = column.type
    if is_string(kind):
        return "words"
    if pa.types.is_boolean(kind):
        return "truth"
    if pa.types.is_integer(kind):
        return "whole"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_temporal(kind):
        return "date"
    return "image" if is_encoded(kind) else "other"


def label_of(columns: Sequence[ColumnFacts], answered: Collection[str] = ()) -> tuple[str, str]:
    """The column of labels, and why it is taken for one (empty where its name or the answers say so).

    Args:
        columns: Of a file.
        answered: The classes that a teacher's answers name.

    Raises:
        InputError: None is like one, or several are.
    """
    possible = [each for each in columns if each.may_be_label]
    wanted = {word.strip().casefold() for word in answered}

    def named_by_answers(each: ColumnFacts) -> bool:
        own = {value.strip().casefold() for value in each.values}
        return bool(wanted) and len(own & wanted) >= 0.5 * min(len(own), len(wanted))

    levels = (
        ([each for each in possible if named_by_answers(each)], ""),
        ([each for each in columns if plain(each.name) in LABELS and each.num_distinct > 1], ""),
        ([each for each in possible if each.num_missing], "it has few different values and is empty in some rows"),
        (possible, "it has few different values"),
    )
    for found, why in levels:
        if len(found) == 1:
            return found[0].name, why
        if found:
            # Those with a word for "no label" first, and of these the one with the fewest values.
            found = sorted(found, key=lambda each: (not _marks(each), each.num_distinct if _marks(each) else 0))
            shown = "; ".join(_shown(each) for each in found[:5])
            raise InputError(f"Which column is the label? {shown}: write --label {_quoted(found[0].name)} or another.")
    names = listed(each.name for each in columns)
    raise InputError(
        f"No column looks like a label (2 to {MAX_CLASSES} different values, each in several rows) among {names}: name "
        f"it with --label; if no row has a label yet, label some 100 of them first."
    )


def _marks(column: ColumnFacts) -> bool:
    """Whether one of its values is a word that often means that a row has no label."""
    return any(value.strip().lower() in OFTEN_UNLABELLED for value in column.values)


def _shown(each: ColumnFacts) -> str:
    blank = f", empty in {each.num_missing}" if each.num_missing else ""
    return f"{each.name!r} has {each.num_distinct} different values in {each.num_values} rows{blank}"


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[\w.-]+", name) else repr(name)


def texts_of(columns: Sequence[ColumnFacts]) -> list[ColumnFacts]:
    """The columns that may be the text to read, the likeliest first: by name, then by length.

    Args:
        columns: Without label, id and group.
    """
    found = [each for each in columns if each.may_be_text]
    return sorted(found, key=lambda each: (plain(each.name) not in TEXTS, -each.mean_words))


def id_of(columns: Sequence[ColumnFacts]) -> str | None:
    """The first column that is an id by its name and has a value of its own in every row.

    Args:
        columns: Of a file.
    """
    found = [each for each in columns if each.may_be_id and _ID.fullmatch(plain(each.name))]
    return found[0].name if found else None


def groups_of(columns: Sequence[ColumnFacts]) -> list[ColumnFacts]:
    """The columns that may name what several rows come from, such as a customer: by their names, or as repeated codes.

    Args:
        columns: Without label and id.
    """
    return [
        each
        for each in columns
        if each.family in ("words", "whole") and 1 < each.num_distinct < each.num_values
        if each.names_somebody or _many_codes(each)
    ]


def _many_codes(each: ColumnFacts) -> bool:
    """Whether it has codes, too many for a kind of something, each in some rows; or by its name somebody's."""
    named = _GROUP_OF_CODES.fullmatch(plain(each.name)) is not None
    return (each.codes or (named and each.family == "whole")) and (named or each.num_distinct >= _MANY_CODES)
