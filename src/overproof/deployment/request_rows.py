"""The rows of a request as `predict` reads a file of them: fields that may be left out, and refusals of what is wrong.

What a row must hold is decided where files are read; here it is said in the words of a request, which has entries and
fields, and whose sender has no options.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from overproof.data.wording import listed, nearest
from overproof.errors import InputError
from overproof.models import Student, TableEncoder
from overproof.models.date_column import DateColumn
from overproof.models.encoders import PlainTable
from overproof.models.tables import CategoryColumn, EmptyColumn, NumberColumn

_KINDS = {"numbers": "a number", "booleans": "true or false", "strings": "a text", "dates": "a date as text"}
_ADVICE = re.compile(r"(, or set `missing` to .*?|: fill it, .*?| \(name others under `ignore`\)|: write `.*?)(?=\.$)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A field of a row that a student reads.

    Args:
        name: Its name.
        family: What its values are, a key of `_KINDS`; None for any.
        gaps: Whether a value may be missing.
        absent: Whether the field may be left out in all rows.
        numbered: Whether a number is read as the text that it is.
    """

    name: str
    family: str | None
    gaps: bool
    absent: bool
    numbered: bool = False

    def is_text_in(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Whether its values are texts here, of which none is taken for a date.

        Args:
            rows: With this field.
        """
        values = [row[self.name] for row in rows if row[self.name] is not None]
        return self.family == "strings" and bool(values) and all(isinstance(each, str) for each in values)

    def fault(self, value: Any) -> str:
        """What is wrong with a value, in words after "has"; empty where nothing is.

        Args:
            value: Of a JSON object.
        """
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = {
            "numbers": number,
            "booleans": isinstance(value, bool),
            "strings": isinstance(value, str) or (number and self.numbered),
            "dates": isinstance(value, str),
        }
        if value is None or value != value:  # NaN
            return "" if self.gaps else f"no value in field {self.name!r}; the student reads one in every row"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{value} in field {self.name!r}; a number must be finite"
        if isinstance(value, str) and (half := half_character(value)):
            return (
                f"{half} in field {self.name!r}, half of a pair of surrogates, which is no character; write both halves"
            )
        if self.family is not None and not fits[self.family]:
            shown = repr(value)
            shown = shown if len(shown) <= 40 else f"{shown[:40]}…"
            return f"{shown} in field {self.name!r}; the student reads {_KINDS[self.family]} there"
        return ""


def half_character(text: str) -> str:
    """The first half of a surrogate pair in a text that stands alone, as it is written in JSON; empty without one.

    Args:
        text: Any.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"\\u{ord(text[error.start]):04x}"
    return ""


def fields_of(student: Student, inputs: Sequence[str], *, gaps: bool) -> tuple[Field, ...]:
    """The fields that a student reads.

    A number or date that was missing in training may be left out; of categories it is not known whether one was, so
    that the field must be there, and may be null where gaps are allowed.

    Args:
        student: Of texts or a table.
        inputs: The columns of a text.
        gaps: Whether inputs may be missing, as they could in the training data.
    """
    encoder = student.encoder
    if isinstance(encoder, PlainTable):
        return tuple(Field(name=name, family="numbers", gaps=False, absent=False) for name in encoder.columns)
    if not isinstance(encoder, TableEncoder):
        several = len(inputs) > 1
        return tuple(
            Field(name=name, family="strings", gaps=gaps or several, absent=gaps and several) for name in inputs
        )
    found = []
    for each in encoder.columns:
        known = gaps and (each.gaps if isinstance(each, NumberColumn | DateColumn) else True)
        found.append(
            Field(
                name=each.name,
                family=each.family,
                gaps=known,
                absent=known and isinstance(each, NumberColumn | DateColumn | EmptyColumn),
                numbered=isinstance(each, CategoryColumn) and each.numbered,
            )
        )
    return tuple(found)


def completed(rows: Sequence[Mapping[str, Any]], fields: Sequence[Field], key: str | None) -> list[dict[str, Any]]:
    """The rows with the fields that are read, null where no row has one that may be left out.

    Args:
        rows: Values by field.
        fields: Those that the student reads.
        key: The field of ids, which is kept; None without one.

    Raises:
        InputError: No row has a field that must be there, or one is called almost like a field that is left out.
    """
    names = [each.name for each in fields]
    there = {name for row in rows for name in row}
    others = sorted(there - {*names, key})
    for each in fields:
        alike = nearest(each.name, others)
        if each.name not in there and (alike or not each.absent or there.isdisjoint(names)):
            gap = ", null where an entry has no value" if each.gaps else ""
            raise InputError(
                f"No entry of 'rows' has the field {each.name!r}{alike}; the student reads {listed(names)}: send all "
                f"of them{gap}."
            )
    kept = {*names, *([key] if key in there else [])}
    return [{**dict.fromkeys(names), **{name: row[name] for name in row if name in kept}} for row in rows]


def refusal(
    error: InputError, rows: Sequence[Mapping[str, Any]], fields: Sequence[Field], key: str | None, file: str
) -> InputError:
    """The refusal of a file of rows as one of a request.

    Args:
        error: The file's.
        rows: As `completed` gives them.
        fields: Those that the student reads.
        key: The field of ids; None without one.
        file: The name of the file.
    """
    for fault in _faults(rows, fields, key):
        return InputError(fault)
    words = re.sub(rf"^\w+ \([^()]*{re.escape(file)}\)", "The request", str(error))
    return InputError(in_words(_ADVICE.sub("", words)))


def in_words(sentence: str) -> str:
    """A sentence on columns as one on fields.

    Args:
        sentence: It names them as `column 'NAME'`.

    Example:
        >>> in_words("Column 'size' is empty in 2 of 3 rows.")
        "Field 'size' is empty in 2 of 3 rows."
    """
    return re.sub(r"\b([Cc])olumn(s?) (?=')", lambda found: f"{'Ff'[found[1] == 'c']}ield{found[2]} ", sentence)


def _faults(rows: Sequence[Mapping[str, Any]], fields: Sequence[Field], key: str | None) -> Iterator[str]:
    for place, row in enumerate(rows):
        entry = f"Entry {place} of 'rows' (counting from 0)"
        for each in fields:
            if fault := each.fault(row[each.name]):
                yield f"{entry} has {fault}."
        if key is not None and key in row and not row[key] and row[key] != 0:
            yield f"{entry} has no id in field {key!r}; give every entry one, or none."
        elif key is not None and key not in row and any(key in other for other in rows):
            yield f"{entry} has no id in field {key!r}, which other entries have; give every entry one, or none."
