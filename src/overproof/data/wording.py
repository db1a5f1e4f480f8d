"""Parts of error messages that the whole package shares: lists of values, nearest name, row number, short reason."""

import re
from collections.abc import Iterable, Sequence

from overproof.errors import nearest_word


def listed(values: Iterable[object], *, limit: int = 10) -> str:
    """Quote and join the values, the first `limit` of them by name.

    Example:
        >>> listed(["cat", "dog"])
        "'cat', 'dog'"
        >>> listed("abc", limit=1)
        "'a' and 2 more"
    """
    words = [repr(str(value)) for value in values]
    shown = ", ".join(words[:limit])
    return shown + (f" and {len(words) - limit} more" if len(words) > limit else "")


def nearest(word: str, allowed: Iterable[str]) -> str:
    """ " (nearest: ...)" with the allowed word most similar to `word`; empty if none is similar.

    Example:
        >>> nearest("txt", ["text", "label"])
        " (nearest: 'text')"
    """
    found = nearest_word(word, allowed)
    return "" if found is None else f" (nearest: {found!r})"


def counted(num: int, one: str, many: str = "", *, thousands: str = "") -> str:
    """A number with the words for so many.

    Args:
        num: At least 0.
        one: The words for 1.
        many: The words for all other numbers; by default those for 1 with an s.
        thousands: What separates thousands, as ",".

    Example:
        >>> counted(1, "row"), counted(1200, "row", thousands=","), counted(0, "row has", "rows have")
        ('1 row', '1,200 rows', '0 rows have')
    """
    return f"{num:{thousands}} {one if num == 1 else many or f'{one}s'}"


def told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """The same names, where one that occurs again has its number.

    Example:
        >>> told_apart(["auto", "llm.csv", "auto"])
        ('auto', 'llm.csv', 'auto (2)')
    """
    again = [names[: place + 1].count(name) for place, name in enumerate(names)]
    return tuple(f"{name} ({times})" if times > 1 else name for name, times in zip(names, again, strict=True))


def at_row(row: int) -> str:
    """Row number for a message, counted from 0 as in Arrow and NumPy."""
    return f"row {row} (counting from 0)"


def features_said(files: Sequence[str], odd: Sequence[str]) -> str:
    """What to write where files of LIBSVM reach different features: a feature that a file leaves out is 0 in it.

    Args:
        files: Names of the files.
        odd: The columns that are not in all of them.

    Example:
        >>> features_said(["pool (a.svm)", "test (b.svm)"], ["f8", "f9"])
        '; where features are left out because they are 0, write `num_features: 9` for every file'
    """
    numbers = [int(each[1:]) for each in odd if re.fullmatch(r"f\d+", each)]
    if not numbers or 0 in numbers or not any(".svm" in each or ".libsvm" in each for each in files):
        return ""
    return f"; where features are left out because they are 0, write `num_features: {max(numbers)}` for every file"


def short_type(kind: object) -> str:
    """A type of Arrow for a message, cut where it lists many fields.

    Example:
        >>> short_type("struct<a: int64, b: int64, c: int64, d: int64, e: int64>")
        'struct<a: int64, b: int64, c: int64, d:…'
    """
    words = str(kind)
    return words if len(words) <= 40 else f"{words[:39]}…"


def reason(error: BaseException) -> str:
    """First sentence of a library's error, at most 120 characters, without the full stop."""
    lines = str(error).strip().splitlines()
    words = lines[0].partition(". ")[0].strip().rstrip(".") if lines else ""
    return words[:120] or type(error).__name__
