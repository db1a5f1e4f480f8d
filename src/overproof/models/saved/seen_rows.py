"""The rows that a student was made from, as keyed hashes of what it reads: no error rate is promised on them.

    FOLDER/seen.parquet   one column of hashes, sorted within each list; the lists, their keys and what is not known
                          are in the metadata

A row is hashed as its encoder gives it to the module, so that ids, names of files, the order of columns, the type 1 or
1.0, and all that the student does not read make no difference. Rows of numbers are hashed a second time in a way that
finds copies with fewer digits (`overproof.models.saved.near_rows`). For a frozen encoder, whose numbers differ from
machine to machine, the text is hashed instead. A list has 40 bits of each hash: of a million other rows, ten million
hashes match nine by chance. The key is not secret; it only keeps the lists of two data sets from being compared.
"""

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Bool, Float64, Int
from numpy.typing import NDArray
from torch import Tensor

from overproof.data import Examples
from overproof.data.wording import reason
from overproof.errors import InputError
from overproof.models.encoders import Encoder, encoder_from
from overproof.models.inputs import Inputs, join
from overproof.models.saved.digits import Rounding, unsure_rows
from overproof.models.saved.near_rows import Grid, is_numeric, recognised, words_around
from overproof.models.saved.row_hashes import RowHashes, Words, grid_of, hashes, hashes_of, key_of, numbers_in

SEEN = "seen.parquet"

NO_LIST = (
    "has no list of the rows that it was trained on (it was saved by an earlier version or trained by your own code); "
    "distill it again, or name them with `student.trained_on(examples)`"
)
"""Why nothing can be promised, after the student's name."""

_NUMBERS_AT_A_TIME = 2**22
_METADATA = b"overproof"
_FORMAT = 2
_EXACT_ONLY = 1
"""The format of lists that have no second hash."""


