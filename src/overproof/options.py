"""The options that stand where a mistaken one was written, at any depth of an experiment."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pydantic

KEY = "[key]"
"""What pydantic calls the place of a mapping's key."""


def known_options(model: Any, path: Sequence[str]) -> list[str]:
    """The names that are allowed at the end of a path; empty where any is.

    Args:
        model: A pydantic model or a dataclass of options.
        path: Options, keys and numbers that lead from it to the mistaken word, that word left out.

    Example:
        >>> from overproof.training.options import TrainOptions
        >>> known_options(TrainOptions, [])[:2]
        ['epochs', 'batch_size']
    """
    kind: Any = model
    for word in path:
        kind = _within(kind, word) or kind
    return _names(kind)


def known_keys(model: Any, path: Sequence[str]) -> list[str]:
    """The keys that are allowed in the mapping at the end of a path; empty where any is.

    Args:
        model: A pydantic model or a dataclass of options.
        path: What leads from it to the mapping.
    """
    kind: Any = model
    for word in path:
        kind = _within(kind, word) or kind
    kind = _plain(kind)
    keys = get_args(kind)[:1] if get_origin(kind) in (dict, Mapping) else ()
    return [str(key) for key in get_args(keys[0])] if keys and get_origin(keys[0]) is Literal else []


def _within(kind: Any, word: str) -> Any:
    """What a word leads to; None where it leads nowhere, as a word does that only names a choice."""
    kind = _plain(kind)
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        return kind.model_fields[word].annotation if word in kind.model_fields else None
    if is_dataclass(kind):
        return get_type_hints(kind).get(word)
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
