"""Check the types of what a student's file says, so that a wrong one is found when the student is loaded."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Described = TypeVar("Described")


def checked_fields(cls: type[Described], config: Any, where: str) -> Described:
    """An instance of a dataclass with these fields, read from JSON: lists become tuples.

    Args:
        cls: The dataclass; its fields are strings, numbers, booleans, choices, mappings and tuples of these.
        config: An object with the fields by name.
        where: What to call it in errors.

    Raises:
        ValueError: A field is missing, unknown, or of another type; numbers must be finite.

    Example:
        >>> from overproof.models.tables import EmptyColumn
        >>> checked_fields(EmptyColumn, {"name": 1}, "column 1")
        Traceback (most recent call last):
        ValueError: column 1 has name 1; str is needed
    """
    if not isinstance(config, dict):
        raise ValueError(f"{where} is {_shown(config)}; an object with fields is needed")
    hints, found = get_type_hints(cls), {}
    for field in fields(cls):  # type: ignore[arg-type]
        if field.name in config:
            found[field.name] = _checked(config[field.name], hints[field.name], f"{where} has {field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{where} has no {field.name}")
    if unknown := sorted(set(config) - {field.name for field in fields(cls)}):  # type: ignore[arg-type]
        raise ValueError(f"{where} has an unknown field {unknown[0]!r}")
    return cls(**found)


def checked_names(value: Any, where: str) -> tuple[str, ...]:
    """A list of different strings, at least one, as a tuple.

    Raises:
        ValueError: It is something else.
    """
    found: tuple[str, ...] = _checked(value, tuple[str, ...], f"{where} is")
    if not found:
        raise ValueError(f"{where} is empty")
    if len(set(found)) < len(found):
        raise ValueError(f"{where} has a name twice")
    return found


def _checked(value: Any, hint: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and NoneType in arguments:
            return None
        errors = []
        for each in arguments:
            try:
                if each is not NoneType:
                    return _checked(value, each, where)
            except ValueError as error:
                errors.append(error)
        raise errors[-1]
    if origin is tuple:
        every = len(arguments) == 2 and arguments[1] is Ellipsis
        if isinstance(value, list | tuple) and (every or len(value) == len(arguments)):
            hints = [arguments[0]] * len(value) if every else arguments
            return tuple(_checked(each, kind, where) for each, kind in zip(value, hints, strict=True))
        raise ValueError(f"{where} {_shown(value)}; a list is needed")
    if origin is Literal:
        fits = isinstance(value, str) and value in arguments
    elif origin is not None and issubclass(origin, Mapping):
        fits = isinstance(value, dict)
    elif hint is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST
        value = float(value) if fits else value
    elif hint is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    else:
        fits = isinstance(value, hint)
    if not fits:
        raise ValueError(f"{where} {_shown(value)}; {getattr(hint, '__name__', hint)} is needed")
    return value


def _shown(value: Any) -> str:
    return repr(value)[:60]


_LARGEST = math.nextafter(math.inf, 0)
