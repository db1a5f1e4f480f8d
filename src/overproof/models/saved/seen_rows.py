"""The rows that a student was made from, as keyed hashes of what it reads: no error rate is promised on them.

    FOLDER/seen.parquet   one column of hashes, sorted within each list; the lists, their keys and what is not known
                          are in the metadata

A row is hashed as its encoder gives it to the module, so that ids, names of files, the order of columns, the type 1 or
1.0, and all that the student does not read make no difference. For a frozen encoder, whose numbers differ from machine
to machine, the text is hashed instead. A list has 40 bits of each hash: of a million other rows, ten million hashes
match nine by chance. The key is not secret; it only keeps the lists of two data sets from being compared.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Bool, Int, Int64
from numpy.typing import NDArray
from torch import Tensor

from overproof.data import Examples
from overproof.data.ids import text_ids
from overproof.data.wording import reason
from overproof.errors import InputError
from overproof.models.encoders import EmbeddingEncoder, Encoder, encoder_from
from overproof.models.inputs import Inputs, Joined, OnDisk, Placed, Ragged, part_of

SEEN = "seen.parquet"

NO_LIST = (
    "has no list of the rows that it was trained on (it was saved by an earlier version or trained by your own code); "
    "distill it again, or name them with `student.trained_on(examples)`"
)
"""Why nothing can be promised, after the student's name."""

_BITS, _AT_A_TIME = 40, 2**14
_METADATA = b"overproof"
_FORMAT = 1

Words = NDArray[np.int64]
"""[N], hashes in 0..2**40 - 1."""


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
    """

    role: str
    key: bytes
    encoder: Mapping[str, Any]
    words: Words


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
            if about["format"] != _FORMAT:
                raise InputError(f"{self.origin} has format {about['format']!r}; this version reads {_FORMAT}.")
            words = table.column("hash").to_numpy()
            ends = np.cumsum([int(each["num_rows"]) for each in about["lists"]], dtype=np.int64)
            if len(words) != (ends[-1] if len(ends) else 0) or words.dtype != np.int64:
                raise ValueError("its lists have other lengths")
            lists = tuple(
                SeenList(
                    role=str(each["role"]),
                    key=bytes.fromhex(each["key"]),
                    encoder=dict(each["encoder"]),
                    words=words[end - int(each["num_rows"]) : end],
                )
                for each, end in zip(about["lists"], ends, strict=True)
            )
            if any((each.words[1:] <= each.words[:-1]).any() for each in lists):
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
        hashed = dict[tuple[bytes, str], Words]()
        for each in self.lists:
            name = each.key, json.dumps(each.encoder, sort_keys=True)
            if name not in hashed:
                reading = self._encoder(each) if each.encoder else encoder
                hashed[name] = hashes(each.key, reading, examples)
            own = np.isin(hashed[name], each.words)
            found[each.role] = found.get(each.role, np.zeros(len(examples), bool)) | own
        return found

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
            SeenList(
                role=each.role if each.role.startswith(whose) else f"{whose} {each.role}",
                key=each.key,
                encoder=each.encoder or config,
                words=each.words,
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
    about = {
        "format": _FORMAT,
        "lists": [
            {"role": each.role, "num_rows": len(each.words), "key": each.key.hex(), "encoder": dict(each.encoder)}
            for each in kept
        ],
        "unknown": list(unknown),
    }
    words = np.concatenate([np.empty(0, np.int64), *(each.words for each in kept)])
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
    key = key_of(each.ids for each in parts)
    words = [np.empty(0, np.int64), *(hashes(key, encoder, each) for each in parts)]
    return seen_rows([listed_rows("training rows", key, np.concatenate(words))])


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
    key = key_of(examples.ids for _, examples in roles.values())
    lists = [
        listed_rows(role, key, hashes_of(key, encoder, inputs, examples.ids, rows.place))
        for role, (rows, examples) in roles.items()
    ]
    return seen_rows(lists, unknown)


def listed_rows(role: str, key: bytes, words: Words) -> SeenList:
    """Hashes as a list of the student's own.

    Args:
        role: In words.
        key: The key of the hashes.
        words: In any order.
    """
    return SeenList(role=role, key=key, encoder={}, words=_sorted(words))


def key_of(ids: Iterable[NDArray[Any]]) -> bytes:
    """The key for some data, from their content ids.

    Args:
        ids: Of each role.
    """
    state = hashlib.blake2b(b"seen rows", digest_size=16)
    for each in ids:
        state.update(np.ascontiguousarray(each).tobytes())
    return state.digest()


def hashes(key: bytes, encoder: Encoder, examples: Examples) -> Words:
    """Hashes of what a student reads of some examples.

    Args:
        key: The key.
        encoder: The student's.
        examples: N examples.

    Raises:
        InputError: They do not fit the student.
    """
    parts = [
        hashes_of(key, encoder, encoder.encode(part), np.empty(0))
        if not isinstance(encoder, EmbeddingEncoder)
        else hashes_of(key, encoder, None, text_ids(part.inputs))
        for part in examples.parts()
    ]
    return np.concatenate([np.empty(0, np.int64), *parts])


def hashes_of(
    key: bytes, encoder: Encoder, inputs: Inputs | None, ids: NDArray[Any], place: Int64[Tensor, "N"] | None = None
) -> Words:
    """Hashes of examples that are encoded already.

    Args:
        key: The key.
        encoder: Which encoded them.
        inputs: The encoded examples; not read for a frozen encoder.
        ids: [N], their content ids; read only for a frozen encoder.
        place: [N], their rows of the inputs; None takes all in order.
    """
    state = hashlib.blake2b(digest_size=8, key=key)
    found = bytearray()
    if isinstance(encoder, EmbeddingEncoder):
        _add(found, state, np.ascontiguousarray(ids).view(np.uint8).reshape(-1, 16))
    else:
        assert inputs is not None
        rows = torch.arange(len(inputs)) if place is None else place
        for some in rows.split(_AT_A_TIME) if len(rows) else ():
            if _is_ragged(inputs):
                part = part_of(inputs, some)
                features, ends = part.values.numpy(), part.offsets.tolist()
                _add(found, state, [features[start:stop] for start, stop in pairwise(ends)])
            else:
                batch = inputs.take(some)
                # So that -0.0 is 0.0.
                batch = batch + 0.0 if batch.is_floating_point() else batch
                _add(found, state, batch.contiguous().numpy().view(np.uint8).reshape(len(some), -1))
    whole = np.frombuffer(bytes(found), "<u8")
    words: Words = (whole >> np.uint64(64 - _BITS)).astype(np.int64)
    return words


def _add(found: bytearray, state: "hashlib.blake2b", rows: Iterable[Any]) -> None:
    for row in rows:
        own = state.copy()
        own.update(row)
        found += own.digest()


def _is_ragged(inputs: Inputs) -> bool:
    if isinstance(inputs, Joined):
        return _is_ragged(inputs.parts[0])
    if isinstance(inputs, Placed | OnDisk):
        return _is_ragged(inputs.inputs)
    return isinstance(inputs, Ragged)


def _sorted(words: Words) -> Words:
    """Each once; `np.unique` takes a hundred times as long for ten million."""
    ordered = np.sort(words)
    return ordered[np.concatenate([np.ones(min(len(ordered), 1), bool), ordered[1:] != ordered[:-1]])]
