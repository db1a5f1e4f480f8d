"""What the runs of a comparison, and the students of a run, need to do once: reading, opening teachers, encoding."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Int64
from torch import Tensor

from overproof.answers.files import ParsedFiles
from overproof.data import Examples, Source, read
from overproof.models import Dense, Encoder, Inputs, Ragged
from overproof.models.encoding_cache import EncodingCache
from overproof.teachers import Brought, opened
from overproof.teachers.options import ScorerOptions


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
        answer_files: Files of answers that somebody brought, each parsed once.
    """

    folder: Path | None = None
    runs: tuple[Path, ...] = ()
    answer_files: ParsedFiles = field(default_factory=ParsedFiles)
    _opened: dict[str, Brought] = field(default_factory=dict)
    _read: dict[str, Examples] = field(default_factory=dict)
    _wholes: dict[str, _Whole] = field(default_factory=dict)

    def read(self, source: Source, *, role: str) -> Examples:
        """As `overproof.data.read`, each file once."""
        key = f"{role} {source!r}"
        if key not in self._read:
            self._read[key] = read(source, role=role)
        return self._read[key]

    def opened(self, scorer: ScorerOptions, class_names: tuple[str, ...], examples: Examples) -> Brought:
        """As `overproof.teachers.opened`, each model once for as long as its files stay as they are.

        Args:
            scorer: Brought as a model.
            class_names: The run's, in order.
            examples: Some of what it will be asked about; the model is opened anew for others of another form.

        Raises:
            InputError: There is no such teacher, or it does not suit the examples or the classes.
        """
        said = [scorer.model, scorer.options, scorer.classes, scorer.weights, class_names, _form_of(examples)]
        key = json.dumps([*said, _stamps(scorer.model), _stamps(scorer.weights)], sort_keys=True, default=str)
        if key not in self._opened:
            self._opened[key] = opened(
                scorer.model,
                scorer.options,
                class_names,
                examples=examples,
                classes=scorer.classes,
                weights=scorer.weights,
            )
        return self._opened[key]

    def announce(self, wholes: Iterable[Examples]) -> None:
        """Say which sets the examples to be encoded are drawn from: seeds draw other roles from the same sets."""
        for each in wholes:
            # Pixels are encoded as they are, and what lies on disk stays there.
            apart = each.kind == "image" or each.mapped is not None
            if not apart and len(each) and (digest := each.digest()) not in self._wholes:
                order = np.argsort(each.ids.view("S16"), kind="stable")
                self._wholes[digest] = _Whole(examples=each, ids=each.ids.view("S16")[order], order=order)

    def encode(
        self, shelf: EncodingCache, encoder: Encoder, examples: Examples, spared: list[float] | None = None
    ) -> Inputs:
        """The encoding of examples: some rows of that of the set they were drawn from, which is encoded once.

        Always the whole set, so that a student on an encoder of one's own, whose numbers may differ in the last bit
        with what stands beside an example, gets the same ones however often the run was killed.

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


def _form_of(examples: Examples) -> list[str]:
    """What a model that is opened for some examples may take for granted of others: their kind and what they are."""
    first = examples.take(np.arange(min(len(examples), 1)))
    if first.kind == "image":
        return [first.kind, repr(first.image_shape), repr(first.image)]
    return [first.kind, str(first.inputs.schema if isinstance(first.inputs, pa.Table) else "")]


def _stamps(model: str) -> list[tuple[str, int, int]]:
    """Names, sizes and times of a model's files: those in its folder, or its file and what stands beside it."""
    if not model:
        return []
    path = Path(model)
    files = sorted(path.iterdir()) if path.is_dir() else [path, Path(f"{path}.data"), path.parent / "tokenizer.json"]
    found = [(each.name, each.stat()) for each in files if each.is_file()]
    return [(name, about.st_size, about.st_mtime_ns) for name, about in found]


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
