"""What the runs of a comparison and the students of a run share: each file read, teacher opened, set encoded once.

And where the work of all of them is done (`engine`).
"""

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
from overproof.answers.opened import Aligned
from overproof.answers.tables import as_text
from overproof.answers.tools import AUTO
from overproof.data import Examples, Source, read
from overproof.data.options import DataOptions
from overproof.errors import InputError
from overproof.models import Dense, Encoder, Inputs, Ragged
from overproof.models.encoding_cache import EncodingCache
from overproof.processes import HERE, Engine
from overproof.storage.digests import content_digest
from overproof.storage.id_index import IdIndex
from overproof.teachers import Brought, brought_kind_of, joined_by
from overproof.teachers.options import ScorerOptions


@dataclass(kw_only=True, slots=True, eq=False)
class _EncodedSet:
    """A set that roles are drawn from: where each id is, its last encoding, the encoder and the seconds it took."""

    examples: Examples
    index: IdIndex
    encoder: str = ""
    inputs: Inputs | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Caches:
    """What several runs on one machine share. It changes what a run costs and no byte of its result.

    Args:
        folder: Where the runs of a comparison keep staged inputs, encodings and a frozen encoder's features together;
            None where each run keeps its own.
        runs: The runs' folders, in which a teacher's answers to the same examples are looked up before it computes
            them.
        answer_files: Parsed files of answers.
        engine: Where shards are answered and students are trained.
        asked: By the options of a teacher that is asked at an address: the same as one with a file of answers, and a
            sentence about it.
    """

    folder: Path | None = None
    runs: tuple[Path, ...] = ()
    engine: Engine = HERE
    answer_files: ParsedFiles = field(default_factory=ParsedFiles)
    asked: dict[str, tuple[ScorerOptions, str]] = field(default_factory=dict)
    _answers: dict[str, ParsedFiles] = field(default_factory=dict)
    _opened: dict[str, Brought] = field(default_factory=dict)
    _read: dict[str, Examples] = field(default_factory=dict)
    _sets: dict[str, _EncodedSet] = field(default_factory=dict)

    def elsewhere(self) -> "Caches":
        """The same for another process, which has read nothing yet and works by itself."""
        return Caches(folder=self.folder, runs=self.runs, asked=self.asked)

    def read(self, source: Source, *, role: str) -> Examples:
        """As `overproof.data.read`, each file once."""
        key = f"{role} {source!r}"
        if key not in self._read:
            self._read[key] = read(source, role=role)
        return self._read[key]

    def in_files(self, scorer: ScorerOptions) -> ScorerOptions:
        """A teacher that was asked at an address as one with a file of answers; any other as it is.

        Args:
            scorer: A teacher, or one of several.
        """
        return self.asked[scorer.key][0] if scorer.asks and scorer.key in self.asked else scorer

    def answers_of(self, scorer: ScorerOptions, data: DataOptions) -> ParsedFiles:
        """The parsed files of answers of one scorer, with its names of columns and classes.

        Args:
            scorer: With files of answers.
            data: The files whose rows they answer.

        Raises:
            InputError: Rows are to be aligned with a file of which inputs are on disk, or rows left out.
        """
        said = [scorer.columns, scorer.aliases, scorer.classes, scorer.answer_from]
        if not any(said) and scorer.format == AUTO and scorer.align == "id":
            return self.answer_files
        key = json.dumps([*said, scorer.format, scorer.align], sort_keys=True)
        if scorer.align == "rows":
            key += json.dumps(scorer.answers) + repr(data.files)
        if key not in self._answers:
            self._answers[key] = ParsedFiles(
                columns=scorer.columns,
                aliases=scorer.aliases,
                format=scorer.format,
                classes=scorer.classes,
                answer_from=scorer.answer_from,
                aligned=self._aligned(scorer, data) if scorer.align == "rows" else None,
            )
        return self._answers[key]

    def _aligned(self, scorer: ScorerOptions, data: DataOptions) -> Aligned:
        """The rows of all files of the data, end to end, a test of its own last."""
        roles = sorted(data.files, key=lambda role: role == "test")
        if on_disk := [role for role in roles if data.is_on_disk(role)]:
            raise InputError(
                f"Option 'teacher.align' is 'rows', and the inputs of {on_disk[0]} are kept on disk; write the data's "
                f"id column into the files of answers."
            )
        if short := [role for role in roles if data.files[role].missing == "drop"]:
            raise InputError(
                f"Option 'teacher.align' is 'rows', and 'data.files.{short[0]}.missing' is 'drop', so that rows of the "
                f"data may be left out and all later ones be answered wrongly; write the data's id column into both."
            )
        data, _ = data.in_one_width()
        read = [self.read(data.files[role], role=role) for role in roles]
        return Aligned(
            paths=tuple(map(Path, scorer.answers)),
            ids=pa.concat_arrays([as_text(joined_by(each)) for each in read]),
            sources=tuple((each.origin, len(each)) for each in read),
            test_is_last=len(roles) > 1 and roles[-1] == "test",
        )

    def opened(self, scorer: ScorerOptions, class_names: tuple[str, ...], examples: Examples) -> Brought:
        """As `overproof.teachers.opened`, each model once for as long as its files stay as they are.

        Args:
            scorer: Brought as a model.
            class_names: The run's, in order.
            examples: Some of those it will answer; the model is opened anew for examples of another form.

        Raises:
            InputError: There is no such teacher, or it does not suit the examples or the classes.
        """
        settings = [scorer.model, scorer.options, scorer.classes, scorer.weights, class_names, _form_of(examples)]
        kind = brought_kind_of(scorer)
        key = json.dumps([*settings, _contents(kind.files(scorer))], sort_keys=True, default=str)
        if key not in self._opened:
            self._opened[key] = kind.open(scorer, class_names, examples)
        return self._opened[key]

    def share_encodings(self, sets: Iterable[Examples]) -> None:
        """Encode each of these sets once, whatever examples are drawn from it: seeds draw other roles from the same.

        Args:
            sets: What examples to be encoded are drawn from.
        """
        for each in sets:
            # Pixels are encoded as they are, and inputs on disk stay there.
            apart = each.kind == "image" or each.mapped is not None
            if not apart and len(each) and (digest := each.digest()) not in self._sets:
                self._sets[digest] = _EncodedSet(examples=each, index=IdIndex(each.ids))

    def encode(
        self, on_disk: EncodingCache, encoder: Encoder, examples: Examples, saved: list[float] | None = None
    ) -> Inputs:
        """The encoding of examples: some rows of that of the set they were drawn from, which is encoded once.

        Always the whole set is encoded: the numbers of a user's own encoder may differ in the last bit with the other
        examples of a batch, and must be the same however often the run was killed.

        Args:
            on_disk: Encodes examples whose inputs are on disk.
            encoder: Fitted.
            examples: Drawn from a shared set, or from none; they are then encoded by themselves.
            saved: Gets the seconds that it would have taken, where the encoding was made before.

        Raises:
            InputError: They are not like those it was fitted on.
        """
        for shared in self._sets.values() if examples.mapped is None else ():
            rows = _rows_of(examples, shared)
            if rows is not None:
                before = shared.inputs
                made = _encoded(shared, encoder)
                if saved is not None and made is before:
                    saved.append(shared.seconds * len(rows) / len(shared.examples))
                return _taken(made, rows)
        return on_disk.encode(encoder, examples)


