"""The training loop: one function for every method, read from top to bottom."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict

import torch
import torch.distributed as dist
from torch import Tensor, nn

from overproof.contract import Batch
from overproof.data.wording import reason
from overproof.errors import InputError, NotFiniteError
from overproof.functional import label_distribution, soft_cross_entropy
from overproof.methods.composition import Memories, Method
from overproof.methods.settled import NOT_SETTLED
from overproof.methods.weights import Uniform
from overproof.models import Ragged
from overproof.processes import deferred_interrupts, interrupted, place
from overproof.seeds import derived_seed
from overproof.training.augmentation import augment
from overproof.training.checkpoint import NOT_RESUMED, EpochRecord, Resume, TrainingState, fingerprint_of, load, save
from overproof.training.epoch_counts import no_counts, summed
from overproof.training.examples import LoopData, TrainingRows
from overproof.training.optimizers import eager, learning_rate_share, optimizer_of
from overproof.training.options import TrainOptions, batch_sizes
from overproof.training.sampler import Shuffled
from overproof.training.teacher_source import STORED, StoredAnswers, TeacherSource

HIGHEST_LOSS = 1e6
"""A mean loss beyond it, in nats, is that of a training that diverged: probabilities of exp(-1e6)."""


@deferred_interrupts()
@torch.random.fork_rng()
def train(
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
    """Train `student` in place; the same arguments give the same bytes, also if it is killed and resumed.

    The objective is the mean over the batch's examples, labelled and pool alike, of weight times loss; it is divided
    by the number of examples, never by the sum of the weights, because that is what makes debiasing weights unbiased.
    The weight is the method's, times that by which the example was drawn; records hold the method's alone.

    The global random generator is seeded at every step, for dropout, and restored at the end.

    Args:
        student: Maps a batch of encoded inputs to logits [B, K].
        data: Training rows and held-out examples.
        method: The objective, and what is refreshed between epochs.
        options: How to train; `learning_rate` must be a number here.
        steps_per_epoch: Steps between two refreshes. Set by the caller, so that methods which select less of the
            pool are trained on as many examples in all.
        seed: Seeds order, dropout and augmentation.
        teacher: Source of the teacher's probabilities for a batch: the stored answers, or the teacher on the augmented
            images.
        resume: Checkpoint of the state, and an observer of the epochs.

    Returns:
        One record per epoch, and the memory of the method's parts at the end.

    Raises:
        NotFiniteError: The loss or a weight is not finite, or the loss is beyond all bounds; the error names the step
            and the learning rate.
        InputError: The method or early stopping needs held-out examples and there are none, or the checkpoint belongs
            to another run.
    """
    if data.held_out is None and method.needs_held_out:
        raise InputError("This method estimates its weights on labelled examples held out of training; give some.")
    if data.held_out is None and options.early_stop_epochs:
        raise InputError("train.early_stop_epochs needs labelled examples held out of training; give some.")
    device = options.resolved_device()
    rank, world = place()
    # Kernels with the channels last are the fast ones for convolutions; nothing else has four axes.
    student.to(device)
    student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's own signatures
    data, teacher = data.to(device), teacher.to(device)
    rows, num_labelled, num_pool, held_out = data.rows, data.num_labelled, data.num_pool, data.held_out

    # --- the rows of each batch
    labelled_size, pool_size = batch_sizes(options, num_labelled, num_pool)
    labelled_stream = Shuffled(num_labelled, derived_seed(seed, "labelled"))
    pool_stream = Shuffled(num_pool, derived_seed(seed, "pool"))
    total_steps = options.num_epochs(steps_per_epoch) * steps_per_epoch

    # --- what is optimized
    memories = {
        path: {name: value.to(device).detach().requires_grad_(value.requires_grad) for name, value in memory.items()}
        for path, memory in method.start(data.transition).items()
    }
    learned_parts = [value for memory in memories.values() for value in memory.values() if value.requires_grad]
    optimizers = [optimizer_of(student, options, device)]
    optimizers += [eager(torch.optim.Adam)([value], lr=1e-3) for value in learned_parts]
    moved = [value for optimizer in optimizers for group in optimizer.param_groups for value in group["params"]]
    state = TrainingState(
        step=0,
        memories=memories,
        average=weights_of(student) if options.ema else {},
        counts=no_counts(device),
        passes=torch.zeros(steps_per_epoch * options.accumulate, 4, dtype=torch.float64, device=device),
    )
    fingerprint = fingerprint_of(method, options, num_labelled, num_pool, seed, data.content)
    if resume.checkpoint is not None and resume.checkpoint.exists():
        load(resume.checkpoint, fingerprint, student, optimizers, state)
    forward: Callable[[Tensor | Ragged], Tensor] = student
    if world > 1:
        forward = nn.parallel.DistributedDataParallel(student)
    if options.compile:
        forward = torch.compile(forward)
    autocast = options.bf16 and device.type == "cuda"
    stored = isinstance(teacher, StoredAnswers)
    settled = rows.settled(method, num_labelled, data.transition) if stored else NOT_SETTLED
    expected = rows.expected(num_labelled) if stored else None
    drawn_alike = bool((rows.draw_weight == 1).all())
    if ones := isinstance((method.pool if num_pool else method.labelled).weight, Uniform):
        state.passes[:, 1:] = 1
    last_save = time.monotonic()

    while state.step < total_steps and not _stopped(state, options):
        step, epoch = state.step, state.step // steps_per_epoch

        # --- once an epoch: parts that use held-out examples are refreshed; weights are one in the first epoch
        if step % steps_per_epoch == 0 and epoch > 0 and held_out is not None and method.needs_held_out:
            state.memories = method.refresh(state.memories, _held_out_batch(student, held_out, data.transition))
        if not student.training or step % steps_per_epoch == 0:
            student.train()

        # --- one step
        _seed(device, derived_seed(seed, "noise", step, rank))
        rate = learning_rate_share(step, total_steps, options)
        for group in optimizers[0].param_groups:
            group["lr"] = group["initial_lr"] * rate
        labelled_rows = labelled_stream.take(step * labelled_size, labelled_size)[rank::world]
        pool_rows = pool_stream.take(step * pool_size, pool_size)[rank::world] + num_labelled
        for value in moved:
            value.grad = None
        for labelled_part, pool_part in _passes(labelled_rows, pool_rows, options.accumulate):
            taken = torch.cat([labelled_part, pool_part]).to(device)
            inputs = rows.take(taken)
            if isinstance(inputs, Tensor) and inputs.ndim == 4:
                inputs = augment(inputs, options.augmentation, options.padding, torch.default_generator)
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cuda", torch.bfloat16) if autocast else nullcontext():
                student_logits = forward(inputs) if state.step else first_logits(forward, inputs, len(taken), data)
                teacher_probs = None if stored else teacher.probs(rows.teacher_probs.take(taken), inputs)
            batch = rows.batch(taken, student_logits.float(), teacher_probs, data.transition)
            loss, weight = method(batch, state.memories, len(labelled_part), settled.take(taken))
            # The only place in the package where examples are averaged.
            counted = weight if drawn_alike else weight * rows.draw_weight.index_select(0, taken)
            mean_loss = torch.dot(counted, loss) * (world / (labelled_size + pool_size))
            mean_loss.backward()
            state.passes[state.num_passes, 0] = mean_loss.detach()
            if not ones:
                record = _weight_record(weight[len(labelled_part) if num_pool else 0 :])
                state.passes[state.num_passes, 1:] = record
            state.num_passes += 1
            state.counts.add(
                batch, weight, len(labelled_part), None if expected is None else expected.index_select(0, taken)
            )
        # On a GPU the check waits for the device, so it runs every 64 steps only.
        if device.type == "cpu" or step % 64 == 63:
            value = state.passes[state.num_passes - 1, 0].item()
            if not abs(value) < HIGHEST_LOSS:
                heaviest = state.passes[state.num_passes - 1, 3].item()
                what = f"loss is {value:.3g} (largest weight {heaviest:.3g})"
                raise _diverged(what, step, total_steps, steps_per_epoch, options)
        for value in learned_parts if world > 1 else []:
            dist.all_reduce(value.grad, op=dist.ReduceOp.AVG)
        for optimizer in optimizers:
            optimizer.step()
        state.step += 1
        for name, value in weights_of(student, copy=False).items() if state.average else ():
            average = state.average[name]
            average.lerp_(value, 1 - options.ema) if average.is_floating_point() else average.copy_(value)

        # --- at the end of an epoch, and from time to time: record and save
        if state.step % steps_per_epoch == 0:
            for name, value in weights_of(student, copy=False).items():
                if value.is_floating_point() and not value.isfinite().all():
                    raise _diverged(f"weight {name!r} is not finite", step, total_steps, steps_per_epoch, options)
            resume.observe(_close_epoch(student, state, data, epoch + 1, steps_per_epoch, options))
        ends = interrupted()
        due = ends or time.monotonic() - last_save >= options.checkpoint_seconds
        if resume.checkpoint is not None and due and rank == 0:
            save(resume.checkpoint, fingerprint, student, optimizers, state)
            last_save = time.monotonic()
        if ends:
            raise KeyboardInterrupt

    if state.best or state.average:
        student.load_state_dict(state.best or state.average)
    return state.history, state.memories


def _diverged(what: str, step: int, total: int, steps_per_epoch: int, options: TrainOptions) -> NotFiniteError:
    """The error of a training that diverged; steps count from 1."""
    return NotFiniteError(
        f"The training has diverged: the {what} at step {step + 1} of {total} (epoch {step // steps_per_epoch + 1}), "
        f"with learning rate {options.learning_rate:g}; lower 'train.learning_rate'."
    )


def first_logits(
    forward: Callable[[Tensor | Ragged], Tensor], inputs: Tensor | Ragged, num_rows: int, data: LoopData
) -> Tensor:
    """The logits of the first batch: a module of the user that fails on it, or has another shape, is refused here.

    Args:
        forward: The module.
        inputs: A batch of encoded inputs.
        num_rows: B.
        data: Has the number of classes, K.

    Raises:
        InputError: The module raises an exception, or its output is not [B, K].
    """
    shape, num_classes = getattr(inputs, "shape", ("B",)), len(data.transition)
    read = f"a batch of inputs of shape {tuple(shape)} and type {getattr(inputs, 'dtype', type(inputs).__name__)}"
    try:
        logits = forward(inputs)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError, NotImplementedError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"The student's module fails on {read}: {reason(error)}.") from error
    if not isinstance(logits, Tensor) or logits.shape != (num_rows, num_classes):
        found = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"type {type(logits).__name__}"
        raise InputError(
            f"The student's module has output of {found} for {read}; logits of shape {(num_rows, num_classes)} are "
            f"needed."
        )
    return logits


def _seed(device: torch.device, seed: int) -> None:
    """As `torch.manual_seed`, which takes a millisecond without CUDA because it records a stack trace."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _held_out_batch(student: nn.Module, held_out: TrainingRows, transition: Tensor) -> Batch:
    """The held-out examples under the current student, in evaluation mode and without augmentation."""
    all_rows = torch.arange(len(held_out), device=held_out.label.device)
    student.eval()
    with torch.no_grad():
        logits = torch.cat([student(held_out.take(part)).float() for part in all_rows.split(1024)])
    student.train()
    return held_out.batch(all_rows, logits, held_out.teacher_probs.take(all_rows), transition)


