"""The keys under which teacher answers are stored, and the keys of version 0.1.0 for the same answers.

That version put its own number into every key, and described a student that is trained as teacher by the `repr` of a
class and by all training options. What it stored is format 1 of today; when `ANSWERS_FORMAT` is raised, all but
`network_fingerprint` can go.
"""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from overproof.models import ModelSpec, described_student
from overproof.registry import described
from overproof.storage import store
from overproof.storage.keys import canonical_json
from overproof.storage.shard import StoreKey
from overproof.training.options import TrainOptions

FORMER = "overproof 0.1.0"
"""`StoreKey.code` of everything that version 0.1.0 stored."""

_CROSS_FITTED = re.compile(
    r"(?P<teacher>.*) folds=(?P<folds>\d+) seed=(?P<seed>\d+) labelled=(?P<labelled>\w{32}) labels=(?P<labels>\w{32})",
    re.DOTALL,
)
_NETWORK = re.compile(
    r"ModelSpec\(name=(?P<name>.*?), options=(?P<options>\{.*\})"
    r"(?:, start=.* (?P<hash>\w{16}), afresh=(?P<afresh>\(.*\)))?\) (?P<train>\{\"epochs\".*\})",
    re.DOTALL,
)


def network_fingerprint(student: Mapping[str, Any], recipe: TrainOptions) -> str:
    """What the answers of a student that is trained as teacher follow from, besides labels and seed.

    Args:
        student: As `described_student` gives it.
        recipe: How it is trained; how often a checkpoint is written changes nothing.
    """
    return canonical_json({"student": student, "train": described(recipe, without=["checkpoint_seconds"])})


def as_kept(folder: Path, key: StoreKey, former: StoreKey | None = None) -> StoreKey:
    """The key to read or fill a folder with: the given one, or that of an earlier version where it stored them there.

    Args:
        folder: A store, or where one will be.
        key: As this version writes it.
        former: As an earlier version may have written it.

    Raises:
        InputError: The store is damaged.
    """
    kept = store.kept_under(folder)
    if kept is None or not same_of_any([replace(each, data=kept.data) for each in (key, former or key)], kept):
        return key
    return replace(kept, data=key.data)


def same_of_any(keys: Sequence[StoreKey], kept: StoreKey) -> bool:
    """Whether one of some keys names the same stored answers as another.

    Args:
        keys: As this version writes them.
        kept: As for `same`.
    """
    return any(same(key, kept) for key in keys)


def same(key: StoreKey, kept: StoreKey) -> bool:
    """Whether two keys name the same stored answers.

    Args:
        key: As this version writes it.
        kept: As this version or version 0.1.0 wrote it.

    Example:
        >>> key = StoreKey(teacher="onnx", data="d", transform="pool", code="answers 1")
        >>> same(key, replace(key, code="overproof 0.1.0")), same(key, replace(key, code="answers 2"))
        (True, False)
    """
    kept = replace(kept, teacher=_with_encoder(kept.teacher, key.teacher))
    if kept.code == FORMER and key.code in ("answers 1", "encodings 1"):
        return replace(key, code=FORMER) == replace(kept, teacher=_rewritten(kept.teacher))
    return key == kept


def _with_encoder(kept: str, teacher: str) -> str:
    """A saved student's fingerprint of before it named its encoder, with that of the teacher; any other as it is."""
    try:
        before, now = json.loads(kept), json.loads(teacher)
    except ValueError:
        return kept
    if not isinstance(before, dict) or not isinstance(now, dict) or set(before) != {"saved", "weights"}:
        return kept
    return json.dumps({**before, "encoder": now["encoder"]}, sort_keys=True) if "encoder" in now else kept


def _rewritten(words: str) -> str:
    """`StoreKey.teacher` of version 0.1.0 as it is written today; what was not changed since stays."""
    found = _CROSS_FITTED.fullmatch(words)
    if found is None:
        return words
    return canonical_json(
        {
            "teacher": _network(found["teacher"]),
            "folds": int(found["folds"]),
            "seed": int(found["seed"]),
            "labelled": found["labelled"],
            "labels": found["labels"],
        }
    )


def _network(words: str) -> str:
    """The fingerprint of a student that is trained as teacher."""
    found = _NETWORK.fullmatch(words)
    if found is None:
        return words
    try:
        spec = ModelSpec(name=ast.literal_eval(found["name"]), options=ast.literal_eval(found["options"]))
        train = TrainOptions(**json.loads(found["train"]))
    except (ValueError, SyntaxError):
        return words  # options that no longer exist: it is another teacher
    start = {} if found["hash"] is None else {"start": found["hash"]}
    afresh = list(ast.literal_eval(found["afresh"])) if start else []
    return network_fingerprint(described_student(spec) | start | ({"afresh": afresh} if afresh else {}), train)
