"""Several classes in one cell of a text file of answers: `billing;login`, `a, b`, `["a", "b"]`."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from overproof.answers.words import readings

_MARKS = (";", r"\|", r"[\r\n]+", "\t", ",", "/", r"\+", "&")
_ANY = "|".join((*_MARKS, r"\band\b", r"\bor\b"))
"""What stands between two classes."""
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_BRACKETS = {"[": "]", "(": ")", "{": "}"}


def classes_in_cells(
    words: Iterable[str], class_names: Sequence[str], aliases: Mapping[str, str]
) -> dict[str, tuple[str | None, ...]]:
    """The classes that cells list, for those words that are a list.

    In brackets whatever stands there is a list, None for what is no class. Without brackets a cell is one if marks
    such as `;`, `,`, `|` or `/` divide it into two parts or more that all mean a class.

    Args:
        words: Different ones, none of which means a class.
        class_names: K names.
        aliases: Classes by the words that mean them.

    Example:
        >>> classes_in_cells(["cat;Dog", "['cat', 'none']", "cat or so", "[]"], ["cat", "dog"], {})
        {'cat;Dog': ('cat', 'dog'), "['cat', 'none']": ('cat', None), '[]': ()}
    """
    found: dict[str, tuple[str | None, ...]] = {}
    for word in words:
        inside = _inside(word)
        if inside is not None:
            known, _ = readings(inside, class_names, aliases)
            found[word] = tuple(known.get(part) for part in inside)
            continue
        for parts in _divided(word):
            known, none = readings(parts, class_names, aliases)
            if not none:
                found[word] = tuple(known[part] for part in parts)
                break
    return found


def without_lists(names: Sequence[str]) -> tuple[str, ...]:
    """Names without those that list others of them.

    Args:
        names: Different ones.

    Example:
        >>> without_lists(("cat", "cat;dog", "dog"))
        ('cat', 'dog')
    """

    def lists_others(name: str) -> bool:
        others = set(names) - {name}
        inside = _inside(name)
        divided = [inside] if inside is not None else _divided(name)
        return any(set(parts) <= others for parts in divided)

    return tuple(name for name in names if not lists_others(name))


def _inside(word: str) -> list[str] | None:
    """What brackets hold, None without brackets."""
    text = word.strip()
    if len(text) < 2 or _BRACKETS.get(text[0]) != text[-1]:
        return None
    with suppress(ValueError, RecursionError):
        read = json.loads(text)
        if isinstance(read, list) and all(isinstance(part, str | int | float | None) for part in read):
            return ["" if part is None else str(part) for part in read]
    quoted = [one or other for one, other in _QUOTED.findall(text)]
    parts = quoted or [part.strip() for part in re.split("[,;|]", text[1:-1])]
    return [part for part in parts if part]


def _divided(word: str) -> Iterator[list[str]]:
    for mark in (*_MARKS, _ANY):
        parts = [part.strip() for part in re.split(mark, word)]
        parts = [part for part in parts if part]
        if len(parts) > 1:
            yield parts
