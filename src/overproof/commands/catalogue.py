"""The names that the command line lists and completes, read from a generated file so that no command imports torch.

`catalogue.json` is written by `make docs` from the registry of methods and the options of an experiment, which remain
the only source: a test compares the file with them. Reading the registry itself would import torch and every method:
three seconds of processor time for a list of names.
"""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from overproof import papers
from overproof.papers import Paper


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedMethod:
    """A registered method as text.

    Args:
        name: Its name on the command line and in experiments.
        summary: The first sentence of its docstring.
        paper: The work it comes from; None for a baseline without one.
        parts: Its parts with their options, by the path that changes them.
    """

    name: str
    summary: str
    paper: Paper | None
    parts: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """All names that the command line knows.

    Args:
        methods: In the order of registration.
        selectors: Names for `overproof select --rule`.
        options: Names for `--set`, such as `train.epochs`.
    """

    methods: tuple[ListedMethod, ...]
    selectors: tuple[str, ...]
    options: tuple[str, ...]


def read_catalogue() -> Catalogue:
    """Read the generated file.

    Example:
        >>> read_catalogue().methods[0].name
        'labelled_only'
    """
    content: dict[str, Any] = json.loads((resources.files("overproof.commands") / "catalogue.json").read_text())
    by_key = {paper.key: paper for paper in vars(papers).values() if isinstance(paper, Paper)}
    methods = [
        ListedMethod(**{**each, "paper": by_key[each["paper"]] if each["paper"] else None})
        for each in content["methods"]
    ]
    return Catalogue(methods=tuple(methods), selectors=tuple(content["selectors"]), options=tuple(content["options"]))
