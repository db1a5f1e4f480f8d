"""Names that become those of files and folders."""

import re

from overproof.errors import InputError

_FILE_NAME = re.compile(r"\w(?:[\w .+=,()@%-]{0,78}[\w+=()@%-])?")


def check_file_name(name: str, option: str) -> None:
    """Check that a name that becomes a file's or a folder's is safe.

    Args:
        name: The name.
        option: What to call it in errors, quotes included.

    Example:
        >>> check_file_name("wd (cap 2.5)", "'methods.name'")

    Raises:
        InputError: It has other characters, or is too long.
    """
    if not _FILE_NAME.fullmatch(name):
        raise InputError(
            f"Option {option} is {name!r}; it becomes the name of a folder: at most 80 letters, digits, blanks and "
            f"_ . + - = , ( ) @ % are allowed, and it starts and ends with a letter or a digit."
        )
