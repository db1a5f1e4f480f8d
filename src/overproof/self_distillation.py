"""Noisy labels in anybody's arrays: a network fitted to them teaches one of its own kind (`overproof.self_distill`)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from overproof.answered import Answered, answered_by
from overproof.checkpoint import EpochRecord
from overproof.data import Examples, from_arrays
from overproof.distillation import Distilled, check_trainable, distilled
from overproof.errors import InputError
from overproof.labels import compress
from overproof.method import Method
from overproof.methods import method as method_by_name
from overproof.models import ModelSpec, build, join
from overproof.sampler import derived_seed
from overproof.train_options import TrainOptions


def self_distill(
    student: str | nn.Module | ModelSpec,
    inputs: Any,
    labels: Any,
    *,
    held_out: Any = None,
    held_out_labels: Any = None,
    method: str | Method = "self_distilled",
    class_names: Sequence[str] | None = None,
    train: TrainOptions | None = None,
    seed: int = 0,
    checkpoint: Path | str | None = None,
    observe: Callable[[EpochRecord], None] = lambda record: None,
) -> Distilled:
    """Fit a network to noisy labels and let it teach one of its own kind on the same examples.

    Args:
        student: As for `overproof.distill`; a module of your own is copied for the teacher and trained in place.
        inputs: N examples: images (uint8), numbers [N, D], or a list of texts.
        labels: [N], class indices 0..K-1, some of them wrong.
        held_out: More examples, which neither teacher nor student is trained on: they choose ξ. Needed where the method
            leaves it to them, as the default does.
        held_out_labels: Theirs; as noisy as the others will do.
        method: By name (`self_distilled`, `born_again`, `retrained`, `consensus`, `partial_label`) or composed.
        class_names: K names; by default 0 to the largest label.
        train: Training options, the same for teacher and student.
        seed: Decides everything random; the same seed gives the same student.
        checkpoint: File to resume from after a kill; the teacher's stands beside it.
        observe: Called with an `EpochRecord` after every epoch of the student.

    Returns:
        The trained student, its history, and the ξ chosen with all that were tried (`.choices`).

    Raises:
        InputError: Arrays that do not fit together; a method that needs held-out labels and gets none; an imitation
            beyond [0, 1] without weight decay.

    Example:
        >>> from overproof.methods import method
        >>> from overproof.method import override
        >>> from overproof.synthetic import blobs, symmetric_noise
        >>> world = blobs(num_examples=300, num_classes=3, seed=0)
        >>> noisy = symmetric_noise(world.label, 3, share=0.3, seed=0).label
        >>> twice = override(method("self_distilled"), "labelled.target.imitation", 2.0)
        >>> result = self_distill("linear", world.inputs, noisy, method=twice, train=TrainOptions(epochs=2))
        >>> result.student.probs(world.inputs[:5]).shape
        torch.Size([5, 3])

    Source: Das and Sanghavi (2023), arXiv 2301.13304, section 2.
    """
    built_method = method_by_name(method) if isinstance(method, str) else method
    options = train or TrainOptions()
    check_trainable(built_method, options, unseen=False, validation=held_out is not None)
    if (held_out is None) != (held_out_labels is None):
        raise InputError("held_out and held_out_labels go together; give both or neither.")
    given = [_known(inputs, labels, class_names, "inputs", "labels")]
    names = given[0].class_names
    if held_out is not None:
        given.append(_known(held_out, held_out_labels, names, "held_out", "held_out_labels"))
    built = build(student, given, class_names=names, seed=seed)
    encoded = join([built.encode(examples) for examples in given])
    answered, start = [], 0
    for examples in given:
        unasked = compress(torch.full((len(examples), len(names)), 1 / len(names))).identified(examples.ids)
        place = torch.arange(start, start + len(examples))
        answered.append(Answered(place=place, label=examples.label, answers=unasked))
        start += len(examples)
    nobody = answered[0].take(torch.arange(0))
    path = None if checkpoint is None else Path(checkpoint)

    teacher = built.fresh(seed=derived_seed(seed, "teacher"))
    distilled(
        teacher,
        encoded,
        answered[0],
        nobody,
        method=method_by_name("labelled_only"),
        options=options.model_copy(update={"early_stop_epochs": 0}),
        seed=derived_seed(seed, "teacher"),
        checkpoint=None if path is None else path.with_name(f"{path.stem}-teacher{path.suffix}"),
    )
    labelled, *validation = (answered_by(teacher, encoded, each) for each in answered)
    return distilled(
        built,
        encoded,
        labelled,
        nobody,
        method=built_method,
        options=options,
        seed=seed,
        validation=validation[0] if validation else None,
        trust_labelled_answers=False,
        teacher_weights=teacher.module.state_dict(),
        checkpoint=path,
        observe=observe,
    )


def _known(inputs: Any, labels: Any, names: Sequence[str] | None, source: str, option: str) -> Examples:
    """Examples whose every label is known."""
    examples = from_arrays(inputs, np.asarray(labels), class_names=names, source=source)
    if len(examples) == 0:
        raise InputError(f"{source} holds no example; at least one is needed.")
    if (examples.label < 0).any():
        row = int((examples.label < 0).int().argmax())
        raise InputError(f"{option}, row {row}: the label is unknown; every example needs one.")
    if len(examples.class_names) < 2 or (names is None and len(examples.label.unique()) < 2):
        raise InputError(f"{option} holds one class only; there must be two at least.")
    return examples
