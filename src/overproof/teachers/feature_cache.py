"""A frozen encoder's features, computed once for each example by all runs that share a folder of stores."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from overproof.answers.ask import embed
from overproof.data import Examples
from overproof.storage import store
from overproof.storage.id_index import IdIndex
from overproof.storage.shard import StoreKey
from overproof.teachers.keys import FORMER, as_kept, same


def gather(
    folder: Path,
    examples: Examples,
    key: StoreKey,
    compute: Callable[[Examples], Tensor],
    *,
    progress: store.RowsDone | None = None,
) -> tuple[np.ndarray, Float32[Tensor, "M D"]]:
    """The features of every distinct example: those that a store in the folder holds are read, the others computed.

    What is computed is written to a store of its own within the folder, so that each run that shares the folder adds
    only the examples that are new. (An encoder whose numbers differ in the last bit with what an example is
    encoded beside makes runs differ too; `minilm` does not.)

    Args:
        folder: Of the stores, one for each set of examples that was new to the folder.
        examples: N of them, in any order, repetitions among them.
        key: What features follow from: encoder, transform and code; its `data` is that of the examples computed.
        compute: Some of the examples to their features [n, D].
        progress: Called with (rows done, rows in all) of those to be computed.

    Returns:
        The M distinct ids in ascending order, as text of 16 bytes, and their features.

    Raises:
        InputError: A store in the folder is damaged.
    """
    ids, first = np.unique(examples.ids.view("S16"), return_index=True)
    parts: list[tuple[np.ndarray, Tensor]] = []
    missing = np.ones(len(ids), bool)
    for path in sorted(folder.glob("*/manifest.json")):
        kept_under = store.kept_under(path.parent)
        if missing.any() and kept_under is not None and same(replace(key, data=kept_under.data), kept_under):
            found = store.load(
                path.parent,
                kind="embeddings",
                key=None,
                class_names=None,
                ids=None,
                source=examples.origin,
                align=False,
                mmap=False,
            )
            rows, known = IdIndex(found.ids).find(ids)
            new = missing & known
            missing &= ~new
            parts.append((ids[new], torch.from_numpy(found.columns["features"].view("<f4"))[rows[new]]))
    if missing.any():
        rest = examples.take(first[missing])
        key = replace(key, data=rest.digest())
        key = as_kept(folder / replace(key, code=FORMER).hex[:16], key)
        features = embed(
            folder / key.hex[:16],
            rest.ids,
            key,
            lambda rows: compute(rest.take(np.arange(rows.start, rows.stop))),
            source=examples.origin,
            progress=progress,
        )
        parts.append((ids[missing], features))
    order = np.argsort(np.concatenate([part for part, _ in parts]), kind="stable")
    return ids, torch.cat([features for _, features in parts])[torch.from_numpy(order)]
