"""The prompt: a file with places for the columns of the data and for the names of the classes."""

import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from overproof.data.wording import listed
from overproof.errors import InputError

CLASSES = "classes"
"""The field that stands for the names of the classes."""

MAX_BYTES = 1_000_000
"""A longer file is no prompt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A question with places to fill.

    Args:
        parts: Pairs of a text and the field after it; "" where none follows.
    """

    parts: tuple[tuple[str, str], ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns that it needs, each once, without `classes`."""
        return tuple(dict.fromkeys(field for _, field in self.parts if field and field != CLASSES))

    def rendered(self, values: Mapping[str, str], class_names: Sequence[str]) -> str:
        """The question about one row.

        Args:
            values: By field.
            class_names: K names; they are quoted where one of them contains a comma or a line's end.

        Example:
            >>> parsed("{text}: one of {classes}?").rendered({"text": "{classes}"}, ["good", "bad"])
            '{classes}: one of good, bad?'
        """
        plain = not any(mark in name for name in class_names for mark in ",\n\"'") and all(class_names)
        names = ", ".join(class_names if plain else [json.dumps(name, ensure_ascii=False) for name in class_names])
        filled = {**values, CLASSES: names}
        return "".join(text + (filled[field] if field else "") for text, field in self.parts)


def parsed(text: str, name: str = "The prompt") -> Prompt:
    """A prompt from its text.

    Args:
        text: With `{column}` and `{classes}`; `{{` and `}}` are braces.
        name: What to call it in errors.

    Raises:
        InputError: A brace without its partner, or a field of another form.
    """
    try:
        pieces = list(string.Formatter().parse(text))
    except ValueError as error:
        raise InputError(
            f"{name} has a brace that is no field ({error}); write {{{{ and }}}} for braces that are meant as such."
        ) from None
    parts = []
    for before, field, form, conversion in pieces:
        if field is not None and (not field.strip() or form or conversion or set(field) & set("{}")):
            shown = f"{{{field}{'!' + conversion if conversion else ''}{':' + form if form else ''}}}"
            raise InputError(
                f"{name} has the field {shown!r}; a field is the name of a column alone, such as {{text}}, and {{{{ "
                f"and }}}} are braces that are meant as such."
            )
        parts.append((before, (field or "").strip()))
    prompt = Prompt(parts=tuple(parts))
    if not prompt.fields:
        raise InputError(
            f"{name} has no field for the data, such as {{text}}: every row would be asked the same question."
        )
    return prompt


def read_prompt(path: str | Path) -> Prompt:
    """The prompt in a file.

    Args:
        path: UTF-8 text; blanks at its end do not count.

    Raises:
        InputError: It cannot be read, or is no prompt.
    """
    path = Path(path).expanduser()
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES:,} bytes; it is no prompt.")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"The prompt {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InputError(f"The prompt {path} is not UTF-8 text.") from None
    return parsed(text.replace("\r\n", "\n").rstrip(), str(path))


def check_fields(prompt: Prompt, known: Sequence[str], name: str) -> None:
    """All fields of a prompt are columns of the data.

    Args:
        prompt: The prompt.
        known: The names of the columns.
        name: What to call the prompt in errors.

    Raises:
        InputError: One is not.
    """
    if missing := [field for field in prompt.fields if field not in known]:
        raise InputError(
            f"{name} asks for {{{missing[0]}}}, and the data have no column of that name; they have {listed(known)}."
        )
