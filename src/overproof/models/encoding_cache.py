"""Cache of encoded examples on disk: encoded once, block by block, and memory-mapped by every student of a run."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from overproof.data import Examples
from overproof.data.mapped import MappedInputs, offsets_of
from overproof.models import Dense, Encoder, Inputs, OnDisk, Placed, Ragged
from overproof.seeds import hasher
from overproof.storage import arrays as array_files
from overproof.storage.arrays import Arrays
from overproof.storage.keys import ENCODING_FORMAT, canonical_json

ROWS_PER_BLOCK = 2**12
"""Examples encoded at a time."""

_IDS_AT_A_TIME = 2**16


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodingCache:
    """The folder of encodings, with one subfolder for each encoder and set of examples.

    Args:
        folder: The folder.
    """

    folder: Path

    def encode(self, encoder: Encoder, examples: Examples) -> Inputs:
        """The encoding of examples, in memory or on disk, like the examples.

        All rows of a file that a run uses are encoded at once, so that roles and seeds share the encoding.

        Args:
            encoder: A fitted encoder.
            examples: N examples.

        Raises:
            InputError: The examples do not match those the encoder was fitted on.
        """
        held = examples.mapped
        if held is None:
            return encoder.encode(examples)
        used = torch.from_numpy(held.rows)
        if examples.kind == "image":
            # Pixels are not changed by their encoder.
            encoder.encode(examples.used(slice(0, 0)))
            pixels = OnDisk(inputs=Dense(values=torch.from_numpy(held.pixels)))
            return Placed(inputs=pixels, place=torch.from_numpy(held.used).index_select(0, used))
        name = self._name(encoder.config(), examples.kind, held)
        arrays = array_files.fill(self.folder / name, name, lambda done: _blocks(encoder, examples, done))
        held.release()
        values = torch.from_numpy(arrays["values"])
        if "lengths" not in arrays:
            return Placed(inputs=OnDisk(inputs=Dense(values=values)), place=used)
        offsets = torch.from_numpy(offsets_of(arrays["lengths"]))
        return Placed(inputs=OnDisk(inputs=Ragged(values=values, offsets=offsets)), place=used)

    def _name(self, config: Mapping[str, Any], kind: str, held: MappedInputs) -> str:
        """The folder of an encoding: from what it follows, or where version 0.1.0 has put the very same."""
        if ENCODING_FORMAT == 1:
            words = f"0.1.0 {json.dumps(config, sort_keys=True)} {kind}"
            former = _with_ids(hasher(words.encode(), num_bytes=64), held)[:32]
            if (self.folder / former).is_dir():
                return former
        words = canonical_json({"format": ENCODING_FORMAT, "encoder": config, "kind": kind})
        return _with_ids(hasher(words.encode() + b"\0"), held)


def _with_ids(found: "hashlib.blake2b", held: MappedInputs) -> str:
    """The digest of what was hashed and of the ids of all rows that a run uses."""
    for start in range(0, len(held.used), _IDS_AT_A_TIME):
        found.update(held.used_ids(slice(start, start + _IDS_AT_A_TIME)).tobytes())
    return found.hexdigest()


def _blocks(encoder: Encoder, examples: Examples, done: int) -> Iterator[Arrays]:
    assert examples.mapped is not None
    num_used = len(examples.mapped.used)
    for start in range(done * ROWS_PER_BLOCK, num_used, ROWS_PER_BLOCK):
        inputs = encoder.encode(examples.used(slice(start, min(start + ROWS_PER_BLOCK, num_used))))
        if start // ROWS_PER_BLOCK % 64 == 63:
            examples.mapped.release()
        if isinstance(inputs, Ragged):
            yield {"values": inputs.values.numpy(), "lengths": inputs.offsets.diff().numpy()}
        else:
            yield {"values": inputs.values.numpy()}
