"""The one exception a user is meant to read."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """One sentence naming the file, row or option, what was found and what is allowed.

    The command line prints it and exits with code 2; from Python it is an ordinary ``ValueError``.
    """


def nearest_word(word: str, known: Iterable[str]) -> str | None:
    """The known word that looks most like `word`; None where none does. Whatever hints at a slip of the pen asks here.

    Example:
        >>> nearest_word("txt", ["label", "text"]), nearest_word("colour", ["label", "text"])
        ('text', None)
    """
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1)), None)
