"""A JSON file that is one list of objects, as one object a line."""

import json
from pathlib import Path

from overproof.data.readers.text_files import first_lines
from overproof.data.wording import at_row, reason
from overproof.errors import InputError


def is_json_list(path: Path, name: str) -> bool:
    """Whether a file starts as a list.

    Args:
        path: The file, also compressed.
        name: Name of the file in error messages.
    """
    return starts_as_list(first_lines(path, name, 4096)[0])


def starts_as_list(data: bytes) -> bool:
    """Whether text starts as a JSON list.

    Example:
        >>> starts_as_list(b' [{"a": 1}]'), starts_as_list(b'{"a": [1]}')
        (True, False)
    """
    return data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def lines_of_list(data: bytes, name: str) -> bytes:
    """The objects of a list, one a line.

    Args:
        data: The file's bytes.
        name: Name of the file in error messages.

    Example:
        >>> lines_of_list(b'[{"a": 1}, {"a": 2.5}]', "a.json")
        b'{"a": 1}\\n{"a": 2.5}\\n'

    Raises:
        InputError: It is damaged, or one of its values is no object.
    """
    try:
        rows = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} starts as a JSON list and is damaged: {reason(error)}.") from None
    odd = next((row for row, value in enumerate(rows) if not isinstance(value, dict)), None)
    if odd is not None:
        raise InputError(
            f"{name} is a JSON list with a {type(rows[odd]).__name__} in {at_row(odd)}; an object for each row is "
            f"needed."
        )
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
