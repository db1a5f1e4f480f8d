"""An experiment as a short YAML file with comments."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from overproof.runs.first_look.sources import Choices

_WIDTH = 40
"""Comments start at this column where the line is shorter."""


def commented(content: Mapping[str, Any], comments: Mapping[str, str], head: str) -> str:
    """Options as YAML, with words beside some of them.

    Args:
        content: The options by name, nested.
        comments: Words beside an option, by its path.
        head: The first line, a comment.

    Example:
        >>> print(commented({"rows": {"test": 50}, "seeds": [0, 1]}, {"rows.test": "held out"}, "Made by hand."))
        # Made by hand.
        rows:
          test: 50                              # held out
        seeds: [0, 1]
        <BLANKLINE>
    """
    return "\n".join([f"# {head}", *_lines(content, comments, "", 0)]) + "\n"


def _lines(content: Mapping[str, Any], comments: Mapping[str, str], above: str, depth: int) -> Iterator[str]:
    for key, value in content.items():
        path = f"{above}.{key}" if above else str(key)
        start = f"{'  ' * depth}{_flow(key)}:"
        nested = isinstance(value, Mapping) and value and path.split(".")[-1] not in ("columns", "where", "aliases")
        line = start if nested else f"{start} {_flow(value)}"
        words = f"{line:{_WIDTH}}# {comments[path]}" if path in comments else line
        yield words if len(line) < _WIDTH or path not in comments else f"{line}  # {comments[path]}"
        if nested:
            yield from _lines(value, comments, path, depth + 1)


def _flow(value: Any) -> str:
    """A value on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=2**30, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def quoted(word: str) -> str:
    """A word for a shell, in double quotes where these are enough: values in YAML often hold single ones.

    Example:
        >>> print(quoted("tickets.csv"), quoted("a b"), quoted("unlabelled=['NA']"))
        tickets.csv 'a b' "unlabelled=['NA']"
    """
    return f'"{word}"' if "'" in word and not re.search(r'["$`\\!]', word) else shlex.quote(word)


def typed(command: str, data: Sequence[str], choices: Choices) -> str:
    """The command line of these choices.

    Args:
        command: Such as `init`.
        data: The files.
        choices: What the user has said.

    Example:
        >>> typed("init", ["a b.csv"], Choices(label="y"))
        "overproof init 'a b.csv' --label y"
    """
    words = ["overproof", command, *data]
    for option, value in choices.named:
        words += [f"--{option}", value]
    words += [] if choices.query is None else ["--query", choices.query]
    words += [word for path in choices.answers for word in ("--answers", path)]
    words += [word for change in choices.changes for word in ("--set", change)]
    return " ".join(quoted(each) for each in words)


def typed_option(path: str, value: Any) -> str:
    """An option as it is typed in a shell.

    Args:
        path: Such as `teacher.vote`.
        value: Anything that YAML holds.

    Example:
        >>> typed_option("teacher.aliases", {"a; b": "bill"}), typed_option("teacher.vote", "set")
        ("--set 'teacher.aliases={a; b: bill}'", '--set teacher.vote=set')
    """
    return f"--set {quoted(f'{path}={_flow(value)}')}"
