"""Reads weights from safetensors files and loads them into a module, with a message for every tensor that differs."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor, nn

from overproof.data.wording import listed, reason
from overproof.errors import InputError
from overproof.seeds import digest
from overproof.storage.digests import content_digest

PREFIXES = ("", "body.", "model.", "body.model.")
"""Prefixes that wrapper modules may add to the names of a module's tensors."""


def read_tensors(path: Path | str, option: str) -> dict[str, Tensor]:
    """All tensors of a safetensors file.

    Args:
        path: The file.
        option: The option with the path, for error messages: "student.start".

    Raises:
        InputError: There is no such file, or it has another format.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"Option {option!r} is {str(path)!r}; a file that ends in .safetensors is needed.")
    try:
        return safetensors.torch.load(path.read_bytes())
    except OSError as error:
        raise InputError(f"Option {option!r}: {path} cannot be read: {error.strerror}.") from None
    except safetensors.SafetensorError as error:
        raise InputError(f"Option {option!r}: {path} is not a safetensors file: {reason(error)}.") from None


def hash_of_start(path: str) -> str:
    """The hash of a file of initial weights.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return _hash_of(path, content_digest(Path(path)))
    except OSError as error:
        raise InputError(f"Option 'student.start': {path} cannot be read: {error.strerror}.") from None


@functools.lru_cache
def _hash_of(path: str, content: str) -> str:
    """The hash in stored keys, read once for as long as the file has this content."""
    return digest(Path(path).read_bytes(), num_bytes=8)


def put_tensors(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    origin: str,
    *,
    afresh: Sequence[str] = (),
    kept: Sequence[str] = (),
) -> None:
    """Load tensors into a module, all of them or none.

    Their names may lack the prefix that a wrapper module adds.

    Args:
        module: Changed in place.
        tensors: By name.
        origin: Where they come from, for error messages.
        afresh: Prefixes of names whose tensors are not loaded, such as those of a head for other classes.
        kept: Names that are not loaded either; the file may lack them.

    Example:
        >>> import torch
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> put_tensors(layer, {"weight": torch.full((1, 1), 3.0)}, "weights")
        >>> layer.weight.item()
        3.0

    Raises:
        InputError: Tensors are missing, unknown or have another shape; the message lists them.
    """
    own = module.state_dict()
    prefix = max(PREFIXES, key=lambda before: sum(f"{before}{name}" in own for name in tensors))
    found = {f"{prefix}{name}": value for name, value in tensors.items()}
    left = (*(each for each in afresh), *(f"{prefix}{each}" for each in afresh))

    def is_loaded(name: str) -> bool:
        return name not in kept and not any(name == each or name.startswith(f"{each.rstrip('.')}.") for each in left)

    missing = [name for name in own if is_loaded(name) and name not in found]
    unknown = [name for name in found if is_loaded(name) and name not in own]
    other = [
        f"{name!r} is {tuple(found[name].shape)} and must be {tuple(own[name].shape)}"
        for name in own
        if is_loaded(name) and name in found and found[name].shape != own[name].shape
    ]
    differences = [
        *([f"tensors are missing: {listed(missing, limit=5)}"] if missing else []),
        *([f"tensors are unknown: {listed(unknown, limit=5)}"] if unknown else []),
        *([f"shapes differ: {', '.join(other[:5])}{' …' if len(other) > 5 else ''}"] if other else []),
    ]
    if differences:
        raise InputError(f"{origin} does not match the module; {'; '.join(differences)}.")
    state = {name: value for name, value in found.items() if is_loaded(name)}
    module.load_state_dict(state, strict=False)
