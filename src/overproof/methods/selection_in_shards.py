"""Selection over the shards of a pool: two passes, each a function of one shard; exact, and in little memory.

1. Of each shard: how many rows each class has, and every so many-th key of its order. A key is what rows are ordered
   by, the score and for equal ones the hash of the id. From these follows, of each group, a key that is surely not too
   early: the first one before which there are as many rows as are wanted, however the rows between two keys lie.
2. Of each shard: the rows up to that key, the candidates. There are at most as many too many as lie between two keys
   of a shard, and these are cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overproof.answers.predictions import Answers
from overproof.errors import InputError
from overproof.functional.top_k import Hashed, refuse_nan
from overproof.methods.selectors.adaptive import Adaptive, class_thresholds
from overproof.methods.selectors.confident import Confident
from overproof.methods.selectors.everything import Everything
from overproof.methods.selectors.nothing import Nothing
from overproof.methods.selectors.per_class import PerClass, ShortClasses, quotas_of
from overproof.methods.selectors.random import Random
from overproof.methods.selectors.selector import Selector, counted, log_confidence, num_rows

NUM_KEYS = 256
"""Keys of a shard that the first pass gives, and one more for each group."""

_KEY = np.dtype([("rank", "<u4"), ("hash", "<u8")])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ShardSummary:
    """What the first pass finds in a shard of n rows and K classes.

    Args:
        num: n.
        labels: [K], rows of each class.
        named: [K], the same without rows that name no class.
        confident: [K], rows above the threshold of `Adaptive`; 0 for other selectors.
        keys: For each group the chosen keys, rising.
        steps: For each group how many rows there are up to each of its keys, from the key before.
    """

    num: int
    labels: NDArray[np.int64]
    named: NDArray[np.int64]
    confident: NDArray[np.int64]
    keys: tuple[NDArray[Any], ...]
    steps: tuple[NDArray[np.int64], ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Candidates:
    """Rows of a shard that may be chosen.

    Args:
        rows: [m], their numbers in the shard, rising.
        group: [m], the group of each.
        keys: [m], what they are ordered by within it.
    """

    rows: NDArray[np.int64]
    group: NDArray[np.int64]
    keys: NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ShardLimits:
    """What follows from the summaries of all shards.

    Args:
        quotas: Of each group the rows that are wanted; None where all up to the limit are.
        keys: Of each group a key that none of them comes after; None where a group has none, or all of it is wanted.
        thresholds: [K], of `Adaptive`.
    """

    quotas: NDArray[np.int64] | None
    keys: tuple[Any, ...]
    thresholds: NDArray[np.float64]


def knows(selector: Selector) -> bool:
    """Whether a selector can choose shard by shard; one that is defined elsewhere needs all rows at once."""
    return isinstance(selector, Confident | PerClass | Random | Adaptive | Everything | Nothing)


def summary(selector: Selector, answers: Answers, start: int) -> ShardSummary:
    """The first pass over a shard.

    Args:
        selector: One that is known here.
        answers: The shard's.
        start: The number of its first row in the pool.

    Raises:
        InputError: A score is NaN.
    """
    label = answers.class_indices[:, 0].numpy().astype(np.int64)
    labels = counted(label, answers.num_classes)
    confident = np.zeros_like(labels)
    if isinstance(selector, Adaptive):
        sure = _confidences(answers, start) > selector.confidence
        confident = np.bincount(label[sure], minlength=len(labels))
    keys, steps = list[NDArray[Any]](), list[NDArray[np.int64]]()
    if isinstance(selector, Confident | PerClass | Random):
        found, group, num = _keys(selector, answers, start), _group(selector, answers), _num_groups(selector, answers)
        every = max(1, len(answers) // NUM_KEYS)
        for index in range(num):
            mine = np.sort(found[group == index], order=("rank", "hash"))
            ends = np.arange(every - 1, len(mine), every)
            if len(mine) and (not len(ends) or ends[-1] != len(mine) - 1):
                ends = np.append(ends, len(mine) - 1)
            keys.append(mine[ends])
            steps.append(np.diff(ends, prepend=-1))
    return ShardSummary(
        num=len(answers),
        labels=labels,
        named=counted(label[answers.names_class.numpy()], answers.num_classes),
        confident=confident,
        keys=tuple(keys),
        steps=tuple(steps),
    )


def limits(selector: Selector, summaries: Sequence[ShardSummary]) -> ShardLimits:
    """What the second pass needs to know of all shards.

    Args:
        selector: As in `summary`.
        summaries: Of every shard.

    Raises:
        InputError: As the selector itself.
    """
    labels, none = sum((each.labels for each in summaries), np.zeros(1, np.int64)), np.zeros(0)
    if isinstance(selector, Adaptive):
        confident = sum((each.confident for each in summaries), np.zeros(1, np.int64))
        if not confident.any():
            raise InputError(f"No row has a score above confidence {selector.confidence}; give a lower one.")
        return ShardLimits(quotas=None, keys=(), thresholds=class_thresholds(confident, selector.confidence))
    if isinstance(selector, PerClass):
        quotas = quotas_of(selector.quota, labels)
        short = {k: (int(labels[k]), int(quotas[k])) for k in np.flatnonzero(quotas > labels).tolist()}
        if short:
            raise ShortClasses(short)
    elif isinstance(selector, Confident | Random):
        quotas = np.array([num_rows(selector.budget, sum(each.num for each in summaries))])
    else:
        return ShardLimits(quotas=None, keys=(), thresholds=none)
    return ShardLimits(
        quotas=quotas,
        keys=tuple(_limit(summaries, group, int(quota)) for group, quota in enumerate(quotas.tolist())),
        thresholds=none,
    )


def candidates(selector: Selector, answers: Answers, start: int, found: ShardLimits) -> Candidates:
    """The second pass over a shard.

    Args:
        selector: As in `summary`.
        answers: The shard's.
        start: The number of its first row in the pool.
        found: What follows from the first pass over all shards.
    """
    group, keys = np.zeros(len(answers), np.int64), np.zeros(len(answers), _KEY)
    chosen = np.full(len(answers), isinstance(selector, Everything))
    if isinstance(selector, Adaptive):
        label = answers.class_indices[:, 0].numpy().astype(np.int64)
        chosen = _confidences(answers, start) > found.thresholds[label]
    elif isinstance(selector, Confident | PerClass | Random):
        group, keys = _group(selector, answers), _keys(selector, answers, start)
        for index, limit in enumerate(found.keys):
            if limit is not None:
                rank, own = limit
                first = (keys["rank"] < rank) | ((keys["rank"] == rank) & (keys["hash"] <= own))
                chosen |= (group == index) & first
    rows = np.flatnonzero(chosen)
    return Candidates(rows=rows, group=group[rows], keys=keys[rows])


def cut(shards: Sequence[Candidates], quotas: NDArray[np.int64] | None) -> list[NDArray[np.int64]]:
    """Of the candidates of each shard the places of those that are chosen.

    Args:
        shards: In their order, which is that of the rows.
        quotas: Of `ShardLimits`.
    """
    if quotas is None:
        return [np.arange(len(each.rows)) for each in shards]
    shard = np.repeat(np.arange(len(shards)), [len(each.rows) for each in shards])
    place = np.concatenate([np.arange(len(each.rows)) for each in shards])
    group, keys = (np.concatenate([getattr(each, name) for each in shards]) for name in ("group", "keys"))
    # The sort is stable: of equal keys the first row.
    order = np.lexsort((keys["hash"], keys["rank"], group))
    ends = np.searchsorted(group[order], np.arange(len(quotas)))
    kept = np.sort(np.concatenate([order[end : end + quota] for end, quota in zip(ends, quotas, strict=True)]))
    return [place[kept[shard[kept] == index]] for index in range(len(shards))]


# --- the order


def _num_groups(selector: Selector, answers: Answers) -> int:
    return answers.num_classes if isinstance(selector, PerClass) else 1


def _group(selector: Selector, answers: Answers) -> NDArray[np.int64]:
    if isinstance(selector, PerClass):
        return answers.class_indices[:, 0].numpy().astype(np.int64)
    return np.zeros(len(answers), np.int64)


def _keys(selector: Selector, answers: Answers, start: int) -> NDArray[Any]:
    """[n], first the highest score, of equal ones the smallest hash."""
    keys = np.zeros(len(answers), _KEY)
    everything = slice(0, len(answers))
    if isinstance(selector, Random):
        keys["hash"] = Hashed(answers.id_word, len(answers), selector.seed)[everything]
        return keys
    score = log_confidence(answers).numpy()
    refuse_nan(score, start, "score")
    keys["hash"] = Hashed(answers.id_word, len(answers))[everything]
    # The bits of negative numbers rise as the numbers fall; there are no positive logarithms of probabilities.
    keys["rank"] = (np.minimum(score, 0) * np.float32(-1)).astype(np.float32).view(np.uint32) & np.uint32(2**31 - 1)
    return keys


def _confidences(answers: Answers, start: int) -> NDArray[np.float32]:
    score = np.exp(log_confidence(answers).numpy())
    refuse_nan(score, start, "score")
    return score


def _limit(summaries: Sequence[ShardSummary], group: int, quota: int) -> Any:
    """The first key up to which there surely are as many rows of a group as are wanted; None where none is wanted."""
    if quota == 0:
        return None
    keys = np.concatenate([each.keys[group] for each in summaries])
    steps = np.concatenate([each.steps[group] for each in summaries])
    order = np.argsort(keys, order=("rank", "hash"))
    last = int(np.searchsorted(np.cumsum(steps[order]), quota))
    return tuple(keys[order[last]].tolist())
