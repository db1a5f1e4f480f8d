"""One student by one method: from encoded examples and a teacher's answers to a trained student.

`distill` takes anybody's arrays; the command line calls the same `distilled` underneath.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from overproof.checkpoint import EpochRecord
from overproof.data import Examples, from_arrays
from overproof.errors import InputError
from overproof.labels import MAX_ALL_KEPT, Answers, compress
from overproof.method import Memories, Method
from overproof.methods import method as method_by_name
from overproof.models import Dense, Inputs, ModelSpec, Student, build, join, optimizer_for
from overproof.noise import NoiseEstimate, folds
from overproof.rows import Rows
from overproof.sampler import derived_seed
from overproof.train import train
from overproof.train_options import TrainOptions, batch_sizes


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Answered:
    """Some examples of a shared set of inputs, with what was said of them.

    Args:
        place: [N], where in the inputs each example stands.
        label: [N], the given label, or -1 where none is known.
        answers: The teacher's; out of sample where the label is used.
    """

    place: Int[Tensor, "N"]
    label: Int[Tensor, "N"]
    answers: Answers

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: Int[Tensor, "M"]) -> "Answered":
        """Some of them."""
        return Answered(place=self.place[rows], label=self.label[rows], answers=self.answers.take(rows))

    def rows(self, inputs: Inputs, noise: NoiseEstimate) -> Rows:
        """As the training loop reads them."""
        margin = self.answers.margin
        return Rows(
            inputs=inputs,
            place=self.place,
            label=self.label,
            teacher_probs=(
                Opened(answers=self.answers)
                if self.answers.num_classes > MAX_ALL_KEPT
                else Dense(values=self.answers.probs())
            ),
            teacher_accuracy=noise.accuracy.lookup(margin),
            num_candidates=noise.candidates(margin),
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Opened:
    """Answers of many classes, opened to all of them a batch at a time."""

    answers: Answers

    def __len__(self) -> int:
        return len(self.answers)

    def take(self, rows: Int[Tensor, "B"]) -> Float[Tensor, "B K"]:
        """The probabilities of these rows."""
        return self.answers.probs(rows)

    def to(self, device: torch.device) -> "Opened":
        """The same answers on another device."""
        parts = {f.name: getattr(self.answers, f.name) for f in fields(self.answers) if f.name != "num_classes"}
        return Opened(answers=replace(self.answers, **{name: part.to(device) for name, part in parts.items()}))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Distilled:
    """A trained student and how it came about.

    Args:
        student: Ready to predict, save and export.
        history: One record an epoch.
        noise: What was estimated of the teacher's errors.
        memories: What the method's parts had learned at the end.
        num_labelled: Labelled examples it was trained on.
        num_held_out: Labelled examples kept out of training for the method to look at.
        num_pool: Pool examples it was trained on.
    """

    student: Student
    history: list[EpochRecord]
    noise: NoiseEstimate
    memories: Memories
    num_labelled: int
    num_held_out: int
    num_pool: int


def distilled(
    student: Student,
    inputs: Inputs,
    labelled: Answered,
    pool: Answered,
    *,
    method: Method,
    options: TrainOptions,
    seed: int,
    validation: Answered | None = None,
    trust_labelled_answers: bool = True,
    held_out_share: float = 0.3,
    checkpoint: Path | None = None,
    observe: Callable[[EpochRecord], None] = lambda record: None,
) -> Distilled:
    """Train one student by one method.

    Args:
        student: Freshly built; trained in place.
        inputs: Encoded examples.
        labelled: The labelled ones among them, with the teacher's out-of-sample answers.
        pool: The unlabelled ones, with its answers.
        method: What is asked of them.
        options: How it is trained.
        seed: Decides everything random.
        validation: More labelled examples, never trained on.
        trust_labelled_answers: False where the teacher was trained on the labelled examples: its errors are then
            estimated on `validation` alone.
        held_out_share: Share of `labelled` kept out of training where the method (or early stopping) needs it and
            there is no validation set.
        checkpoint: File to resume from.
        observe: Called after every epoch.

    Raises:
        InputError: Too few labelled examples to hold some out.
    """
    known = [labelled] if trust_labelled_answers else []
    known += [validation] if validation is not None else []
    noise = method.noise.fit(
        torch.cat([each.answers.probs() for each in known]), torch.cat([each.label for each in known])
    )
    held_out = validation
    if held_out is None and (method.needs_held_out or options.early_stop_epochs):
        num_parts = max(2, round(1 / held_out_share))
        part = folds(labelled.label, num_parts, derived_seed(seed, "held out"))
        held_out, labelled = labelled.take((part == 0).nonzero()[:, 0]), labelled.take((part != 0).nonzero()[:, 0])
    # Steps follow the whole pool, so that a method which keeps less of it sees as many examples in all; where there is
    # no pool, an epoch is a pass over the labelled examples.
    labelled_size, pool_size = batch_sizes(options, len(labelled), len(pool))
    passed, size = (len(pool), pool_size) if len(pool) else (len(labelled), labelled_size)
    steps_per_epoch = max(1, round(passed / size))
    kept = pool.take(method.select(pool.answers))
    options = options.resolved(*optimizer_for(student.spec))
    history, memories = train(
        student.module,
        _joined(labelled.rows(inputs, noise), kept.rows(inputs, noise)),
        num_labelled=len(labelled),
        method=method,
        transition=noise.transition,
        options=options,
        steps_per_epoch=steps_per_epoch,
        seed=seed,
        held_out=None if held_out is None else held_out.rows(inputs, noise),
        checkpoint=checkpoint,
        observe=observe,
    )
    return Distilled(
        student=student,
        history=history,
        noise=noise,
        memories=memories,
        num_labelled=len(labelled),
        num_held_out=0 if held_out is None else len(held_out),
        num_pool=len(kept),
    )


def distill(
    student: str | nn.Module | ModelSpec,
    pool: Any,
    teacher_probs: Any,
    labelled: Any,
    labels: Any,
    labelled_teacher_probs: Any,
    *,
    method: str | Method = "slam",
    class_names: Sequence[str] | None = None,
    train: TrainOptions | None = None,
    seed: int = 0,
    held_out_share: float = 0.3,
    checkpoint: Path | str | None = None,
    observe: Callable[[EpochRecord], None] = lambda record: None,
) -> Distilled:
    """Distil a student from your own arrays.

    Args:
        student: A student by name (`linear`, `mlp`, `cnn`, `resnet`, `ngram`), a `torch.nn.Module` that maps a batch of
            the inputs to logits [B, K] (trained in place), or a `ModelSpec`.
        pool: N unlabelled examples: images (uint8), numbers [N, D], or a list of texts; `Examples` too.
        teacher_probs: [N, K], the teacher's probabilities on the pool; rows sum to one.
        labelled: n labelled examples of the same kind.
        labels: [n], class indices 0..K-1.
        labelled_teacher_probs: [n, K], the teacher's probabilities on the labelled examples **by a teacher that was not
            trained on them** (cross-fitted, or one that never saw them): in-sample ones say it is never wrong.
        method: By name (`overproof methods` lists them) or composed.
        class_names: K names; 0..K-1 by default.
        train: Training options.
        seed: Decides everything random; the same seed gives the same student.
        held_out_share: Share of the labelled examples that methods which need it keep out of training.
        checkpoint: File to resume from after a kill.
        observe: Called with an `EpochRecord` after every epoch.

    Returns:
        The trained student (`.student.probs(x)`, `.student.save(folder)`), its history, and the noise estimate.

    Raises:
        InputError: Arrays that do not fit together, named with their shapes.

    Example:
        >>> from overproof.synthetic import blobs
        >>> world = blobs(num_examples=400, num_classes=3, seed=0)
        >>> result = distill(
        ...     "linear",
        ...     world.inputs[100:],
        ...     world.teacher_probs[100:],
        ...     world.inputs[:100],
        ...     world.label[:100],
        ...     world.teacher_probs[:100],
        ...     train=TrainOptions(epochs=2),
        ... )
        >>> result.student.probs(world.inputs[:5]).shape
        torch.Size([5, 3])
    """
    pool_probs, labelled_probs = (
        _matrix(teacher_probs, "teacher_probs"),
        _matrix(labelled_teacher_probs, "labelled_teacher_probs"),
    )
    num_classes = pool_probs.shape[1]
    if labelled_probs.shape[1] != num_classes:
        raise InputError(
            f"labelled_teacher_probs has {labelled_probs.shape[1]} columns and teacher_probs {num_classes}; both need "
            f"one for each class."
        )
    names = tuple(class_names) if class_names is not None else tuple(str(index) for index in range(num_classes))
    if len(names) != num_classes:
        raise InputError(f"class_names holds {len(names)} names; there are {num_classes} columns in teacher_probs.")
    pool_examples = _examples(pool, None, names, "pool")
    labelled_examples = _examples(labelled, labels, names, "labelled")
    if (labelled_examples.label < 0).any():
        row = int((labelled_examples.label < 0).int().argmax())
        raise InputError(
            f"labels, row {row}: the label is unknown; every labelled example needs one of 0..{num_classes - 1}."
        )
    parts = [labelled_examples, pool_examples]
    built = build(student, parts, class_names=names, seed=seed)
    inputs = join([built.encode(labelled_examples), built.encode(pool_examples)])
    num_labelled = len(labelled_examples)
    for probs, examples, option in (
        (pool_probs, pool_examples, "teacher_probs"),
        (labelled_probs, labelled_examples, "labelled_teacher_probs"),
    ):
        if len(probs) != len(examples):
            raise InputError(
                f"{option} has {len(probs)} rows for {len(examples)} {examples.source} examples; each needs one."
            )
    return distilled(
        built,
        inputs,
        Answered(
            place=torch.arange(num_labelled),
            label=labelled_examples.label,
            answers=compress(labelled_probs, source="labelled_teacher_probs"),
        ),
        Answered(
            place=num_labelled + torch.arange(len(pool_examples)),
            label=torch.full((len(pool_examples),), -1),
            answers=compress(pool_probs, source="teacher_probs").identified(pool_examples.ids),
        ),
        method=method_by_name(method) if isinstance(method, str) else method,
        options=train or TrainOptions(),
        seed=seed,
        held_out_share=held_out_share,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        observe=observe,
    )


def _joined(labelled: Rows, pool: Rows) -> Rows:
    """Labelled rows first, then the pool's."""
    return Rows(
        inputs=labelled.inputs,
        place=torch.cat([labelled.place, pool.place]),
        label=torch.cat([labelled.label, pool.label]),
        teacher_probs=_join_probs(labelled.teacher_probs, pool.teacher_probs),
        teacher_accuracy=torch.cat([labelled.teacher_accuracy, pool.teacher_accuracy]),
        num_candidates=torch.cat([labelled.num_candidates, pool.num_candidates]),
    )


def _join_probs(first: Inputs, second: Inputs) -> Inputs:
    if isinstance(first, Opened) and isinstance(second, Opened):
        parts = [f.name for f in fields(first.answers) if f.name != "num_classes"]
        joined: dict[str, Any] = {
            name: torch.cat([getattr(each.answers, name) for each in (first, second)]) for name in parts
        }
        return Opened(answers=replace(first.answers, **joined))
    return join([first, second])


def _matrix(values: Any, option: str) -> Tensor:
    matrix = torch.as_tensor(np.asarray(values) if not isinstance(values, Tensor) else values)
    if matrix.ndim != 2 or not matrix.is_floating_point():
        raise InputError(
            f"{option} is an array of {matrix.dtype} with shape {tuple(matrix.shape)}; it must hold probabilities, "
            f"one row an example and one column a class."
        )
    return matrix


def _examples(values: Any, labels: Any, names: tuple[str, ...], source: str) -> Examples:
    if isinstance(values, Examples) and labels is None:
        return values
    if isinstance(values, Examples):
        values = values.inputs
    return from_arrays(values, labels, class_names=names, source=source)
