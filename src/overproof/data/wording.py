"""Turns of phrase that the errors of this package share: where, what was found, what is allowed."""

from collections.abc import Iterable

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
    """Point to the allowed word that looks most like `word`, or say nothing where none does.

    Example:
        >>> nearest("txt", ["text", "label"])
        " (nearest: 'text')"
    """
    found = nearest_word(word, allowed)
    return "" if found is None else f" (nearest: {found!r})"


def at_row(row: int) -> str:
    """Name a row as every message does: counted from 0, as Arrow and NumPy do, and saying so."""
    return f"row {row} (counting from 0)"


def reason(error: BaseException) -> str:
    """The gist of a library's error: its first sentence, short, without a full stop."""
    lines = str(error).strip().splitlines()
    words = lines[0].partition(". ")[0].strip().rstrip(".") if lines else ""
    return words[:120] or type(error).__name__
