"""The precision in which frozen encoders compute."""

import functools
from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch

from overproof.data.wording import listed
from overproof.errors import InputError

Precision = Literal["float32", "bfloat16"]
"""Of weights and layers."""


@functools.cache
def multiplies_bfloat16() -> bool:
    """Whether the GPU, or without one the processor (AMX or AVX-512 BF16), multiplies bfloat16 in hardware."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Older versions of torch do not say.
    able: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def precision_here(precision: str, who: str) -> Precision:
    """A precision as given, or for `auto` the one that is fast on this machine.

    Args:
        precision: `float32`, `bfloat16` or `auto`.
        who: The encoder's name in errors.

    Example:
        >>> precision_here("float32", "'minilm'")
        'float32'

    Raises:
        InputError: It is something else.
    """
    if precision == "auto":
        return "bfloat16" if multiplies_bfloat16() else "float32"
    for known in get_args(Precision):
        if precision == known:
            return known
    raise InputError(
        f"Option precision of {who} is {precision!r}; allowed are {listed(('auto', *get_args(Precision)))}."
    )