@runtime_checkable
class HasPlace(Protocol):
    """Some rows of encoded examples."""

    @property
    def place(self) -> Int[Tensor, "N"]:
        """[N], the rows."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SeenList:
    """Rows of one role.

    Args:
        role: What they were used as, in words, such as "labelled examples".
        key: The key of the hashes.
        encoder: The `config()` of the encoder that read them; empty for the student's own.
        words: Sorted, each once.
        near: Hashes of cells, sorted, each once.
        grid: Of these; None for others than rows of numbers, and for lists of earlier versions.
        exact_only: Whether an earlier version made it, which does not know copies with fewer digits.
    """

    role: str
    key: bytes
    encoder: Mapping[str, Any]
    words: Words
    near: Words
    grid: Grid | None
    exact_only: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsure:
    """Rows of which it is not known whether the student was made from them.

    Args:
        num: Rows that would not be recognised if they were such rows, because one of both has too few digits.
        columns: In which columns, with the decimals and the significant digits that these have.
        exact_only: Whether a list is of an earlier version, which recognises the very same numbers only.
    """

    num: int
    columns: Mapping[str, Rounding]
    exact_only: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class SeenRows:
    """The rows that a student was trained on, chosen by or calibrated on.

    Args:
        data: The content of `seen.parquet`.
        origin: Where it is from, for error messages.
    """

    data: bytes
    origin: str = SEEN

    @cached_property
    def lists(self) -> tuple[SeenList, ...]:
        """The lists.

        Raises:
            InputError: The file is damaged.
        """
        return self._content[0]

    @property
    def unknown(self) -> tuple[str, ...]:
        """What the student was made with whose own training rows are not known, such as a teacher's file.

        Raises:
            InputError: The file is damaged.
        """
        return self._content[1]

    @cached_property
    def _content(self) -> tuple[tuple[SeenList, ...], tuple[str, ...]]:
        try:
            table = pq.read_table(io.BytesIO(self.data), page_checksum_verification=True)
            about = json.loads(table.schema.metadata[_METADATA])
            if about["format"] not in (_EXACT_ONLY, _FORMAT):
                raise InputError(
                    f"{self.origin} has format {about['format']!r}; this version reads {_EXACT_ONLY} and {_FORMAT}."
                )
            grids = [Grid.from_config(each) for each in about.get("grids", ())]
            words = table.column("hash").to_numpy()
            ends = np.cumsum(
                [int(each["num_rows"]) + int(each.get("num_near", 0)) for each in about["lists"]], dtype=np.int64
            )
            if len(words) != (ends[-1] if len(ends) else 0) or words.dtype != np.int64:
                raise ValueError("its lists have other lengths")
            lists = tuple(
                SeenList(
                    role=str(each["role"]),
                    key=bytes.fromhex(each["key"]),
                    encoder=dict(each["encoder"]),
                    words=words[start : start + int(each["num_rows"])],
                    near=words[start + int(each["num_rows"]) : end],
                    grid=None if each.get("grid") is None else grids[each["grid"]],
                    exact_only=bool(each.get("exact_only", about["format"] == _EXACT_ONLY)),
                )
                for each, start, end in zip(about["lists"], [0, *ends], ends, strict=False)
            )
            if any((own[1:] <= own[:-1]).any() for each in lists for own in (each.words, each.near)):
                raise ValueError("its lists are not sorted")
            return lists, tuple(map(str, about["unknown"]))
        except InputError:
            raise
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise InputError(f"{self.origin} is damaged ({reason(error)}); copy the student's folder again.") from None

    def roles(self, encoder: Encoder, examples: Examples) -> dict[str, Bool[np.ndarray, "N"]]:
        """Which examples are in the lists of each role.

        Args:
            encoder: The student's.
            examples: N examples that it can read.

        Raises:
            InputError: The file is damaged, or the examples do not fit the student.
        """
        found = dict[str, Bool[np.ndarray, "N"]]()
        exact, near = dict[Any, Words](), dict[Any, tuple[NDArray[np.int64], Words]]()
        for each in self.lists:
            reading, name = self._reading(each, encoder), (each.key, json.dumps(each.encoder, sort_keys=True))
            if name not in exact:
                exact[name] = hashes(each.key, reading, examples).exact
            own = np.isin(exact[name], each.words)
            if each.grid is not None and len(each.near):
                around = (*name, each.grid)
                if around not in near:
                    near[around] = self._around(each, each.grid, reading, examples)
                rows, words = near[around]
                own[rows[np.isin(words, each.near)]] = True
            found[each.role] = found.get(each.role, np.zeros(len(examples), bool)) | own
        return found

    def _around(
        self, each: SeenList, grid: Grid, reading: Encoder, examples: Examples
    ) -> tuple[NDArray[np.int64], Words]:
        none, start = np.empty(0, np.int64), 0
        owners, words = [none], [none]
        for part, rows in self._rows(grid, reading, examples):
            owner, word = words_around(each.key, grid, reading, rows)
            owners.append(owner + start)
            words.append(word)
            start += len(part)
        return np.concatenate(owners), np.concatenate(words)

    def _rows(
        self, grid: Grid, reading: Encoder, examples: Examples
    ) -> Iterator[tuple[Examples, Float64[np.ndarray, "n D"]]]:
        """Examples as rows of numbers, so many at a time that they fit into memory."""
        num_columns = len(grid.steps)
        size = max(_NUMBERS_AT_A_TIME // max(num_columns, 1), 1)
        if (num_columns,) != reading.input_shape:
            raise InputError(f"{self.origin} is damaged (its grid has {num_columns} columns); copy the folder again.")
        for start in range(0, len(examples), size):
            part = examples.take(np.arange(start, min(start + size, len(examples))))
            encoded = reading.encode(part)
            yield part, numbers_in(encoded, torch.arange(len(encoded)))

    def unsure(self, encoder: Encoder, examples: Examples) -> Unsure:
        """How many rows would not be recognised for the digits they have.

        Args:
            encoder: The student's.
            examples: N examples that it can read.

        Raises:
            InputError: As for `roles`.
        """
        unsure, columns = np.zeros(len(examples), bool), dict[str, Rounding]()
        looked = {(each.grid, json.dumps(each.encoder, sort_keys=True)): each for each in self.lists if each.grid}
        for each in looked.values():
            assert each.grid is not None
            reading = self._reading(each, encoder)
            found = [
                unsure_rows(each.grid.rounding, recognised(each.grid, reading, rows), reading, part)
                for part, rows in self._rows(each.grid, reading, examples)
            ]
            unsure |= np.concatenate([np.empty(0, bool), *(rows for rows, _ in found)])
            for _, named in found:
                columns.update(named)
        exact_only = any(each.exact_only and is_numeric(self._reading(each, encoder)) for each in self.lists)
        return Unsure(num=int(unsure.sum()), columns=columns, exact_only=exact_only)

    def _reading(self, each: SeenList, encoder: Encoder) -> Encoder:
        return self._encoder(each) if each.encoder else encoder

    def _encoder(self, each: SeenList) -> Encoder:
        try:
            return encoder_from(each.encoder)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{self.origin} is damaged ({reason(error)}); copy the student's folder again.") from None

    def has(self, encoder: Encoder, examples: Examples) -> Bool[np.ndarray, "N"]:
        """Which examples are in any list.

        Args:
            encoder: The student's.
            examples: N examples that it can read.

        Raises:
            InputError: As for `roles`.
        """
        found = np.zeros(len(examples), bool)
        for each in self.roles(encoder, examples).values():
            found |= each
        return found

    def inherited(self, encoder: Encoder, whose: str) -> tuple[SeenList, ...]:
        """The lists for a student that was made with this one.

        Args:
            encoder: This one's.
            whose: What this one was to the other, in words, such as "its teacher's".
        """
        config = encoder.config()
        return tuple(
            replace(
                each,
                role=each.role if each.role.startswith(whose) else f"{whose} {each.role}",
                encoder=each.encoder or config,
            )
            for each in self.lists
        )


def seen_rows(lists: Sequence[SeenList], unknown: Iterable[str] = ()) -> SeenRows:
    """Lists as a file.

    Args:
        lists: The rows by role.
        unknown: What the student was made with whose own training rows are not known.
    """
    kept = [each for each in lists if len(each.words)]
    grids = list(dict.fromkeys(each.grid for each in kept if each.grid is not None))
    about = {
        "format": _FORMAT,
        "lists": [
            {
                "role": each.role,
                "num_rows": len(each.words),
                "num_near": len(each.near),
                "key": each.key.hex(),
                "encoder": dict(each.encoder),
                "grid": None if each.grid is None else grids.index(each.grid),
                "exact_only": each.exact_only,
            }
            for each in kept
        ],
        "grids": [each.config() for each in grids],
        "unknown": list(unknown),
    }
    words = np.concatenate([np.empty(0, np.int64), *(each for own in kept for each in (own.words, own.near))])
    metadata = {_METADATA: json.dumps(about, ensure_ascii=False, sort_keys=True).encode()}
    sink = io.BytesIO()
    # Of sorted numbers the differences are stored, with as many bits as they need.
    pq.write_table(
        pa.table({"hash": words}).replace_schema_metadata(metadata),
        sink,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
        column_encoding={"hash": "DELTA_BINARY_PACKED"},
    )
    return SeenRows(data=sink.getvalue())


def rows_of(encoder: Encoder, parts: Sequence[Examples]) -> SeenRows:
    """The rows that a user's own code trained a student on.

    Args:
        encoder: The student's.
        parts: Examples that it can read.
    """
    return seen_rows([listed_examples("training rows", encoder, parts)])


def listed_examples(role: str, encoder: Encoder, parts: Sequence[Examples]) -> SeenList:
    """Examples as a list of the student's own.

    Args:
        role: In words.
        encoder: The student's.
        parts: Examples that it can read.
    """
    key = key_of(each.ids for each in parts)
    numbers = [encoder.encode(each) for each in parts if len(each)] if is_numeric(encoder) else []
    grid = grid_of(encoder, join(numbers)) if numbers else None
    found = [hashes(key, encoder, each, grid) for each in parts]
    none = np.empty(0, np.int64)
    return listed_rows(
        role,
        key,
        RowHashes(
            exact=np.concatenate([none, *(each.exact for each in found)]),
            near=np.concatenate([none, *(each.near for each in found)]),
            grid=grid,
        ),
    )


def rows_of_roles(
    encoder: Encoder,
    inputs: Inputs,
    roles: Mapping[str, tuple[HasPlace, Examples]],
    unknown: Iterable[str] = (),
) -> SeenRows:
    """The rows that a student was made from, which are encoded already.

    Args:
        encoder: The student's.
        inputs: All encoded examples.
        roles: By role, in words: an object with the `place` of its rows in `inputs`, and its examples.
        unknown: As for `seen_rows`.
    """
    key, grid = key_of(examples.ids for _, examples in roles.values()), grid_of(encoder, inputs)
    lists = [
        listed_rows(role, key, hashes_of(key, encoder, inputs, examples.ids, rows.place, grid))
        for role, (rows, examples) in roles.items()
    ]
    return seen_rows(lists, unknown)


def listed_rows(role: str, key: bytes, hashed: RowHashes) -> SeenList:
    """Hashes as a list of the student's own.

    Args:
        role: In words.
        key: The key of the hashes.
        hashed: Of its rows, in any order.
    """
    return SeenList(
        role=role, key=key, encoder={}, words=_sorted(hashed.exact), near=_sorted(hashed.near), grid=hashed.grid
    )


def _sorted(words: Words) -> Words:
    """Each once; `np.unique` takes a hundred times as long for ten million."""
    ordered = np.sort(words)
    return ordered[np.concatenate([np.ones(min(len(ordered), 1), bool), ordered[1:] != ordered[:-1]])]
