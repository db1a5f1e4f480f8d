"""Ranges of options, checked when a part or a group of options is made, and the error messages for values outside."""

import functools
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import pydantic
from pydantic import Field

from overproof.errors import InputError, suggest

Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
InnerShare = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Budget = Annotated[int, Field(ge=1)] | InnerShare
"""Rows to keep, or the share of them."""
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]

KEY = "[key]"
"""What pydantic calls the place of a mapping's key."""

Class = TypeVar("Class", bound=type)
Model = TypeVar("Model", bound=pydantic.BaseModel)

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
    try:
        return plain_options(group)[name].validate_python(value)
    except pydantic.ValidationError:
        hint = get_type_hints(group, include_extras=True)[name]
        raise InputError(f"Option {option} is {value!r}; it must be {allowed(hint)}.") from None


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


def allowed(hint: Any) -> str:
    """What an annotation allows, in plain English for error messages.

    Args:
        hint: Of a plain option.

    Example:
        >>> allowed(PositiveShare), allowed(Count | Literal["auto"])
        ('a number in (0, 1]', "a whole number of at least 1 or 'auto'")
        >>> allowed(tuple[Finite, ...])
        'a list of finite numbers'
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(map(allowed, inner))
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is tuple:
        return f"a list of {allowed(inner[0]).removeprefix('a ').replace('number', 'numbers', 1)}"
    if origin is not Annotated:
        names = {float: "a number", int: "a whole number", bool: "true or false", str: "a text", type(None): "null"}
        return names.get(hint, str(hint))
    noun = allowed(inner[0])
    marks = [mark for each in inner[1:] for mark in getattr(each, "metadata", [each])]
    limits = {name: getattr(mark, name) for mark in marks for name in ("gt", "ge", "lt", "le") if hasattr(mark, name)}
    if any(getattr(mark, "allow_inf_nan", True) is False for mark in marks):
        noun = noun.replace("a number", "a finite number")
    fewest = next((mark.min_length for mark in marks if getattr(mark, "min_length", 0)), 0)
    noun += f", at least {fewest}" if fewest else ""
    low, high = limits.get("gt", limits.get("ge")), limits.get("lt", limits.get("le"))
    if low is not None and high is not None:
        return f"{noun} in {'(' if 'gt' in limits else '['}{low}, {high}{')' if 'lt' in limits else ']'}"
    if low is not None:
        return f"{noun} above {low}" if "gt" in limits else f"{noun} of at least {low}"
    if high is not None:
        return f"{noun} below {high}" if "lt" in limits else f"{noun} of at most {high}"
    return noun


class Options(pydantic.BaseModel, frozen=True, extra="forbid"):
    """A group of options. An option that is a list takes a single text or number as a list of one.

    Raises:
        InputError: An option that does not exist or has a wrong value; one sentence names it and what is allowed.
    """

    @pydantic.model_validator(mode="before")
    @classmethod
    def _lists_of_one(cls, options: Any) -> Any:
        if not isinstance(options, dict):
            return options
        lists = {name for name, field in cls.model_fields.items() if get_origin(field.annotation) is tuple}
        single = (str, int, float)
        return {
            name: (value,) if name in lists and isinstance(value, single) and not isinstance(value, bool) else value
            for name, value in options.items()
        }

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except pydantic.ValidationError as error:
            raise InputError(sentence(type(self), error, "")) from None

    # Otherwise pydantic would call it for groups within groups, whose path would be lost.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


def validated(model: type[Model], content: Mapping[str, Any], within: str) -> Model:
    """Options of some kind from plain data.

    Args:
        model: The kind.
        content: Options by name.
        within: Path of the group that holds them, for errors.

    Raises:
        InputError: An option that does not exist or has a wrong value, named with the nearest known one.
    """
    try:
        return model.model_validate(content)
    except pydantic.ValidationError as error:
        raise InputError(sentence(model, error, within)) from None


def sentence(model: type[pydantic.BaseModel], error: pydantic.ValidationError, within: str) -> str:
    """What pydantic found, as one sentence with the option's path and the nearest known option.

    Args:
        model: The group that was to be made.
        error: What pydantic raised.
        within: Path of the group, empty for one of its own.
    """
    first: Any = error.errors()[0]
    found = [str(word) for word in first["loc"] if not str(word).startswith(("function-", "literal["))]
    words = [word for word in found if not word.startswith("constrained-")]
    path = ".".join([within, *words] if within else words)
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = known_options(model, words[:-1])
        hint = f"; {suggest(words[-1], known)}" if known else ""
        return f"There is no option {path!r}{hint}."
    if words[-1:] == [KEY] and (known := known_keys(model, words[:-2])):
        return f"There is no {path.removesuffix('.' + KEY)!r}; {suggest(words[-2], known)}."
    if first["type"] in ("missing", "missing_argument"):
        return f"Option {path!r} is missing and must be given."
    if first["type"] == "value_error":
        # An InputError raised by a check of ours, already a sentence.
        return str(first["ctx"]["error"])
    if words != found:
        # One of several kinds of value: say all that are allowed, not what is wrong with the first.
        return f"Option {path!r} is {first['input']!r}; it must be {allowed(hint_at(model, words))}."
    if first["type"] == "tuple_type":
        return f"Option {path!r} is {first['input']!r}; it must be a list: [{first['input']}]."
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"Option {path!r} is {first['input']!r}: {message}."


def known_options(model: Any, path: Sequence[str]) -> list[str]:
    """The names that are allowed at the end of a path; empty where any is.

    Args:
        model: A pydantic model or a dataclass of options.
        path: Options, keys and numbers that lead from it to the unknown name, without that name.

    Example:
        >>> from overproof.training.options import TrainOptions
        >>> known_options(TrainOptions, [])[:2]
        ['epochs', 'batch_size']
    """
    return _names(hint_at(model, path))


def known_keys(model: Any, path: Sequence[str]) -> list[str]:
    """The keys that are allowed in the mapping at the end of a path; empty where any is.

    Args:
        model: A pydantic model or a dataclass of options.
        path: What leads from it to the mapping.
    """
    kind = _plain(hint_at(model, path))
    keys = get_args(kind)[:1] if get_origin(kind) in (dict, Mapping) else ()
    return [str(key) for key in get_args(keys[0])] if keys and get_origin(keys[0]) is Literal else []


def hint_at(model: Any, path: Sequence[str]) -> Any:
    """The annotation at the end of a path.

    Args:
        model: A pydantic model or a dataclass of options.
        path: Options, keys and numbers.
    """
    kind: Any = model
    for word in path:
        kind = _within(kind, word) or kind
    return kind


def group_of(kind: Any) -> type | None:
    """The group of options that an annotation holds, alone or in a list; None where it holds none.

    Args:
        kind: An annotation.

    Example:
        >>> from overproof.training.options import TrainOptions
        >>> group_of(TrainOptions) is group_of(tuple[TrainOptions, ...]) is TrainOptions, group_of(int)
        (True, None)
    """
    plain = _plain(kind)
    if get_origin(plain) in (tuple, list):
        plain = _plain(get_args(plain)[0])
    return plain if _names(plain) else None


def _within(kind: Any, word: str) -> Any:
    """The type of an option within a group; None where there is no such option, such as the tag of a union."""
    kind = _plain(kind)
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        return kind.model_fields[word].annotation if word in kind.model_fields else None
    if is_dataclass(kind):
        return get_type_hints(kind, include_extras=True).get(word)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (tuple, list, Sequence):
        return inner[0]
    return inner[1] if origin in (dict, Mapping) and inner else None


def _names(kind: Any) -> list[str]:
    kind = _plain(kind)
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        return list(kind.model_fields)
    return [field.name for field in fields(kind)] if is_dataclass(kind) else []


def _plain(kind: Any) -> Any:
    """Without what only annotates it; of several choices the one that is a group of options."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        choices = [_plain(each) for each in get_args(kind)]
        return next((each for each in choices if _names(each)), choices[0])
    return kind


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
