"""A method in a few words: its published name, or what differs from a plain one."""

from dataclasses import fields, is_dataclass
from typing import Any

from overproof.registry import entries

_OTHERS = ("noise", "select", "initial", "generations", "search")
"""The fields of a method beside its two objectives."""


def in_short(method: Any, plain: Any) -> str:
    """A method by its published name, or by its parts that are not those of a plain one.

    Args:
        method: An `overproof.methods.composition.Method`.
        plain: One whose parts are the defaults.
    """
    for each in entries("method"):
        if each.make() == method:
            return f"Method({each.name!r})"
    usual, own = ({**dict(each.parts()), **{name: getattr(each, name) for name in _OTHERS}} for each in (plain, method))
    changed = [f"{path}={_part(value)}" for path, value in own.items() if value != usual[path]]
    return f"Method({', '.join(changed)})"


def _part(part: Any) -> str:
    """A part with the options that differ from their defaults."""
    if not is_dataclass(part):
        return repr(part)
    options = [
        f"{each.name}={getattr(part, each.name)!r}" for each in fields(part) if getattr(part, each.name) != each.default
    ]
    return f"{type(part).__name__}({', '.join(options)})"
