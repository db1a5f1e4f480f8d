"""Names to parts and methods: what the command line can spell, the docs list and the contract tests visit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import PurePath
from typing import Any, Literal, TypeVar

from overproof.claims import Claim
from overproof.errors import InputError, suggest
from overproof.options import checked
from overproof.papers import Paper
from overproof.seeds import digest

Kind = Literal["loss", "weight", "target", "select", "noise", "method"]
Part = TypeVar("Part", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One registered name.

    Args:
        kind: What it is.
        name: Its name in experiments and on the command line.
        make: Builds it from its options, by keyword.
        paper: Where it comes from; None for a baseline without a paper.
        claims: What it promises, each checked by the contract tests.
        summary: The first sentence of its docstring.
    """

    kind: Kind
    name: str
    make: Callable[..., Any]
    paper: Paper | None
    claims: tuple[Claim, ...]
    summary: str


_entries: dict[tuple[Kind, str], Entry] = {}


def register(kind: Kind, name: str, *, paper: Paper | None, claims: tuple[Claim, ...] = ()) -> Callable[[Part], Part]:
    """Register a dataclass (a part) or a function that composes a method under a name.

    The name is what experiments and the command line spell; it is stored with results and never follows a file's name.
    Options that are numbers or texts are checked by their annotations whenever a part is made (`overproof.options`).
    """

    def add(make: Part) -> Part:
        assert kind == "method" or is_dataclass(make), f"{make} must be a dataclass: its fields are its options"
        assert (kind, name) not in _entries, f"{kind} {name!r} is already registered"
        summary = (make.__doc__ or "").strip().partition("\n")[0]
        if isinstance(make, type):
            checked(make)
        _entries[kind, name] = Entry(kind=kind, name=name, make=make, paper=paper, claims=claims, summary=summary)
        return make

    return add


def entries(kind: Kind | None = None) -> tuple[Entry, ...]:
    """All registered names, in the order of registration."""
    return tuple(entry for entry in _entries.values() if kind in (None, entry.kind))


def lookup(kind: Kind, name: str) -> Entry:
    """The entry of that name.

    Raises:
        InputError: There is none; the sentence names the nearest or all of them.
    """
    if (kind, name) not in _entries:
        word = {"select": "selector", "noise": "noise model"}.get(kind, kind)
        raise InputError(f"There is no {word} {name!r}; {suggest(str(name), [e.name for e in entries(kind)])}.")
    return _entries[kind, name]


def entry_of(part: object) -> Entry:
    """The entry a part was made from."""
    return next(entry for entry in _entries.values() if entry.make is type(part))


def kind_of(part: object, option: str) -> Kind:
    """What kind of part it is.

    Args:
        part: A part, or a group of parts.
        option: What to call it in errors.

    Raises:
        InputError: It is a group of parts, which has no name.
    """
    kinds = [entry.kind for entry in _entries.values() if entry.make is type(part)]
    if not kinds:
        raise InputError(f"Option {option!r} is a group of parts and goes by no name; set its parts by their paths.")
    return kinds[0]


def described(value: Any, *, without: Sequence[str] = ()) -> Any:
    """A method, a part or a group of options as plain data that later versions write the same way, for keys.

    A registered part is its registered name and the options that differ from their defaults; a group of options is
    those alone, because its position in the result identifies it. A part that is not registered has its import path as
    name.

    Args:
        value: Methods, parts, pydantic models, dataclasses, and containers, numbers and texts in them.
        without: Options of `value` itself to leave out.

    Example:
        >>> from overproof.training.options import TrainOptions
        >>> described(TrainOptions(epochs=3, checkpoint_seconds=1.0), without=["checkpoint_seconds"])
        {'epochs': 3}
    """
    if isinstance(value, str | int | float | None):
        return value
    if hasattr(type(value), "model_fields"):
        options = type(value).model_fields
        defaults = {
            name: each.get_default(call_default_factory=True)
            for name, each in options.items()
            if not each.is_required()
        }
        return _changed({name: getattr(value, name) for name in options}, defaults, without)
    if is_dataclass(value) and not isinstance(value, type):
        given = {each.name: getattr(value, each.name) for each in fields(value)}
        return {**_named(value), **_changed(given, _defaults(value), without)}
    if isinstance(value, Mapping):
        return {str(key): described(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [described(each) for each in value]
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if hasattr(value, "dtype"):
        return [value.dtype.str, list(value.shape), digest(value.tobytes())]
    return f"{value.__module__}:{value.__qualname__}" if hasattr(value, "__qualname__") else repr(value)


def _changed(given: Mapping[str, Any], defaults: Mapping[str, Any], without: Sequence[str]) -> dict[str, Any]:
    """The options that differ from their defaults; `name` is the kind of a group and is always kept."""
    plain = {name: described(value) for name, value in given.items() if name not in without}
    return {
        name: value
        for name, value in plain.items()
        if name == "name" or name not in defaults or value != described(defaults[name])
    }


def _defaults(group: Any) -> dict[str, Any]:
    made = {each.name: each.default for each in fields(group) if each.default is not MISSING}
    return made | {each.name: each.default_factory() for each in fields(group) if each.default_factory is not MISSING}


def _named(part: object) -> dict[str, str]:
    """What a part is called: its registered name, or its import path where it is not part of the package."""
    kind = type(part)
    names = [entry.name for entry in _entries.values() if entry.make is kind]
    if names:
        return {"name": names[0]}
    ours = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
    return {} if ours else {"name": f"{kind.__module__}:{kind.__qualname__}"}