def _form_of(examples: Examples) -> list[str]:
    """What a model that is opened for some examples may rely on for others: their kind, and shape or columns."""
    first = examples.take(np.arange(min(len(examples), 1)))
    if first.kind == "image":
        return [first.kind, repr(first.image_shape), repr(first.image)]
    return [first.kind, str(first.inputs.schema if isinstance(first.inputs, pa.Table) else "")]


def _contents(files: Iterable[Path]) -> list[tuple[str, str]]:
    """Names and digests of a model's files."""
    return [(each.name, content_digest(each)) for each in files if each.is_file()]


def _rows_of(examples: Examples, shared: _EncodedSet) -> Int64[Tensor, "M"] | None:
    """The rows of the set that hold the examples; None where some are not in it."""
    if len(examples) == 0 or len(examples) > len(shared.examples) or examples.kind != shared.examples.kind:
        return None
    rows, known = shared.index.find(examples.ids)
    return torch.from_numpy(rows) if known.all() else None


def _encoded(shared: _EncodedSet, encoder: Encoder) -> Inputs:
    # The last encoder's alone: those of a table differ from seed to seed where they are fitted on other examples.
    config = json.dumps(encoder.config(), sort_keys=True)
    if shared.inputs is None or shared.encoder != config:
        began = time.perf_counter()
        shared.inputs, shared.encoder = encoder.encode(shared.examples), config
        shared.seconds = time.perf_counter() - began
    return shared.inputs


def _taken(inputs: Inputs, rows: Int64[Tensor, "M"]) -> Inputs:
    """Some rows as inputs of their own."""
    if isinstance(inputs, Dense):
        return Dense(values=inputs.take(rows))
    assert isinstance(inputs, Ragged), "encoders of examples in memory make these two"
    return inputs.part(rows)
