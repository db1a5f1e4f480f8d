"""Training for students that are fitted and not stepped: scikit-learn estimators, which know weights and no gradient.

What the loop of `training.loop` minimises in steps is here one weighted fit: an example stands in it once for every
class of its target, weighted by the target's share of that class, by the method's weight, and by how often the loop
would have drawn it. Where weights follow from the student, it is fitted again under the new ones until they stand
still.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from overproof.contract import Batch
from overproof.errors import InputError
from overproof.functional import label_distribution, soft_cross_entropy
from overproof.methods.composition import Memories, Method
from overproof.methods.losses import CrossEntropy
from overproof.methods.selectors import Nothing
from overproof.models import Ragged
from overproof.models.estimator import body_of, stacked
from overproof.training.checkpoint import EpochRecord
from overproof.training.options import TrainOptions, batch_sizes
from overproof.training.rows import Rows
from overproof.training.teacher_source import STORED, Answering

AT_A_TIME = 4096
"""Examples asked about at a time."""

SMALLEST_SHARE = 1e-3
"""Of a target, smaller shares are left out and the others made to sum to one: a fit costs an example for each."""

CLOSE = 0.02
"""Weights stand still when they move by less than this share of their mean: averages over a few neighbours never do so
exactly (on Letter they went on moving by .015 from the third fit to the twentieth, with nothing won)."""


def fit_weighted(
    student: nn.Module,
    rows: Rows,
    *,
    num_labelled: int,
    method: Method,
    transition: Float[Tensor, "K K"],
    options: TrainOptions,
    steps_per_epoch: int,
    seed: int,
    teacher: Answering = STORED,
    held_out: Rows | None = None,
    checkpoint: Path | None = None,
    observe: Callable[[EpochRecord], None] = lambda record: None,
) -> tuple[list[EpochRecord], Memories]:
    """Fit `student` in place, as `training.loop.train` would train it; the same arguments give the same bytes.

    The objective is that of the loop: of labelled and pool examples in the shares of a batch, the mean of weight times
    cross-entropy. Sample weights sum to the number of examples where the method's weights are one, so that an
    estimator's own regularisation means what its documentation says.

    Args:
        student: Holds an `EstimatorBody`.
        rows: Labelled examples first, then the pool the method selected.
        num_labelled: How many of `rows` are labelled examples.
        method: What is asked of them.
        transition: [K, K], P(pseudo-label j | true label i).
        options: `epochs` is the largest number of fits; `labelled_share`, `batch_size` and `early_stop_epochs` as in
            the loop. The others do not apply.
        steps_per_epoch: Does not apply.
        seed: The estimator's, where it wants one.
        teacher: The store; nobody else can be asked.
        held_out: Labelled examples the student must not be fitted on.
        checkpoint: Not written: a fit is begun again.
        observe: Called after every fit.

    Returns:
        One record a fit, and the memory of the method's parts at the end.

    Raises:
        InputError: What `check_fittable` refuses, or what the estimator does.
    """
    body = body_of(student)
    assert body is not None, "distillation asks for the right one"
    check_fittable(body.path, method, options)
    if held_out is None and (method.needs_held_out or options.early_stop_epochs):
        raise InputError("Weights and early stopping look at labelled examples held out of training; give some.")
    memories = method.start(transition)
    drawn = _drawn(options, num_labelled, len(rows) - num_labelled)
    asked = _ask(student, rows, num_labelled, method, memories, transition)
    matrix = stacked([body.matrix(_front(student, rows.take(part))) for part in _parts(0, len(rows))])
    history, best, best_fit, best_loss = list[EpochRecord](), body.archive, 0, float("inf")
    for number in range(1, options.epochs + 1):
        example, label = torch.nonzero(asked.target, as_tuple=True)
        weight = (asked.target[example, label] * (asked.weight * drawn)[example]).double().numpy()
        body.fit(matrix[example.numpy()], label.numpy(), weight, seed)
        if held_out is not None and method.needs_held_out:
            memories = method.refresh(memories, _seen(student, held_out, transition))
        before, asked = asked, _ask(student, rows, num_labelled, method, memories, transition)
        pooled = before.weight[num_labelled:] if len(rows) > num_labelled else before.weight
        record = EpochRecord(
            epoch=number,
            loss=(before.weight * drawn * asked.loss).double().mean().item(),
            weight_min=pooled.min().item(),
            weight_mean=pooled.mean().item(),
            weight_max=pooled.max().item(),
            held_out_loss=None if held_out is None else _held_out_loss(student, held_out, transition),
        )
        history.append(record)
        observe(record)
        if options.early_stop_epochs and record.held_out_loss is not None:
            if record.held_out_loss < best_loss:
                best, best_fit, best_loss = body.archive, number, record.held_out_loss
            elif number - best_fit >= options.early_stop_epochs:
                break
        moved = (asked.weight - before.weight).abs().mean() + (asked.target - before.target).abs().sum(dim=1).mean()
        if moved <= CLOSE * before.weight.mean():
            break
    if options.early_stop_epochs and best is not body.archive:
        student.load_state_dict({**student.state_dict(), _name_of_archive(student): best})
    return history, memories


def check_fittable(path: str, method: Method, options: TrainOptions) -> None:
    """A method can be fitted by weights alone, without the gradient of its loss.

    Args:
        path: The student, for errors.
        method: Which.
        options: How it is trained.

    Raises:
        InputError: A loss that is not cross-entropy; a target with negative entries; a start from a teacher's weights;
            augmentation, an average of weights, or a teacher asked anew.
    """
    sides = {"labelled": method.labelled} if isinstance(method.select, Nothing) else {
        "labelled": method.labelled,
        "pool": method.pool,
    }  # fmt: skip
    for side, objective in sides.items():
        if not isinstance(objective.loss, CrossEntropy):
            raise InputError(
                f"Student {path!r} is a scikit-learn estimator, which learns by weights alone, and this method needs "
                f"the gradient of its loss ({side}: {type(objective.loss).__name__}); choose one of cross-entropy, "
                f"such as hard, soft, fidelity or wd, or another student."
            )
    refused = {
        "the imitation ξ may leave [0, 1], which makes weights negative": method.extrapolates,
        "the method starts from the teacher's weights": method.initial == "teacher",
        "'train.augmentation' is not 'none'": options.augmentation != "none",
        "'train.ema' is not 0": options.ema > 0,
        "'train.teacher_answers' is 'online'": options.teacher_answers == "online",
    }
    for why, found in refused.items():
        if found:
            raise InputError(f"Student {path!r} is a scikit-learn estimator, which is fitted in one piece, but {why}.")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Asked:
    """What a method asks of every example under the present student."""

    target: Tensor
    weight: Tensor
    loss: Tensor


def _drawn(options: TrainOptions, num_labelled: int, num_pool: int) -> Tensor:
    """How often the loop draws each example, 1 on average."""
    labelled_size, pool_size = batch_sizes(options, num_labelled, num_pool)
    total = (num_labelled + num_pool) / (labelled_size + pool_size)
    parts = [
        torch.full((num,), total * size / max(num, 1))
        for num, size in ((num_labelled, labelled_size), (num_pool, pool_size))
    ]
    return torch.cat(parts)


def _ask(
    student: nn.Module, rows: Rows, num_labelled: int, method: Method, memories: Memories, transition: Tensor
) -> _Asked:
    targets, weights, losses = [], [], []
    for side, objective, start, stop in (
        ("labelled", method.labelled, 0, num_labelled),
        ("pool", method.pool, num_labelled, len(rows)),
    ):
        for part in _parts(start, stop):
            matched = objective.matched(_batch(student, rows, part, transition), memories, side)
            target = matched.target_probs.where(matched.target_probs >= SMALLEST_SHARE, 0)
            targets.append(target / target.sum(dim=1, keepdim=True))
            weights.append(objective.weight(replace(matched, memory=memories[f"{side}.weight"])).float())
            losses.append(soft_cross_entropy(matched.student_logits, targets[-1]))
    return _Asked(target=torch.cat(targets), weight=torch.cat(weights), loss=torch.cat(losses))


def _batch(student: nn.Module, rows: Rows, part: Tensor, transition: Tensor) -> Batch:
    with torch.no_grad():
        logits = student(rows.take(part))
    return rows.batch(part, logits, rows.teacher_probs.take(part), transition)


def _seen(student: nn.Module, held_out: Rows, transition: Tensor) -> Batch:
    return _batch(student, held_out, torch.arange(len(held_out)), transition)


def _held_out_loss(student: nn.Module, held_out: Rows, transition: Tensor) -> float:
    batch = _seen(student, held_out, transition)
    truth = label_distribution(batch.label, batch.teacher_probs)
    return soft_cross_entropy(batch.student_logits, truth).mean().item()


def _parts(start: int, stop: int) -> tuple[Tensor, ...]:
    return torch.arange(start, stop).split(AT_A_TIME) if stop > start else ()


def _front(student: nn.Module, inputs: Tensor | Ragged) -> Tensor:
    """What the estimator gets of a batch: images pass what turns pixels into numbers."""
    assert isinstance(inputs, Tensor), "only bags of n-grams read sets without padding"
    front = getattr(student, "front", None)
    return inputs if front is None else front(inputs)


def _name_of_archive(student: nn.Module) -> str:
    return next(name for name in student.state_dict() if name.endswith("archive"))
