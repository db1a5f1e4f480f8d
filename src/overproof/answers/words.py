"""The words of a teacher that names classes: written otherwise than the class, by another name, or no class at all."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from overproof.errors import InputError

_AROUND = " \t\r\n\"'`.,;:"
"""What language models write around a class."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Spelling:
    """How the words of a file of answers are read.

    Args:
        words: [N], where a row names no class what it names instead, "" for nothing; null where it names one. None for
            a file whose rows name no single class.
        taken: How many rows with a word are read as a class of another spelling, by (word, class).
        cast_out: How many votes that name no class are left out, by word.
    """

    words: pa.Array | None = None
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)
    cast_out: Counter[str] = field(default_factory=Counter)

    def sentences(self, name: str) -> list[str]:
        """What is to be known of a file.

        Args:
            name: What to call it.
        """
        found = []
        if self.taken:
            listed = _first(f"{word!r} as {each!r} ({num})" for (word, each), num in ranked(self.taken))
            found.append(f"{name}: {self.taken.total()} answers spell a class otherwise and are read as it: {listed}.")
        if self.cast_out:
            listed = counted_words(self.cast_out)
            found.append(f"{name}: {self.cast_out.total()} votes name no class and are left out: {listed}.")
        return found


def plain_word(word: str) -> str:
    """A word without case, and without blanks, quotes and full stops around it.

    Example:
        >>> plain_word(' "Billing." ')
        'billing'
    """
    return word.strip(_AROUND).casefold()


def readings(
    words: Sequence[str], class_names: Sequence[str], aliases: Mapping[str, str]
) -> tuple[dict[str, str], set[str]]:
    """The class that each word means, and the words that mean none.

    A class is meant by its name, by an alias, or by a word that differs from one name alone in case and in blanks,
    quotes and full stops around it.

    Args:
        words: Different ones.
        class_names: K names.
        aliases: Classes by the words that mean them.

    Raises:
        InputError: An alias means no class.

    Example:
        >>> readings(["cat", "Dog ", "hound", "unknown"], ["cat", "dog"], {"hound": "dog"})
        ({'cat': 'cat', 'Dog ': 'dog', 'hound': 'dog'}, {'unknown'})
    """
    for alias, name in aliases.items():
        if name not in class_names:
            raise InputError(
                f"Option 'teacher.aliases' reads {alias!r} as {name!r}, which is no class; the classes are "
                f"{_first(map(repr, class_names), 10)}."
            )
    near: dict[str, set[str]] = {}
    for name in class_names:
        near.setdefault(plain_word(name), set()).add(name)
    for alias, name in aliases.items():
        near.setdefault(plain_word(alias), set()).add(name)
    found, none = {}, set()
    for word in words:
        meant = (
            {word} if word in class_names else {aliases[word]} if word in aliases else near.get(plain_word(word), ())
        )
        if len(meant) == 1:
            found[word] = next(iter(meant))
        else:
            none.add(word)
    return found, none


def spelled(table: pa.Table, class_names: tuple[str, ...], aliases: Mapping[str, str]) -> tuple[pa.Table, Spelling]:
    """A canonical table whose labels are class names, null where a row names none; votes that name none are left out.

    Args:
        table: As `overproof.answers.shapes.canonical` makes it.
        class_names: K names; without any nothing is changed.
        aliases: Classes by the words that mean them.

    Raises:
        InputError: An alias means no class.
    """
    columns = set(table.column_names)
    full = {"probs", "logprobs", "top_classes", "labels"} & columns or set(class_names) <= columns
    if not class_names or full or "label" not in columns or pa.types.is_nested(table.schema.field("label").type):
        # Aliases are checked nevertheless.
        readings((), class_names or tuple(aliases.values()), aliases)
        return table, Spelling()
    given = pc.fill_null(table.column("label").cast(pa.large_string()), "")
    given = given.combine_chunks() if isinstance(given, pa.ChunkedArray) else given
    counts = {each["values"]: each["counts"] for each in pc.value_counts(given).to_pylist()}
    found, none = readings(list(counts), class_names, aliases)
    taken = Counter({(word, name): counts[word] for word, name in found.items() if word != name})
    if not taken and not none:
        return table, Spelling(words=None if "annotator" in columns else pa.nulls(len(table), pa.large_string()))
    names = pa.array([found.get(word) for word in counts], pa.large_string())
    label = names.take(pc.index_in(given, value_set=pa.array(list(counts), pa.large_string())))
    table = table.set_column(table.column_names.index("label"), "label", label)
    if "annotator" in columns:
        cast_out = Counter({word: counts[word] for word in none})
        return table.filter(pc.is_valid(label)), Spelling(taken=taken, cast_out=cast_out)
    words = pc.if_else(pc.is_null(label), given, pa.scalar(None, pa.large_string()))
    return table, Spelling(words=words, taken=taken)


def ranked(counts: Counter[Any]) -> list[tuple[Any, int]]:
    """Counts, the largest first, and of equal ones by name."""
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def counted_words(counts: Counter[str]) -> str:
    """Words with how often they occur, the most frequent first; "" is an empty answer.

    Example:
        >>> counted_words(Counter({"unknown": 3, "": 1}))
        "'unknown' (3), empty (1)"
    """
    return _first(f"{repr(word) if word else 'empty'} ({num})" for word, num in ranked(counts))


def _first(words: Iterable[str], limit: int = 8) -> str:
    found = list(words)
    return ", ".join(found[:limit]) + (f" and {len(found) - limit} more" if len(found) > limit else "")
