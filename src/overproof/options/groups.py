"""Groups of options as an experiment has them, and the error messages for what they cannot hold."""

import math
from collections.abc import Mapping
from typing import Any, TypeVar, get_origin

import pydantic

from overproof.errors import InputError, suggest
from overproof.options.annotations import choices, group_of, hint_at, known_keys, known_options, names_in
from overproof.options.misread import misread, shown
from overproof.options.ranges import allowed

KEY = "[key]"
"""What pydantic calls the place of a mapping's key."""

Model = TypeVar("Model", bound=pydantic.BaseModel)


class Options(pydantic.BaseModel, frozen=True, extra="forbid", ser_json_inf_nan="constants"):
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
            _refuse_misread(type(self), options, "")
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
        _refuse_misread(model, content, within)
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
    # What pydantic adds for the kinds of a union is no part of the path.
    words = [word for word in found if not word.startswith(("constrained-", "tuple["))]
    while (
        len(words) > 1 and words[-1] in ("str", "int", "float", "bool") and len(choices(hint_at(model, words[:-1]))) > 1
    ):
        words.pop()
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
    given, kind = first["input"], hint_at(model, words)
    start = f"Option {path!r} is {shown(given)}"
    if words != found or first["type"].endswith(("_type", "_parsing")):
        # The type is wrong, or one of several is: say all that are allowed, not what is wrong with the first.
        return f"{start}; it must be {_wanted(kind, given)}."
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{start}: {message}."


def _refuse_misread(model: type[pydantic.BaseModel], content: Mapping[str, Any], within: str) -> None:
    if (found := misread(model, content)) is not None:
        path, value, kind = found
        name = ".".join([within, *path] if within else path)
        raise InputError(f"Option {name!r} is {shown(value)}; it must be {_wanted(kind, value)}.")


def _wanted(kind: Any, given: Any) -> str:
    """What an option must be, and the line to write where that is known."""
    kinds = [each for each in choices(kind) if each is not type(None)]
    if (group := group_of(kind)) is not None and group in kinds:
        return f"a group of options: {', '.join(names_in(group))}"
    origins = {get_origin(each) for each in kinds}
    if origins & {dict, Mapping}:
        return "options by name, such as {name: value}"
    single = isinstance(given, str | int | float) and "\n" not in str(given)
    if origins == {tuple} and single and not isinstance(given, bool):
        return f"a list: [{given}]"
    quotes = ""
    if kinds == [str] and isinstance(given, bool):
        quotes = "; YAML reads yes, no, on and off as true and false where they are not in quotes"
    elif kinds == [str] and single:
        quotes = f', in quotes: "{given}"'
    text = allowed(kind)
    if isinstance(given, float) and math.isnan(given):
        text = text.replace("a number", "a finite number", 1)
    return f"{text}{quotes}"
