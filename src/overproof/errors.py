"""The exceptions a user is meant to read, and text from files as it may be shown."""

import difflib
import errno
import re
from collections.abc import Iterable

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a full disk, an exhausted quota, and a file above the size that is allowed."""


class InputError(ValueError):
    """One sentence naming the file, row or option, what was found and what is allowed.

    The command line prints it and exits with code 2; from Python it is an ordinary ``ValueError``.
    """


class NotFiniteError(InputError, FloatingPointError):
    """A number that should be finite is not: a loss, a weight or a prediction of a training that diverged."""


class ClusterError(RuntimeError):
    """A cluster failed, and the same command may succeed later: one sentence, and exit code 1."""


def nearest_word(word: str, known: Iterable[str]) -> str | None:
    """The known word most similar to `word`; None if none is similar. All hints at spelling mistakes are made here.

    Example:
        >>> nearest_word("txt", ["label", "text"]), nearest_word("colour", ["label", "text"])
        ('text', None)
    """
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1)), None)


def suggest(word: str, known: Iterable[str]) -> str:
    """The end of an error message: `did you mean 'slam'` if a known name is similar, else the list of all names."""
    known = sorted(known)
    nearest = nearest_word(word, known)
    return f"choose from {', '.join(known)}" if nearest is None else f"did you mean {nearest!r}"


CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys or cannot print: control characters other than tab and line feed, marks that reverse the
direction of writing, and halves of surrogate pairs."""


def visible(text: str) -> str:
    r"""Text with control characters as escapes, so that a terminal or a page shows them and does not obey them.

    Example:
        >>> print(visible("red\x1b[31m"))
        red\x1b[31m
    """
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
