"""Predictions of a student for part of the data, kept until all parts are there: a file says whose they are."""

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from torch import Tensor

from overproof.storage import checked

_WHOSE = "whose"


def store_scores(path: Path, scores: Mapping[str, Tensor], whose: str) -> None:
    """Write predictions.

    Args:
        path: The file.
        scores: By role.
        whose: The student that they are of.
    """
    checked.write_bytes(path, safetensors.torch.save(dict(scores), {_WHOSE: whose}))


def stored_scores(path: Path, whose: str) -> dict[str, Tensor] | None:
    """What `store_scores` wrote; None where nothing is stored, or what is there is damaged or of another student.

    Args:
        path: The file.
        whose: As it was written.
    """
    data = checked.bytes_or_none(path)
    if data is None:
        return None
    if metadata_of(data).get(_WHOSE) != whose:
        checked.note_damage(path, "it is of another student")
        return None
    return safetensors.torch.load(data)


def metadata_of(stored: bytes) -> dict[str, str]:
    """The metadata of safetensors, which a save keeps beside its tensors."""
    length = int.from_bytes(stored[:8], "little")
    found: dict[str, str] = json.loads(stored[8 : 8 + length]).get("__metadata__", {})
    return found
