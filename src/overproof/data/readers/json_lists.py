"""A JSON file that is one list of objects, as one object a line."""

import json
import re
from pathlib import Path

from overproof.data.readers.text_files import check_utf8, first_lines
from overproof.data.wording import at_row, reason
from overproof.errors import InputError

_DECODER = json.JSONDecoder()
_NO_SPACE = re.compile(r"[^ \t\r\n,]")
_BREAKS = re.compile(r"[\r\n]+")


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
    """The objects of a list, one a line, each as it is written.

    Args:
        data: The file's bytes.
        name: Name of the file in error messages.

    Example:
        >>> lines_of_list(b'[{"a": 1E5}, {"a":\\n2.50}]', "a.json")
        b'{"a": 1E5}\\n{"a": 2.50}\\n'

    Raises:
        InputError: It is damaged or not UTF-8, or one of its values is no object.
    """
    check_utf8(data, name)
    text = data.decode("utf-8-sig")
    lines = list[str]()
    try:
        json.loads(text)  # Its end, and what is between the values.
        place = _behind_space(text, text.index("[") + 1)
        while text[place] != "]":
            value, end = _DECODER.raw_decode(text, place)
            if not isinstance(value, dict):
                raise InputError(
                    f"{name} is a JSON list with a {type(value).__name__} in {at_row(len(lines))}; an object for each "
                    f"row is needed."
                )
            # A line break is none of a string's characters: there it is written \\n.
            lines.append(_BREAKS.sub(" ", text[place:end]))
            place = _behind_space(text, end)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} starts as a JSON list and is damaged: {reason(error)}.") from None
    return "".join(f"{line}\n" for line in lines).encode()


def _behind_space(text: str, place: int) -> int:
    """Where the next value begins, or the list ends."""
    found = _NO_SPACE.search(text, place)
    assert found is not None
    return found.start()
