"""What stored content is kept under: numbers of formats, and canonical JSON of what the content follows from.

A key is read again by later versions, so nothing in it may change with a release. It holds registered names and the
options that differ from their defaults (`overproof.registry.described`), never the package's version, the name of a
class or a `repr`: a new option with a default, or a renamed class, leaves every key as it was.

The number of the format covers what the key does not hold. **Raise it by one whenever the same options give other
content**: a changed default, a corrected computation, another layout of the bytes. Content of the former number is then
refused (stores, checkpoints) or made again (encodings, staged files).
"""

import json
from typing import Any

ANSWERS_FORMAT = 1
"""Stored teacher answers, those of peers among them."""

ENCODING_FORMAT = 1
"""Encoded examples, and the features of frozen encoders."""

CHECKPOINT_FORMAT = 2
"""Checkpoints of trainings and the notes of a search for ξ."""

STAGED_FORMAT = 2
"""Inputs of large files that are kept as arrays on disk."""

ANSWERS = f"answers {ANSWERS_FORMAT}"
"""`StoreKey.code` of stored answers."""

ENCODINGS = f"encodings {ENCODING_FORMAT}"
"""`StoreKey.code` of stored features."""


def canonical_json(value: Any) -> str:
    """JSON that is the same for equal values: keys sorted, no spaces, floats as `repr` writes them.

    Args:
        value: Plain data.

    Example:
        >>> canonical_json({"b": 1e-05, "a": ["ξ", None]})
        '{"a":["ξ",null],"b":1e-05}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
