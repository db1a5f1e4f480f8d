"""One key of an experiment explained: type, default, allowed values and its line in the options' own docstring."""

import functools
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import pydantic
import yaml

from overproof.errors import InputError, nearest_word
from overproof.options import allowed, group_of, hint_at
from overproof.runs.experiment import Experiment
from overproof.runs.first_look.named_values import names_for

_WIDTH = 100
"""Lines for a terminal are at most so long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """A key of an experiment.

    Args:
        key: Its path, such as `data.rows`.
        allowed: Its type and the values that are allowed.
        default: Its default as YAML; empty where it must be given.
        about: What it is for.
        keys: The keys of a group.
        names: The names that it takes, such as those of students.
    """

    key: str
    allowed: str
    default: str
    about: str
    keys: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def text(self) -> str:
        """As lines for a terminal."""
        lines = [self.key, f"  allowed: {self.allowed}", f"  default: {self.default or 'none; it must be given'}"]
        lines += [f"  {self.about}"] if self.about else []
        lines += [f"  names: {'; '.join(self.names)}"] if self.names else []
        lines += [f"  keys: {', '.join(self.keys)}"] if self.keys else []
        return "\n".join(textwrap.fill(line, _WIDTH, subsequent_indent="    ") for line in lines)

    def as_json(self) -> dict[str, Any]:
        """As an object for JSON."""
        return asdict(self)


def explained(key: str) -> Explained:
    """What a key of an experiment means.

    Args:
        key: Its path, such as `train.epochs`; its end suffices where one key alone ends so (those of
            `teacher.train` do not count).

    Raises:
        InputError: There is no such key; the sentence has the nearest, or all that end with the word.

    Example:
        >>> found = explained("teacher.vote")
        >>> found.allowed, found.default
        ("'soft' or 'majority' or 'reliability' or 'set'", 'soft')
    """
    everything = _everything()
    path = re.sub(r"\[[^]]*\]|(?<=\.)\d+\.", "", key.strip())
    plain = re.sub(r"^data\.files\.(all|labelled|pool|test|validation|original)(?=\.|$)", "data.files.ROLE", path)
    if plain not in everything:
        ends = [each for each in everything if each.endswith(f".{plain}") and not each.startswith("teacher.train.")]
        if len(ends) != 1:
            if ends:
                raise InputError(f"Several keys are called {key!r}: {', '.join(ends)}; name one of them.")
            above = f".{plain.rpartition('.')[0]}"
            whole = [each for each in everything if f".{each}".endswith(above) and above != "."]
            if len(whole) == 1 and explained(whole[0]).allowed.startswith("a mapping of"):
                return explained(whole[0])
            near = nearest_word(plain, everything)
            near = near or nearest_word(plain.rpartition(".")[2], {each.rpartition(".")[2] for each in everything})
            hint = f"did you mean {near!r}" if near else f"its groups are {', '.join(Experiment.model_fields)}"
            raise InputError(f"An experiment has no key {key!r}; {hint}.")
        plain = ends[0]
    owner, name = everything[plain]
    if owner is None:
        return Explained(
            key=plain, allowed="a group of keys", default="none", about=name, keys=_below(plain, everything)
        )
    below = _below(plain, everything)
    hint = get_type_hints(owner, include_extras=True)[name]
    return Explained(
        key=plain,
        allowed=_allowed(owner, name, hint, below),
        default=_default(owner, name),
        about=_about(owner, name),
        keys=below,
        names=names_for(plain),
    )


def all_keys() -> tuple[str, ...]:
    """The paths of all keys of an experiment, groups before what is in them; ROLE stands for the role of a file."""
    return tuple(_everything())


@functools.cache
def _everything() -> dict[str, tuple[Any, str]]:
    return dict(_keys(Experiment, ""))


def _below(path: str, everything: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        each[len(path) + 1 :] for each in everything if each.startswith(f"{path}.") and "." not in each[len(path) + 1 :]
    )


def _keys(group: Any, above: str) -> Iterator[tuple[str, tuple[Any, str]]]:
    """All keys below a group of options: path, the class that holds the option, and its name there."""
    for name in _names(group):
        path = f"{above}{name}"
        yield path, (group, name)
        if path in ("teacher.others",):
            continue
        kind = get_type_hints(group, include_extras=True)[name]
        inner = group_of(kind)
        if name == "files":
            yield f"{path}.ROLE", (None, "The file of a role: all, labelled, pool, test, validation or original.")
            inner, path = group_of(hint_at(group, ["files", "all"])), f"{path}.ROLE"
        if inner is not None and inner is not group:
            yield from _keys(inner, f"{path}.")


def _names(group: Any) -> list[str]:
    if isinstance(group, type) and issubclass(group, pydantic.BaseModel):
        return list(group.model_fields)
    return [each.name for each in fields(group)]


def _allowed(owner: Any, name: str, hint: Any, below: tuple[str, ...]) -> str:
    if isinstance(owner, type) and issubclass(owner, pydantic.BaseModel):
        field = owner.model_fields[name]
        hint = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    plain = hint
    while get_origin(plain) is Annotated:
        plain = get_args(plain)[0]
    if get_origin(plain) in (dict, Mapping):
        keys, values = get_args(plain)
        what = " or ".join(map(str, get_args(keys))) if get_origin(keys) is Literal else "names"
        value = "any value" if values is Any else "a group of keys" if group_of(values) else allowed(values)
        return f"a mapping of {what} to {value}"
    if below:
        return "a list of groups of keys" if get_origin(plain) is tuple else "a group of keys"
    if name == "others":
        return "a list of teachers, each with the keys of `teacher`; `teacher` itself may be that list"
    words = allowed(hint)
    return words if "overproof" not in words and "typing" not in words else "what the description says"


def _default(owner: Any, name: str) -> str:
    if isinstance(owner, type) and issubclass(owner, pydantic.BaseModel):
        option = owner.model_fields[name]
        return "" if option.is_required() else _as_yaml(option.get_default(call_default_factory=True))
    each = next(part for part in fields(owner) if part.name == name)
    if each.default_factory is not MISSING:
        return _as_yaml(each.default_factory())
    return "" if each.default is MISSING else _as_yaml(each.default)


def _as_yaml(value: Any) -> str:
    def plain(each: Any) -> Any:
        if isinstance(each, pydantic.BaseModel):
            own = {name: plain(getattr(each, name)) for name in type(each).model_fields}
            usual = {name: plain(field.default) for name, field in type(each).model_fields.items()}
            return {name: value for name, value in own.items() if value != usual[name]}
        if is_dataclass(each) and not isinstance(each, type):
            return {
                part.name: plain(getattr(each, part.name))
                for part in fields(each)
                if getattr(each, part.name) != part.default
            }
        if isinstance(each, tuple | list):
            return [plain(part) for part in each]
        return {str(key): plain(part) for key, part in each.items()} if isinstance(each, Mapping) else each

    shown = plain(value)
    if isinstance(value, tuple) and all(isinstance(each, dict) and set(each) == {"method"} for each in shown):
        shown = [each["method"] for each in shown]
    text = yaml.safe_dump(shown, default_flow_style=True, width=2**30, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _about(owner: Any, name: str) -> str:
    """The text of an option in the docstring of its class or of a class that this one extends."""
    for kind in inspect.getmro(owner):
        text = inspect.cleandoc(kind.__doc__ or "")
        found = re.search(rf"(?m)^    {re.escape(name)}: ((?:.*\n?)(?:^ {{8,}}.*\n?)*)", text)
        if found:
            return re.sub(r"\s+", " ", found[1]).strip()
    return ""
