"""Training of students that are fitted in one step: scikit-learn estimators, which take sample weights and no gradient.

The objective that `training.loop` minimises in steps is here one weighted fit: an example enters it once for every
class of its target, weighted by the target's share of that class, by the method's weight, and by how often the loop
would have drawn it. If weights depend on the student, it is fitted again under the new ones until they converge.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from overproof.contract import Batch
from overproof.errors import InputError
from overproof.functional import label_distribution, soft_cross_entropy
from overproof.methods.composition import Memories, Method, Objective, Side
from overproof.methods.losses import CrossEntropy
from overproof.methods.selectors import Nothing
from overproof.models import Ragged
from overproof.models.estimator import body_of, stacked
from overproof.training.checkpoint import NOT_RESUMED, EpochRecord, Resume
from overproof.training.examples import LoopData, TrainingRows
from overproof.training.options import LEAST_STEPS, TrainOptions, batch_sizes
from overproof.training.teacher_source import STORED, TeacherSource

BATCH_ROWS = 4096
"""Number of examples per batch of evaluation."""

SMALLEST_SHARE = 1e-3
"""Smaller shares of a target are left out and the others normalised: a fit costs an example for each."""

TOLERANCE = 0.02
"""Weights have converged when they change by less than this share of their mean: averages over a few neighbours do not
converge exactly (on Letter they changed by .015 from the third fit to the twentieth, without a gain)."""


@torch.random.fork_rng()
def fit_weighted(
    student: nn.Module,
    data: LoopData,
    *,
    method: Method,
    options: TrainOptions,
    steps_per_epoch: int,
    seed: int,
    teacher: TeacherSource = STORED,
    resume: Resume = NOT_RESUMED,
) -> tuple[list[EpochRecord], Memories]:
    """Fit `student` in place, as `training.loop.train` would train it; the same arguments give the same bytes.

    The objective is that of the loop: of labelled and pool examples in the shares of a batch, the mean of weight times
    cross-entropy. Sample weights sum to the number of examples where the method's weights are one, so that an
    estimator's own regularisation has its documented strength.

    Args:
        student: Holds an `EstimatorBody`.
        data: Training rows and held-out examples.
        method: The objective.
        options: `epochs` is the largest number of fits; `labelled_share`, `batch_size` and `early_stop_epochs` as in
            the loop. The others do not apply.
        steps_per_epoch: Does not apply.
        seed: The estimator's, if it takes one.
        teacher: Does not apply: only stored answers are used.
        resume: `observe` is called after every fit. No checkpoint is written: an interrupted fit starts again.

    Returns:
        One record a fit, and the memory of the method's parts at the end.

    Raises:
        InputError: The errors of `check_fittable` and of the estimator.
    """
    body = body_of(student)
    assert body is not None, "distillation calls this for estimators only"
    check_fittable(body.path, method, options)
    rows, num_labelled, held_out = data.rows, data.num_labelled, data.held_out
    if held_out is None and (method.needs_held_out or options.early_stop_epochs):
        raise InputError("Weights and early stopping need labelled examples held out of training; give some.")
    memories = method.start(data.transition)
    draw_rate = _draw_rates(options, num_labelled, data.num_pool) * rows.draw_weight
    evaluated = _evaluated(student, data, method, memories)
    matrix = stacked([body.matrix(_estimator_inputs(student, rows.take(part))) for part in _parts(0, len(rows))])
    history, best, best_fit, best_loss = list[EpochRecord](), body.archive, 0, float("inf")
    for number in range(1, options.num_epochs(LEAST_STEPS) + 1):
        example, label = torch.nonzero(evaluated.target, as_tuple=True)
        weight = (evaluated.target[example, label] * (evaluated.weight * draw_rate)[example]).double().numpy()
        body.fit(matrix[example.numpy()], label.numpy(), weight, seed)
        if held_out is not None and method.needs_held_out:
            memories = method.refresh(memories, _held_out_batch(student, held_out, data.transition))
        before, evaluated = evaluated, _evaluated(student, data, method, memories)
        pooled = before.weight[num_labelled:] if data.num_pool else before.weight
        record = EpochRecord(
            epoch=number,
            loss=(before.weight * draw_rate * evaluated.loss).double().mean().item(),
            weight_min=pooled.min().item(),
            weight_mean=pooled.mean().item(),
            weight_max=pooled.max().item(),
            held_out_loss=None if held_out is None else _held_out_loss(student, held_out, data.transition),
        )
        history.append(record)
        resume.observe(record)
        if options.early_stop_epochs and record.held_out_loss is not None:
            if record.held_out_loss < best_loss:
                best, best_fit, best_loss = body.archive, number, record.held_out_loss
            elif number - best_fit >= options.early_stop_epochs:
                break
        target_moved = (evaluated.target - before.target).abs().sum(dim=1).mean()
        moved = (evaluated.weight - before.weight).abs().mean() + target_moved
        if moved <= TOLERANCE * before.weight.mean():
            break
    if options.early_stop_epochs and best is not body.archive:
        student.load_state_dict({**student.state_dict(), _name_of_archive(student): best})
    return history, memories


def check_fittable(path: str, method: Method, options: TrainOptions) -> None:
    """Check that a method can be fitted by sample weights alone, without the gradient of its loss.

    Args:
        path: The student, for errors.
        method: The method.
        options: How it is trained.

    Raises:
        InputError: A loss that is not cross-entropy; a target with negative entries; a start from a teacher's weights;
            augmentation, an average of weights, or a teacher that is evaluated in every batch.
    """
    sides = {"labelled": method.labelled} if isinstance(method.select, Nothing) else {
        "labelled": method.labelled,
        "pool": method.pool,
    }  # fmt: skip
    for side, objective in sides.items():
        if not isinstance(objective.loss, CrossEntropy):
            raise InputError(
                f"Student {path!r} is a scikit-learn estimator, which is fitted by sample weights alone, and this "
                f"method needs the gradient of its loss ({side}: {type(objective.loss).__name__}); choose one of "
                f"cross-entropy, such as hard, soft, fidelity or wd, or another student."
            )
    rejected = {
        "its target may have negative entries, which makes weights negative": method.extrapolates,
        "the method starts from the teacher's weights": method.initial == "teacher",
        "'train.augmentation' is not 'none'": options.augmentation != "none",
        "'train.ema' is not 0": options.ema > 0,
        "'train.teacher_answers' is 'online'": options.teacher_answers == "online",
    }
    for reason, found in rejected.items():
        if found:
            raise InputError(
                f"Student {path!r} is a scikit-learn estimator, which is fitted in one step, but {reason}."
            )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Evaluated:
    """Target, weight and loss of every example under the current student."""

    target: Tensor
    weight: Tensor
    loss: Tensor


def _draw_rates(options: TrainOptions, num_labelled: int, num_pool: int) -> Tensor:
    """How often the loop draws each example, 1 on average."""
    labelled_size, pool_size = batch_sizes(options, num_labelled, num_pool)
    total = (num_labelled + num_pool) / (labelled_size + pool_size)
    parts = [
        torch.full((num,), total * size / max(num, 1))
        for num, size in ((num_labelled, labelled_size), (num_pool, pool_size))
    ]
    return torch.cat(parts)


def _evaluated(student: nn.Module, data: LoopData, method: Method, memories: Memories) -> _Evaluated:
    targets, weights, losses = [], [], []
    sides: tuple[tuple[Side, Objective, int, int], ...] = (
        ("labelled", method.labelled, 0, data.num_labelled),
        ("pool", method.pool, data.num_labelled, len(data.rows)),
    )
    for side, objective, start, stop in sides:
        for part in _parts(start, stop):
            matched, weight = objective.terms(_batch(student, data.rows, part, data.transition), memories, side)
            target = matched.target_probs.where(matched.target_probs >= SMALLEST_SHARE, 0)
            targets.append(target / target.sum(dim=1, keepdim=True))
            weights.append(weight.float())
            losses.append(objective.loss(replace(matched, target_probs=targets[-1])))
    return _Evaluated(target=torch.cat(targets), weight=torch.cat(weights), loss=torch.cat(losses))


def _batch(student: nn.Module, rows: TrainingRows, part: Tensor, transition: Tensor) -> Batch:
    with torch.no_grad():
        logits = student(rows.take(part))
    return rows.batch(part, logits, rows.teacher_probs.take(part), transition)


def _held_out_batch(student: nn.Module, held_out: TrainingRows, transition: Tensor) -> Batch:
    return _batch(student, held_out, torch.arange(len(held_out)), transition)


def _held_out_loss(student: nn.Module, held_out: TrainingRows, transition: Tensor) -> float:
    batch = _held_out_batch(student, held_out, transition)
    truth = label_distribution(batch.label, batch.teacher_probs)
    return soft_cross_entropy(batch.student_logits, truth).mean().item()


def _parts(start: int, stop: int) -> tuple[Tensor, ...]:
    return torch.arange(start, stop).split(BATCH_ROWS) if stop > start else ()


def _estimator_inputs(student: nn.Module, inputs: Tensor | Ragged) -> Tensor:
    """The estimator's inputs for a batch: for images, the output of the layer that scales pixels."""
    assert isinstance(inputs, Tensor), "only bags of n-grams take sets without padding"
    front = getattr(student, "front", None)
    return inputs if front is None else front(inputs)


def _name_of_archive(student: nn.Module) -> str:
    return next(name for name in student.state_dict() if name.endswith("archive"))