def _passes(labelled_rows: Tensor, pool_rows: Tensor, num: int) -> Iterable[tuple[Tensor, Tensor]]:
    """The rows of each pass of a step."""
    if num == 1:
        return [(labelled_rows, pool_rows)]
    return zip(labelled_rows.tensor_split(num), pool_rows.tensor_split(num), strict=True)


def _weight_record(weight: Tensor) -> Tensor:
    """The weights of one pass for the epoch's record: mean, smallest and largest; [3]."""
    weight = weight if len(weight) else weight.new_ones(1)
    return torch.stack((weight.mean(), *weight.aminmax()))


def _close_epoch(
    student: nn.Module,
    state: TrainingState,
    data: LoopData,
    epoch: int,
    steps_per_epoch: int,
    options: TrainOptions,
) -> EpochRecord:
    """Record the epoch, start the next one's sums, and copy the best student if early stopping is on."""
    passes = state.passes[: state.num_passes]
    held_out_loss = None
    if data.held_out is not None:
        with _as_kept(student, state.average):
            batch = _held_out_batch(student, data.held_out, data.transition)
        truth = label_distribution(batch.label, batch.teacher_probs)
        held_out_loss = soft_cross_entropy(batch.student_logits, truth).mean().item()
        if options.early_stop_epochs and held_out_loss < state.best_loss:
            state.best_loss, state.best_epoch = held_out_loss, epoch
            state.best = {name: value.clone() for name, value in (state.average or weights_of(student)).items()}
    record = EpochRecord(
        epoch=epoch,
        loss=passes[:, 0].sum().item() / steps_per_epoch,
        weight_min=passes[:, 2].min().item(),
        weight_mean=passes[:, 1].mean().item(),
        weight_max=passes[:, 3].max().item(),
        held_out_loss=held_out_loss,
        **asdict(summed(state.counts.flush())),
    )
    state.history.append(record)
    state.num_passes, state.counts = 0, no_counts(state.counts.total.device)
    return record


@contextmanager
def _as_kept(student: nn.Module, average: dict[str, Tensor]) -> Iterator[None]:
    """The student with the weights that would be kept now: the average of its weights where there is one."""
    if not average:
        yield
        return
    live = weights_of(student)
    student.load_state_dict(average)
    try:
        yield
    finally:
        student.load_state_dict(live)


def _stopped(state: TrainingState, options: TrainOptions) -> bool:
    return 0 < options.early_stop_epochs <= len(state.history) - state.best_epoch


def weights_of(student: nn.Module, *, copy: bool = True) -> dict[str, Tensor]:
    """The student's state by name, copied unless it is only to be read."""
    return {name: value.detach().clone() if copy else value.detach() for name, value in student.state_dict().items()}
