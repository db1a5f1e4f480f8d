"""Changes of options in a command: `--set a.b=value`, the value being YAML."""

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from overproof.errors import InputError
from overproof.models.importing import is_address, is_import_path
from overproof.options import shown

_UNPRINTABLE = re.compile(r"[\x00\ud800-\udfff]")
"""What neither the name of a file nor a file of UTF-8 can hold."""
_KINDS = {
    datetime.date: "a date",
    datetime.datetime: "a time",
    bytes: "binary data",
    set: "a set",
}


def changed(content: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """A copy of some options with changes of the form `a.b=value` applied, the value being YAML.

    Args:
        content: Options by name, nested.
        changes: The changes, in order.

    Raises:
        InputError: A change of another form.
    """
    copy: dict[str, Any] = plain(content, "")
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals or not path:
            raise InputError(f"--set {change!r} must look like option=value, for instance train.epochs=5.")
        try:
            value = read_yaml(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise InputError(f"--set {change!r}: the value is not valid YAML.") from None
        value = plain(value, path)
        node: Any = copy
        *groups, last = path.split(".")
        for group in groups:
            if not isinstance(node.setdefault(group, {}), dict):
                raise InputError(f"--set {change!r}: {group!r} is a value or a list, not a group of options.")
            node = node[group]
        node[last] = value
    return copy


def read_yaml(text: str) -> Any:
    """The plain data of a YAML text.

    Args:
        text: The text.

    Raises:
        InputError: A key is given twice in one group; YAML alone keeps the last value without a word.
        yaml.YAMLError: It is not YAML.
    """
    left, seen = [yaml.compose(text, Loader=yaml.SafeLoader)], set[int]()
    while left:
        node = left.pop()
        # A node that the text refers to again is the same object.
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            if twice := [key for number, key in enumerate(keys) if key in keys[:number]]:
                raise InputError(
                    f"Line {node.start_mark.line + 1} begins a group of options that has {twice[0]!r} twice; write it "
                    f"once."
                )
            left += [value for _, value in node.value]
        else:
            left += node.value
    return yaml.safe_load(text)


_MOST_VALUES, _DEEPEST, _LARGEST = 100_000, 50, 2**63


def plain(content: Any, path: str) -> Any:
    """A copy of options as YAML or Python gives them: mappings, lists, texts, numbers, true, false and null.

    Args:
        content: The options.
        path: Where they stand, for errors.

    Raises:
        InputError: YAML has read something else there, such as a date; a key is true, false or null, as YAML reads yes,
            no and ~; or there is more than an experiment can hold, as where a file refers to itself.

    Example:
        >>> plain({"seeds": (1, 2), 3: "a"}, "")
        {'seeds': [1, 2], '3': 'a'}
    """
    count = 0

    def copied(value: Any, words: tuple[str, ...]) -> Any:
        nonlocal count
        count += 1
        name = ".".join(words)
        if count > _MOST_VALUES or len(words) > _DEEPEST:
            raise InputError(
                f"Option {words[0]!r} holds itself, or more than {_MOST_VALUES} values or {_DEEPEST} groups within "
                f"each other."
            )
        if isinstance(value, Mapping):
            keys = [_key(key, name) for key in value]
            return {key: copied(each, (*words, key)) for key, each in zip(keys, value.values(), strict=True)}
        if isinstance(value, list | tuple):
            return [copied(each, (*words, str(number))) for number, each in enumerate(value)]
        if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
            raise InputError(f"Option {name!r} is {shown(value)}; whole numbers of at most 64 bits are allowed.")
        if isinstance(value, str) and (odd := _UNPRINTABLE.search(value)):
            raise InputError(f"Option {name!r} is {shown(value)}, which holds the character {odd[0]!r}.")
        if value is not None and not isinstance(value, str | int | float):
            raise InputError(
                f"Option {name!r} is read by YAML as {_KINDS.get(type(value), type(value).__name__)}; write it in "
                f"quotes if it is a text."
            )
        if value != value:
            raise InputError(f"Option {name!r} is nan, which is no number; write null, or the number that is meant.")
        # NumPy's numbers and texts are subclasses.
        return next((kind(value) for kind in (str, bool, int, float) if isinstance(value, kind)), None)

    return copied(content, (path,) if path else ())


def _key(key: Any, group: str) -> str:
    if key is None:
        # `?` alone is YAML's sign of a key.
        raise InputError(
            f"{f'Option {group!r}' if group else 'The experiment'} has a key without a name, as YAML reads a `?` "
            f"without quotes; write '?' in quotes, a list as ['?']."
        )
    if isinstance(key, bool) or not isinstance(key, str | int | float):
        raise InputError(
            f"{f'Option {group!r}' if group else 'The experiment'} has the key {shown(key)}; write keys in quotes "
            f"(YAML reads yes, no, on and off without them as true and false)."
        )
    return str(key)


def typed_paths(changes: Sequence[str]) -> set[str]:
    """The import paths that the user has typed in changes, and so named in the command.

    Args:
        changes: Changes of the form `a.b=value`, the value being YAML.

    Example:
        >>> sorted(typed_paths(["student.name=mypackage.models:Net", "teacher={model: mypackage:Teacher}"]))
        ['mypackage.models:Net', 'mypackage:Teacher']
    """
    found, left = set[str](), [changed({}, [change]) for change in changes]
    while left:
        value: Any = left.pop()
        if isinstance(value, dict | list):
            left += value.values() if isinstance(value, dict) else value
        elif isinstance(value, str) and (is_import_path(value) or is_address(value)):
            found.add(value)
    return found
