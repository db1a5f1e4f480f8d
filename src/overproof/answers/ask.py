"""The store of teacher answers and of encoder features: computed once for each example, kept on disk, read back.

Every shard of rows is committed when it is computed, so that an interrupted run resumes with the first missing shard.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor

from overproof.answers.predictions import Answers, compress, word_tensor
from overproof.data import Examples
from overproof.errors import InputError
from overproof.processes import Engine, Work
from overproof.seeds import digest
from overproof.storage import store
from overproof.storage.shard import Block, Header, Ids, StoreKey, digest_of_ids, digest_of_names


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AskedBy:
    """A teacher whose shards an engine maps, some of them perhaps in other processes.

    Args:
        engine: Where.
        take: Rows -> the examples.
        probs: Examples -> the teacher's probabilities [n, K], in this process.
        elsewhere: As in `Work`: gives what opens the same teacher in another process.
    """

    engine: Engine
    take: Callable[[slice], Examples]
    probs: Callable[[Examples], Tensor]
    elsewhere: Callable[[], Callable[[], Callable[[Examples], Tensor]]]


def answer(
    folder: str | Path,
    ids: Ids,
    key: StoreKey,
    class_names: tuple[str, ...],
    ask: Callable[[slice], Tensor | Answers] | AskedBy,
    *,
    rows_per_shard: int = 4096,
    source: str = "pool",
    progress: store.RowsDone | None = None,
    mmap: bool = False,
) -> Answers:
    """Compute a teacher's answers to every example that has none yet, store them, and read all of them back.

    Interrupted at any moment and called again, it resumes with the first missing shard; when none is missing it only
    reads. The files do not depend on how often it was interrupted.

    Args:
        folder: Where the answers are stored; one folder for one key.
        ids: [N], the ids of the examples, `Examples.ids`.
        key: What the answers follow from.
        class_names: K names, in the order of the teacher's columns.
        ask: Rows -> the teacher's probabilities [n, K] for them, or its answers as they are stored. Called in order,
            once for each shard. Or a teacher that an engine asks.
        rows_per_shard: Rows that are committed together, and at most lost by an interruption. A store that exists
            already keeps its own.
        source: What to call the examples in errors.
        progress: Called with (rows done, rows in all) after every shard.
        mmap: As in `read`.

    Raises:
        InputError: The folder belongs to another key or to other examples, a shard is damaged, or the teacher's answer
            is not a distribution over the classes. What was committed stays.
    """
    num_classes = len(class_names)
    checked = partial(_checked_answers, num_classes=num_classes, source=source)
    header = _header("answers", ids, key, class_names, rows_per_shard, source)

    def compute(shards: Iterable[slice]) -> Iterator[Block]:
        if not isinstance(ask, AskedBy):
            return (checked(rows, ask(rows)) for rows in shards)
        work = Work(
            what="shard",
            here=partial(_asked, ask.probs, checked),
            elsewhere=lambda: partial(_asked_elsewhere, ask.elsewhere(), checked),
        )
        return ask.engine.map(work, ((rows, ask.take(rows)) for rows in shards))

    store.fill(Path(folder), ids, header, class_names, compute, source=source, progress=progress)
    return read(folder, ids=ids, key=key, class_names=class_names, source=source, mmap=mmap)


def _checked_answers(rows: slice, found: Tensor | Answers, *, num_classes: int, source: str) -> Block:
    """The columns of one shard, as they are stored."""
    if isinstance(found, Answers):
        return _columns(found)
    num_rows = rows.stop - rows.start
    if found.shape != (num_rows, num_classes):
        raise InputError(
            f"The teacher answered rows {rows.start} to {rows.stop - 1} of {source} with an array of shape "
            f"{tuple(found.shape)}; it must be {(num_rows, num_classes)}: a row each, {num_classes} classes."
        )
    numbers = np.arange(rows.start, rows.stop)
    return _columns(compress(found, source=f"The teacher's answers for {source}", row_numbers=numbers))


def digest_of_answers(teacher_probs: Tensor) -> str:
    """Hash of a teacher's answers as they are stored, in hex.

    Args:
        teacher_probs: Its probabilities [n, K].
    """
    parts = _columns(compress(teacher_probs, source="The teacher's answers"))
    return digest(b"".join(parts[name].tobytes() for name in sorted(parts)))


def _asked(
    probs: Callable[[Examples], Tensor], checked: Callable[[slice, Tensor], Block], shard: tuple[slice, Examples]
) -> Block:
    rows, examples = shard
    return checked(rows, probs(examples))


def _asked_elsewhere(
    opened: Callable[[], Callable[[Examples], Tensor]], checked: Callable[[slice, Tensor], Block]
) -> Callable[[tuple[slice, Examples]], Block]:
    return partial(_asked, opened(), checked)


def read(
    folder: str | Path,
    *,
    ids: Ids | None = None,
    key: StoreKey | None = None,
    class_names: tuple[str, ...] | None = None,
    source: str = "pool",
    align: bool = False,
    mmap: bool = False,
) -> Answers:
    """Read stored answers for exactly these examples, in their order.

    Args:
        folder: Where `answer` stored them.
        ids: [N], the ids of the examples to read for; None reads all rows in their stored order.
        key: The key they must have been stored under; None takes any.
        class_names: The class names they must have, in order; None takes any.
        source: What to call the examples in errors.
        align: Look each example up by id: the examples may then be reordered, or be some of those answered.
        mmap: Keep the answers on disk, mapped from a cache that is rebuilt whenever the store has changed, for pools
            larger than memory. (With reordered examples they are copied into memory all the same.)

    Raises:
        InputError: Unfinished or damaged; another key; other classes; examples that are new, edited or reordered.
    """
    stored = store.load(
        Path(folder),
        kind="answers",
        key=key,
        class_names=class_names,
        ids=ids,
        source=source,
        align=align,
        mmap=mmap,
    )
    return answers_of(stored)


def answers_of(stored: store.StoredColumns) -> Answers:
    """The columns of a store of answers as tensors, nothing copied."""
    columns = stored.columns
    return Answers(
        class_indices=torch.from_numpy(columns["class_indices"].view("<i2")),
        class_probs=torch.from_numpy(columns["class_probs"].view("<f2")),
        margin=torch.from_numpy(columns["margin"].view("<f2").reshape(-1)),
        residual=torch.from_numpy(columns["residual"].view("<f2").reshape(-1)),
        num_classes=len(stored.class_names),
        id_word=word_tensor(stored.ids),
    )


def embed(
    folder: str | Path,
    ids: Ids,
    key: StoreKey,
    compute: Callable[[slice], Tensor],
    *,
    rows_per_shard: int = 512,
    source: str = "pool",
    progress: store.RowsDone | None = None,
    mmap: bool = False,
) -> Float32[Tensor, "N D"]:
    """Compute an encoder's features for every example that has none yet, keep them, and read them all back.

    As `answer`, for the expensive half of a teacher made of a frozen encoder and a head: in single precision.

    Args:
        folder: Where the features are stored; one folder for one key.
        ids: [N], the ids of the examples, `Examples.ids`.
        key: What the features follow from; `teacher` names the encoder.
        compute: Rows -> their features, single precision [n, D]. Called in order, once for each shard.
        rows_per_shard: Rows that are committed together, and at most lost by an interruption. A store that exists
            already keeps its own.
        source: What to call the examples in errors.
        progress: Called with (rows done, rows in all) after every shard.
        mmap: As in `read`.

    Raises:
        InputError: The folder belongs to another key or to other examples, a shard is damaged, or features are not
            finite. What was committed stays.
    """

    def checked(rows: slice) -> Block:
        features = compute(rows).detach().cpu()
        if features.dtype != torch.float32 or features.ndim != 2 or len(features) != rows.stop - rows.start:
            raise InputError(
                f"The encoder answered rows {rows.start} to {rows.stop - 1} of {source} with {features.dtype} of shape "
                f"{tuple(features.shape)}; it must be torch.float32, a row each."
            )
        finite = features.isfinite().all(dim=1)
        if not finite.all():
            row = rows.start + int(finite.int().argmin())
            raise InputError(f"The encoder's features for row {row} (counted from 0) of {source} are not finite.")
        return {"features": _as_bytes(features)}

    header = _header("embeddings", ids, key, (), rows_per_shard, source)
    store.fill(Path(folder), ids, header, (), partial(map, checked), source=source, progress=progress)
    stored = store.load(
        Path(folder), kind="embeddings", key=key, class_names=(), ids=ids, source=source, align=False, mmap=mmap
    )
    return torch.from_numpy(stored.columns["features"].view("<f4"))


def _columns(answers: Answers) -> Block:
    parts = {name: getattr(answers, name) for name in ("class_indices", "class_probs", "margin", "residual")}
    return {name: _as_bytes(part) for name, part in parts.items()}


def _header(
    kind: str, ids: Ids, key: StoreKey, class_names: tuple[str, ...], rows_per_shard: int, source: str
) -> Header:
    if len(ids) == 0:
        raise InputError(f"{source} has no examples; there must be at least one.")
    if rows_per_shard < 1:
        raise InputError(f"rows_per_shard is {rows_per_shard}; it must be at least 1.")
    return Header(
        kind=kind,
        key=key,
        classes=digest_of_names(class_names),
        ids=digest_of_ids(ids),
        num_rows=len(ids),
        rows_per_shard=rows_per_shard,
    )


def _as_bytes(part: Tensor) -> NDArray[np.uint8]:
    array = np.ascontiguousarray(part.numpy()).reshape(len(part), -1)
    return array.astype(array.dtype.newbyteorder("<"), copy=False).view(np.uint8)
