"""Parts of error messages that the whole package shares: lists of values, nearest name, row number, short reason."""

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


def reason(error: BaseException) -> str:
    """First sentence of a library's error, at most 120 characters, without the full stop."""
    lines = str(error).strip().splitlines()
    words = lines[0].partition(". ")[0].strip().rstrip(".") if lines else ""
    return words[:120] or type(error).__name__
