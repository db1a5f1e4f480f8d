"""Changes of options in a command: `--set a.b=value`, the value being YAML."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from overproof.errors import InputError
from overproof.models.importing import is_import_path


def changed(content: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """A copy of some options with changes of the form `a.b=value` applied, the value being YAML.

    Args:
        content: Options by name, nested.
        changes: The changes, in order.

    Raises:
        InputError: A change of another form.
    """
    copy: dict[str, Any] = json.loads(json.dumps(content))
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals or not path:
            raise InputError(f"--set {change!r} must look like option=value, for instance train.epochs=5.")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise InputError(f"--set {change!r}: the value is not valid YAML.") from None
        node: Any = copy
        *groups, last = path.split(".")
        for group in groups:
            if not isinstance(node.setdefault(group, {}), dict):
                raise InputError(f"--set {change!r}: {group!r} is a value or a list, not a group of options.")
            node = node[group]
        node[last] = value
    return copy


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
        elif isinstance(value, str) and is_import_path(value):
            found.add(value)
    return found
