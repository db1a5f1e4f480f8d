"""What the students of a run, and the runs of a comparison, have in common: files read and examples encoded once."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from overproof.data import Examples, Source, read
from overproof.encoded import Shelf
from overproof.models import Dense, Encoder, Inputs, Ragged


@dataclass(kw_only=True, slots=True, eq=False)
class _Whole:
    """A set that roles are drawn from, its ids in order, and its last encoding: by whom, and how long it took."""

    examples: Examples
    ids: np.ndarray
    order: np.ndarray
    words: str = ""
    inputs: Inputs | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Shared:
    """What several runs on one machine need to do once. It changes what a run costs and no byte of it.

    Args:
        folder: Where the runs of a comparison keep together what lies on disk and can be made again, and a frozen
            encoder's features; None where each keeps its own.
        runs: The runs' folders, in which a teacher's answers to the same examples are looked for before it is asked.
    """

    folder: Path | None = None
    runs: tuple[Path, ...] = ()
    _read: dict[str, Examples] = field(default_factory=dict)
    _wholes: dict[str, _Whole] = field(default_factory=dict)

    def read(self, source: Source, *, role: str) -> Examples:
        """As `overproof.data.read`, each file once."""
        key = f"{role} {source!r}"
        if key not in self._read:
            self._read[key] = read(source, role=role)
        return self._read[key]

    def announce(self, wholes: Iterable[Examples]) -> None:
        """Say which sets the examples to be encoded are drawn from: seeds draw other roles from the same sets."""
        for each in wholes:
            # Pixels are encoded as they are, and what lies on disk stays there.
            apart = each.kind == "image" or each.mapped is not None
            if not apart and len(each) and (digest := each.digest()) not in self._wholes:
                order = np.argsort(each.ids.view("S16"), kind="stable")
                self._wholes[digest] = _Whole(examples=each, ids=each.ids.view("S16")[order], order=order)

    def encode(self, shelf: Shelf, encoder: Encoder, examples: Examples, spared: list[float] | None = None) -> Inputs:
        """The encoding of examples: some rows of that of the set they were drawn from, which is encoded once.

        Always the whole set, so that a student on a frozen encoder, whose numbers may differ in the last bit with the
        texts beside a text, gets the same ones however often the run was killed.

        Args:
            shelf: Encodes what lies on disk.
            encoder: Fitted.
            examples: Of any announced set, or of none; they are then encoded by themselves.
            spared: Gets the seconds that it would have taken, where the encoding was made before.

        Raises:
            InputError: They are not like those it was fitted on.
        """
        for whole in self._wholes.values() if examples.mapped is None else ():
            rows = _rows_of(examples, whole)
            if rows is not None:
                before = whole.inputs
                made = _encoded(whole, encoder)
                if spared is not None and made is before:
                    spared.append(whole.seconds * len(rows) / len(whole.ids))
                return _taken(made, rows)
        return shelf.encode(encoder, examples)


def _rows_of(examples: Examples, whole: _Whole) -> Int64[Tensor, "M"] | None:
    """Where the examples stand in the set; None where some do not."""
    if len(examples) == 0 or len(examples) > len(whole.ids) or examples.kind != whole.examples.kind:
        return None
    ids = examples.ids.view("S16")
    found = np.searchsorted(whole.ids, ids).clip(max=len(whole.ids) - 1)
    return torch.from_numpy(whole.order[found]) if (whole.ids[found] == ids).all() else None


def _encoded(whole: _Whole, encoder: Encoder) -> Inputs:
    # The last encoder's alone: those of a table differ from seed to seed where they are fitted on other examples.
    words = json.dumps(encoder.config(), sort_keys=True)
    if whole.inputs is None or whole.words != words:
        began = time.perf_counter()
        whole.inputs, whole.words = encoder.encode(whole.examples), words
        whole.seconds = time.perf_counter() - began
    return whole.inputs


def _taken(inputs: Inputs, rows: Int64[Tensor, "M"]) -> Inputs:
    """Some rows as inputs of their own."""
    if isinstance(inputs, Dense):
        return Dense(values=inputs.take(rows))
    assert isinstance(inputs, Ragged), "encoders of examples in memory make these two"
    return inputs.part(rows)
