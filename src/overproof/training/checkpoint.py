"""The state of a training, and its file, from which a killed training resumes to the same bytes."""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from overproof.errors import InputError
from overproof.methods.composition import Memories, Method
from overproof.registry import described
from overproof.storage import checked
from overproof.storage.keys import CHECKPOINT_FORMAT, canonical_json
from overproof.training.epoch_counts import PassCounts
from overproof.training.options import TrainOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """The record of one epoch; observers are called with it when the epoch ends.

    Args:
        epoch: From 1.
        loss: Mean weighted loss of the epoch's batches, in nats.
        weight_min: Smallest weight of a pool example, or of a labelled one where no pool is trained on.
        weight_mean: Their mean weight.
        weight_max: Their largest weight.
        held_out_loss: Cross-entropy on the held-out labelled examples, where there are any, of the student as it would
            be kept: with the average of its weights where `ema` is above 0.
        labelled_right: Share of labelled examples on which the student's top class, during training, was the label.
        pool_agreement: Share of pool examples on which its top class was the teacher's.
        weight_counts: Number of these weights below .05, of .05 to .1, ..., and of one or more.
    """

    epoch: int
    loss: float
    weight_min: float
    weight_mean: float
    weight_max: float
    held_out_loss: float | None
    labelled_right: float | None = None
    pool_agreement: float | None = None
    weight_counts: tuple[int, ...] = ()


def _ignore(record: EpochRecord) -> None:
    """Do nothing with the record."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resume:
    """The checkpoint and the observer of a training.

    Args:
        checkpoint: File that the state is saved to and resumed from; None saves none. Several trainings of one student
            use a folder of the same name beside it.
        observe: Called after every epoch.
        content: The digest of the examples, where nothing else verifies that they are the same when it is resumed.
    """

    checkpoint: Path | None = None
    observe: Callable[[EpochRecord], None] = _ignore
    content: str = ""


NOT_RESUMED = Resume()
"""No checkpoint and no observer."""


@dataclass(kw_only=True, slots=True, eq=False)
class TrainingState:
    """Everything that changes during training, besides the student and its optimizers.

    Batches, dropout and augmentation are functions of seed and step, so no random state is saved. The first
    `num_passes` rows of `passes`, and `counts`, hold the results of the passes of the current epoch. They are rows of
    one tensor because a small tensor per pass, kept until the end of the epoch, fragments the memory between the large
    ones that are freed (ten million lines of text took four GiB more).
    """

    step: int
    memories: Memories
    average: dict[str, Tensor]
    counts: PassCounts
    passes: Tensor
    num_passes: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)


def fingerprint_of(
    method: Method, options: TrainOptions, num_labelled: int, num_pool: int, seed: int, content: str = ""
) -> str:
    """Everything that a training depends on, as a string that later versions reproduce.

    Args:
        method: How the student is trained on the examples.
        options: How it is trained; how often a checkpoint is written has no effect.
        num_labelled: Labelled examples it is trained on.
        num_pool: Pool examples it is trained on.
        seed: Seeds everything random.
        content: The digest of examples, answers and first weights; empty where they are compared elsewhere.

    Example:
        >>> from overproof.methods.published import method
        >>> fingerprint_of(method("hard"), TrainOptions(epochs=2), 10, 20, 0)
        '{"labelled":10,"method":{"noise":{"name":"noiseless"}},"pool":20,"seed":0,"train":{"epochs":2}}'
    """
    train = described(options, without=["checkpoint_seconds"])
    found: dict[str, Any] = {"labelled": num_labelled, "pool": num_pool, "seed": seed}
    found |= {"content": content} if content else {}
    return canonical_json({"method": described(method), "train": train, **found})


def check_format(path: Path, found: Any) -> None:
    """Reject the state of an unfinished training that another version has saved.

    Args:
        path: The file.
        found: Its format number; None in files without one, or without a checksum.

    Raises:
        InputError: It is not the format of this version.
    """
    if found != CHECKPOINT_FORMAT:
        number = "without a checksum" if found is None else f"format {found}"
        raise InputError(
            f"{path} is damaged or was written by another version of overproof ({number}; this version resumes format "
            f"{CHECKPOINT_FORMAT} only); delete it to train this student from the beginning."
        )


def save(
    path: Path, fingerprint: str, student: nn.Module, optimizers: Sequence[torch.optim.Optimizer], state: TrainingState
) -> None:
    """Save a checkpoint atomically.

    Args:
        path: The checkpoint file.
        fingerprint: Of the run; `load` rejects a file with another one.
        student: Its weights and buffers are saved.
        optimizers: Their states are saved.
        state: Saved completely.
    """
    buffer = io.BytesIO()
    content = {
        "format": CHECKPOINT_FORMAT,
        "fingerprint": fingerprint,
        "student": student.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "step": state.step,
        "memories": {part: {k: v.detach() for k, v in memory.items()} for part, memory in state.memories.items()},
        "average": state.average,
        "history": [asdict(record) for record in state.history],
        "best": (state.best_loss, state.best_epoch, state.best),
        "passes": state.passes[: state.num_passes].clone(),
        "counts": state.counts.flush(),
    }
    torch.save(content, buffer)
    checked.write_bytes(path, buffer.getbuffer())


def load(
    path: Path, fingerprint: str, student: nn.Module, optimizers: Sequence[torch.optim.Optimizer], state: TrainingState
) -> None:
    """Restore student, optimizers and state from a checkpoint, in place.

    Raises:
        InputError: The file is damaged or belongs to another run.
    """
    device = next(student.parameters()).device
    try:
        data = io.BytesIO(checked.read_bytes(path))
        content: dict[str, Any] = torch.load(data, map_location=device, weights_only=True)
        written, found = content.get("format"), content["fingerprint"]
    except checked.WithoutChecksum:
        # Earlier formats had none.
        written, found, content = None, "", {}
    except Exception as error:
        why = error if isinstance(error, checked.Damaged) else type(error).__name__
        raise InputError(f"{path} is damaged ({why}); delete it to train this student from the beginning.") from error
    check_format(path, written)
    if found != fingerprint:
        raise InputError(f"{path} belongs to a run with other options or data; delete it or choose another folder.")
    student.load_state_dict(content["student"])
    for optimizer, kept in zip(optimizers, content["optimizers"], strict=True):
        optimizer.load_state_dict(kept)
    state.step = content["step"]
    memories: dict[str, dict[str, Tensor]] = content["memories"]
    for part, memory in state.memories.items():
        for name, value in memory.items():
            if value.requires_grad:
                # In place, because an optimizer refers to it.
                value.data.copy_(memories[part][name])
                memories[part][name] = value
    state.memories = memories
    state.average = content["average"]
    state.history = [EpochRecord(**record) for record in content["history"]]
    state.best_loss, state.best_epoch, state.best = content["best"]
    passes = content["passes"]
    state.num_passes = len(passes)
    for row, kept in zip(state.passes, passes, strict=False):
        row.copy_(kept)
    state.counts = PassCounts(total=content["counts"])
