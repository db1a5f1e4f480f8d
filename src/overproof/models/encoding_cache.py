"""Encodings of examples on disk: made once, block by block, and memory-mapped by every student of a run."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from overproof.data import Examples
from overproof.models import Dense, Encoder, Inputs, OnDisk, Placed, Ragged
from overproof.storage import arrays as array_files
from overproof.storage.arrays import Arrays
from overproof.version import __version__

ROWS_PER_BLOCK = 2**12
"""Examples encoded at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodingCache:
    """Where encodings are kept, one folder for each encoder and set of examples.

    Args:
        folder: Of all of them.
    """

    folder: Path

    def encode(self, encoder: Encoder, examples: Examples) -> Inputs:
        """The encoding of examples: in memory where they are, on disk where they lie there.

        All that a run uses of a file is encoded at once, so that roles and seeds share it.

        Args:
            encoder: Fitted.
            examples: N of them.

        Raises:
            InputError: They are not like those it was fitted on.
        """
        held = examples.mapped
        if held is None:
            return encoder.encode(examples)
        used = torch.from_numpy(held.rows)
        if examples.kind == "image":
            # Pixels are encoded as they are.
            encoder.encode(examples.used(slice(0, 0)))
            pixels = OnDisk(inputs=Dense(values=torch.from_numpy(held.pixels)))
            return Placed(inputs=pixels, place=torch.from_numpy(held.used).index_select(0, used))
        words = json.dumps(encoder.config(), sort_keys=True)
        key = hashlib.blake2b(f"{__version__} {words} {examples.kind}".encode() + held.used_ids().tobytes())
        name = key.hexdigest()[:32]
        arrays = array_files.fill(self.folder / name, name, lambda done: _blocks(encoder, examples, done))
        held.release()
        values = torch.from_numpy(arrays["values"])
        if "lengths" not in arrays:
            return Placed(inputs=OnDisk(inputs=Dense(values=values)), place=used)
        offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(arrays["lengths"], dtype=np.int64)]))
        return Placed(inputs=OnDisk(inputs=Ragged(values=values, offsets=offsets)), place=used)


def _blocks(encoder: Encoder, examples: Examples, done: int) -> Iterator[Arrays]:
    assert examples.mapped is not None
    num_used = len(examples.mapped.used)
    for start in range(done * ROWS_PER_BLOCK, num_used, ROWS_PER_BLOCK):
        inputs = encoder.encode(examples.used(slice(start, min(start + ROWS_PER_BLOCK, num_used))))
        if isinstance(inputs, Ragged):
            yield {"values": inputs.values.numpy(), "lengths": inputs.offsets.diff().numpy()}
        else:
            yield {"values": inputs.values.numpy()}
