"""What a language model's answer says: a class, or a JSON object with a class in it."""

import json
import re
from typing import Any

from overproof.answers.form import word_of
from overproof.answers.names import LABELS, plain

_FENCE = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL)


def said(content: str) -> str:
    """The class that an answer names: itself, or what its JSON object has under a name of labels or its only key.

    Args:
        content: The text of the answer.

    Example:
        >>> said(" pos "), said('{"label": "neg", "why": "torn"}'), said('```json\\n{"queue": "billing"}\\n```')
        ('pos', 'neg', 'billing')
    """
    bare = content.strip()
    fenced = _FENCE.fullmatch(bare)
    bare = fenced[1] if fenced else bare
    if not bare.startswith("{"):
        return bare
    try:
        found: Any = json.loads(bare)
    except (ValueError, RecursionError):
        return bare
    named = [key for key in found if plain(key) in LABELS] or (list(found) if len(found) == 1 else [])
    value = found[named[0]] if len(named) == 1 else None
    return bare if value is None or isinstance(value, list | dict) else str(word_of(value))
