"""Checks the values of the options of the built-in students (`student.options`)."""

from collections.abc import Callable, Mapping
from typing import Any

from overproof.errors import InputError


def _is_whole(value: Any, lowest: int, highest: int = 2**31) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest


def _is_range(value: Any) -> bool:
    pair = isinstance(value, list) and len(value) == 2 and all(_is_whole(length, 1) for length in value)
    return value is None or (pair and value[0] <= value[1])


_LENGTHS = (_is_range, "null, or the shortest and the longest length, such as [1, 2]")

ALLOWED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "hidden": (
        lambda value: isinstance(value, list) and all(_is_whole(units, 1) for units in value),
        "a list of positive integers",
    ),
    "dropout": (
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1,
        "a number in [0, 1)",
    ),
    "width": (lambda value: _is_whole(value, 1), "a positive integer"),
    "dim": (lambda value: value is None or _is_whole(value, 1), "a positive integer, or null for none"),
    "words": _LENGTHS,
    "characters": _LENGTHS,
    "buckets": (lambda value: _is_whole(value, 2), "an integer from 2 to 2**31"),
    "max_characters": (lambda value: _is_whole(value, 1), "a positive integer"),
    "normalization": (lambda value: value in ("casefold", "lower"), "'casefold' or 'lower'"),
    "max_tokens": (lambda value: _is_whole(value, 1, 512), "an integer from 1 to 512"),
    "config": (
        lambda value: value is None or isinstance(value, str | dict),
        "the folder of a config.json, that file, or its content",
    ),
    "tokenizer": (
        lambda value: value is None or isinstance(value, str | dict),
        "the folder of a tokenizer.json, or that file",
    ),
    "embedder": (lambda value: isinstance(value, str), "'minilm' or an import path 'package.module:factory'"),
    "embedder_options": (lambda value: isinstance(value, dict), "options by name"),
}
"""By option: a test of a JSON value, and the allowed values in words."""


def check_options(student: str, options: Mapping[str, Any]) -> None:
    """Check the values of all options of a built-in student.

    Args:
        student: Its name.
        options: JSON values by name.

    Raises:
        InputError: A value is not allowed.
    """
    for name, value in options.items():
        is_fine, allowed = ALLOWED[name]
        if not is_fine(value):
            raise InputError(f"Option {name} of student {student!r} is {value!r}; allowed is {allowed}.")
    if options.get("words", 0) is None and options.get("characters", 0) is None:
        raise InputError(f"Options words and characters of student {student!r} are both null; set one of them.")
