"""Options of parts of methods, which are dataclasses: checked by their annotations when a part is made."""

import functools
import types
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import pydantic

from overproof.errors import InputError
from overproof.options.misread import misread, shown
from overproof.options.ranges import allowed

Class = TypeVar("Class", bound=type)

_adapters: dict[type, Mapping[str, Any]] = {}


def checked(group: Class) -> Class:
    """Class decorator: plain options (numbers, texts, lists of them) are checked by their annotations when one is made.

    Options that are parts of their own are left alone: they were checked when they were made. Whole numbers that are
    given for `float` become floats, lists become tuples.

    Args:
        group: A dataclass; changed in place.

    Example:
        >>> from overproof.methods.losses import TemperedDivergence
        >>> TemperedDivergence(temperature=-1.0)
        Traceback (most recent call last):
        overproof.errors.InputError: Option 'temperature' of TemperedDivergence is -1.0; it must be a number above 0.
    """
    made: Callable[..., None] = group.__init__  # type: ignore[misc]  # of the class itself

    @functools.wraps(made)
    def init(self: Any, *args: Any, **options: Any) -> None:
        made(self, *args, **options)
        # A class that inherits is checked by its own.
        if type(self) is group:
            for name in plain_options(group):
                given = getattr(self, name)
                value = checked_value(group, name, given, f"{name!r} of {group.__name__}")
                if type(value) is not type(given):
                    object.__setattr__(self, name, value)

    group.__init__ = init  # type: ignore[misc]
    return group


def checked_value(group: type, name: str, value: Any, option: str) -> Any:
    """The value of one plain option of a dataclass, as its annotation has it.

    Args:
        group: The dataclass.
        name: Which of its options.
        value: What was given.
        option: What to call the option in errors, quotes included.

    Raises:
        InputError: It is not allowed; the sentence names the option, the value and what is allowed.
    """
    hint = get_type_hints(group, include_extras=True)[name]
    try:
        if misread(hint, value) is None:
            return plain_options(group)[name].validate_python(value)
    except pydantic.ValidationError:
        pass
    raise InputError(f"Option {option} is {shown(value)}; it must be {allowed(hint)}.") from None


def plain_options(group: type) -> Mapping[str, Any]:
    """The options of a dataclass that are numbers, texts or lists of them, each with the adapter that checks it.

    Args:
        group: A dataclass.
    """
    if group not in _adapters:
        hints = {name: hint for name, hint in get_type_hints(group, include_extras=True).items() if _is_plain(hint)}
        own = [each.name for each in fields(group) if each.name in hints]
        _adapters[group] = {name: pydantic.TypeAdapter(hints[name]) for name in own}
    return _adapters[group]


def _is_plain(hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _is_plain(inner[0])
    if origin in (Union, types.UnionType):
        return all(map(_is_plain, inner))
    if origin is tuple:
        return all(_is_plain(each) for each in inner if each is not Ellipsis)
    return origin is Literal or hint in (bool, int, float, str, type(None))
