"""What the annotations of options say: the kind at the end of a path, and the names that are known there."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pydantic


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
    return names_in(hint_at(model, path))


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
        kind = within(kind, word) or kind
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
    return plain if names_in(plain) else None


def within(kind: Any, word: str) -> Any:
    """The annotation of an option within a group; None where there is no such option, such as the tag of a union.

    Args:
        kind: The group, or a list or a mapping.
        word: The name of the option, a number in the list or a key of the mapping.
    """
    kind = _plain(kind)
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        field = kind.model_fields.get(word)
        return field and (Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation)
    if is_dataclass(kind):
        return get_type_hints(kind, include_extras=True).get(word)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (tuple, list, Sequence):
        return inner[0]
    return inner[1] if origin in (dict, Mapping) and inner else None


def names_in(kind: Any) -> list[str]:
    """The options of the group that an annotation holds; empty where it holds none.

    Args:
        kind: An annotation.
    """
    kind = _plain(kind)
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        return list(kind.model_fields)
    return [field.name for field in fields(kind)] if is_dataclass(kind) else []


def choices(kind: Any) -> list[Any]:
    """The kinds of value that an annotation allows, without what only annotates them."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        return [inner for each in get_args(kind) for inner in choices(each)]
    return [kind]


def _plain(kind: Any) -> Any:
    """Without what only annotates it; of several choices the one that is a group of options."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        choices = [_plain(each) for each in get_args(kind)]
        return next((each for each in choices if names_in(each)), choices[0])
    return kind
