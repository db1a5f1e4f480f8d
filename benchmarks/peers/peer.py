"""The form of a peer: a function that is fitted on a seed's material, counted in lines, seconds, bytes and memory."""

import inspect
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold

PEERS: dict[str, "Peer"] = {}


@dataclass(frozen=True)
class Fitted:
    """A fitted peer.

    Args:
        classify: Raw inputs to class indices.
        parts: scikit-learn objects that would be saved.
        chosen: Options that the labels chose.
        folder: Files that must be shipped beside them.
        of_vectors: As `classify`, from the encoder's stored vectors of the test; None where it reads none.
        size: Bytes beside parts and folder.
    """

    classify: Callable[[Any], np.ndarray]
    parts: Sequence[Any] = ()
    chosen: str = ""
    folder: Path | None = None
    of_vectors: Callable[[np.ndarray], np.ndarray] | None = None
    size: int = 0

    def num_bytes(self) -> int:
        """Bytes of what would be shipped: parts as they are pickled, plus files."""
        pickled = io.BytesIO()
        if self.parts:
            torch.save(list(self.parts), pickled)
        files = [path for path in self.folder.rglob("*") if path.is_file()] if self.folder else []
        return self.size + len(pickled.getvalue()) + sum(path.stat().st_size for path in files)


@dataclass(frozen=True)
class Peer:
    """A named peer; `helpers` are the functions that it calls, and that its user would have to write too."""

    title: str
    fit: Callable[[Any], Fitted]
    helpers: tuple[Callable, ...] = ()
    vectors: tuple[str, ...] = field(default=())

    @property
    def lines(self) -> int:
        """Lines of code that a user would write, without blank lines, comments and docstrings."""
        return sum(map(lines_of, (self.fit, *self.helpers)))


def peer(title: str, *helpers: Callable, vectors: tuple[str, ...] = ()) -> Callable:
    """Name a peer.

    Args:
        title: In the table.
        helpers: Functions that it calls.
        vectors: Roles whose stored vectors it reads; the encoder's seconds for them are added to its own.
    """

    def named(fit):
        PEERS[fit.__name__] = Peer(title, fit, helpers, vectors)
        return fit

    return named


def lines_of(function: Callable) -> int:
    """Lines of a function's code, without its decorator, blank lines, comments and docstring."""
    source = inspect.getsource(function)
    if function.__doc__:
        source = source.replace(f'"""{function.__doc__}"""', "")
    lines = [line.strip() for line in source.splitlines()]
    start = next(number for number, line in enumerate(lines) if line.startswith("def "))
    return sum(bool(line) and not line.startswith("#") for line in lines[start:])


def folds(label: np.ndarray, number: int = 3) -> list[tuple[np.ndarray, np.ndarray]]:
    """Stratified folds of labelled rows, shuffled by a fixed seed."""
    parts = StratifiedKFold(number, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        # A class may have fewer rows than there are folds.
        warnings.simplefilter("ignore", UserWarning)
        return list(parts.split(np.zeros(len(label)), label))
