"""The training loop: one function for every method, read from top to bottom."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import pydantic
import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor, nn

from overproof.augment import Augmentation, augment
from overproof.checkpoint import EpochRecord, State, load, save
from overproof.contract import Batch
from overproof.errors import InputError
from overproof.functional import label_distribution, soft_cross_entropy
from overproof.method import Memories, Method
from overproof.models import Inputs
from overproof.processes import place
from overproof.sampler import Shuffled, derived_seed


class TrainOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How a student is trained.

    Args:
        epochs: Passes over the pool.
        batch_size: Examples a step, labelled and pool ones together.
        labelled_share: Share of every batch drawn from the labelled examples; `auto` is their share of all examples,
            but at least an eighth, so that few labels are not drowned.
        optimizer: `adamw` or `sgd` (Nesterov momentum .9); `auto` is what suits the student by name.
        learning_rate: At the peak; `auto` is what suits the student and the optimizer.
        weight_decay: Decoupled for AdamW; never on biases and norms.
        warmup_share: Share of all steps that warm up linearly; a cosine falls to zero after them.
        ema: Decay of an exponential moving average of the weights, which then is the student; 0 is none.
        augmentation: For images: `none`, `crop` or `crop_flip`.
        padding: Pixels by which a crop may shift.
        early_stop_epochs: Stop after this many epochs without a better loss on held-out labelled examples, and keep the
            best; 0 never stops.
        accumulate: Forward and backward passes a step, for memory; the gradient is the same.
        bf16: Autocast to bfloat16 where the device is CUDA.
        compile: Compile the student with `torch.compile`.
        device: `auto` is CUDA where there is one.
        checkpoint_seconds: At most this much work is lost to a kill.
    """

    epochs: pydantic.PositiveInt = 15
    batch_size: int = pydantic.Field(128, ge=2)
    labelled_share: float | Literal["auto"] = "auto"
    optimizer: Literal["auto", "adamw", "sgd"] = "auto"
    learning_rate: pydantic.PositiveFloat | Literal["auto"] = "auto"
    weight_decay: pydantic.NonNegativeFloat = 0.01
    warmup_share: float = pydantic.Field(0.05, ge=0, le=1)
    ema: float = pydantic.Field(0.0, ge=0, lt=1)
    augmentation: Augmentation = "none"
    padding: pydantic.NonNegativeInt = 4
    early_stop_epochs: pydantic.NonNegativeInt = 0
    accumulate: pydantic.PositiveInt = 1
    bf16: bool = True
    compile: bool = False
    device: str = "auto"
    checkpoint_seconds: pydantic.NonNegativeFloat = 10.0

    def resolved(self, optimizer: str, learning_rate: float) -> "TrainOptions":
        """The same without `auto`: what suits the student, or the habit of the optimizer the user chose instead."""
        if self.optimizer not in ("auto", optimizer):
            optimizer, learning_rate = self.optimizer, {"sgd": 0.05, "adamw": 1e-3}[self.optimizer]
        rate = learning_rate if self.learning_rate == "auto" else self.learning_rate
        return self.model_copy(update={"optimizer": optimizer, "learning_rate": rate})

    def resolved_device(self) -> torch.device:
        """The device `auto` stands for here."""
        if self.device != "auto":
            return torch.device(self.device)
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rows:
    """Examples as the loop reads them, tensors all: what the student sees and what is known of the teacher there.

    Args:
        inputs: Encoded examples, shared by every method of a run.
        place: [N], where in `inputs` each row stands.
        label: [N], the given label or -1.
        teacher_probs: N rows of [K], out of sample on labelled examples.
        teacher_accuracy: [N], in [0, 1].
        num_candidates: [N], in 1..K.
    """

    inputs: Inputs
    place: Int[Tensor, "N"]
    label: Int[Tensor, "N"]
    teacher_probs: Inputs
    teacher_accuracy: Float[Tensor, "N"]
    num_candidates: Int[Tensor, "N"]

    def __len__(self) -> int:
        return len(self.label)

    def to(self, device: torch.device) -> "Rows":
        """The same rows on another device."""
        return Rows(
            inputs=self.inputs.to(device),
            place=self.place.to(device),
            label=self.label.to(device),
            teacher_probs=self.teacher_probs.to(device),
            teacher_accuracy=self.teacher_accuracy.to(device),
            num_candidates=self.num_candidates.to(device),
        )

    def take(self, rows: Tensor) -> Tensor:
        """What the student sees of these rows."""
        return self.inputs.take(self.place[rows])

    def batch(self, rows: Tensor, student_logits: Tensor, transition: Tensor) -> Batch:
        """These rows with the student's logits on them."""
        teacher_probs = self.teacher_probs.take(rows)
        return Batch(
            student_logits=student_logits,
            target_probs=teacher_probs,
            teacher_probs=teacher_probs,
            label=self.label[rows],
            teacher_accuracy=self.teacher_accuracy[rows],
            num_candidates=self.num_candidates[rows],
            transition=transition,
        )


# The loop seeds the global generator at every step, for dropout; nobody else shall notice.
@torch.random.fork_rng()
def train(
    student: nn.Module,
    rows: Rows,
    *,
    num_labelled: int,
    method: Method,
    transition: Float[Tensor, "K K"],
    options: TrainOptions,
    steps_per_epoch: int,
    seed: int,
    held_out: Rows | None = None,
    checkpoint: Path | None = None,
    observe: Callable[[EpochRecord], None] = lambda record: None,
) -> tuple[list[EpochRecord], Memories]:
    """Train `student` in place; the same arguments give the same bytes, killed and resumed or not.

    The objective is the mean over the batch's examples, labelled and pool alike, of weight times loss; it is divided
    by the number of examples, never by the sum of the weights, because that is what makes debiasing weights unbiased.

    Args:
        student: Maps a batch of encoded inputs to logits [B, K].
        rows: Labelled examples first, then the pool the method selected (which may be empty).
        num_labelled: How many of `rows` are labelled examples.
        method: What is asked of them.
        transition: [K, K], P(pseudo-label j | true label i).
        options: How; `learning_rate` must be a number here.
        steps_per_epoch: Steps between two refreshes. It is the caller's, so that methods which keep less of the pool
            see as many examples in all.
        seed: Decides order, dropout and augmentation.
        held_out: Labelled examples the student must not train on, for methods that look at them and for early stopping.
        checkpoint: File to resume from and to keep the state in.
        observe: Called after every epoch.

    Returns:
        One record an epoch, and the memory of the method's parts at the end.

    Raises:
        FloatingPointError: The loss is not finite; the step is named and not taken.
        InputError: The method or early stopping needs held-out examples and there are none, or the checkpoint belongs
            to another run.
    """
    if held_out is None and method.needs_held_out:
        raise InputError("This method estimates its weights on labelled examples held out of training; give some.")
    if held_out is None and options.early_stop_epochs:
        raise InputError("train.early_stop_epochs needs labelled examples held out of training; give some.")
    device = options.resolved_device()
    rank, world = place()
    # Kernels with the channels last are the fast ones for convolutions; nothing else has four axes.
    student.to(device)
    student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's own signatures
    rows, transition = rows.to(device), transition.to(device)
    held_out = held_out.to(device) if held_out else None

    # --- who is in a batch
    num_pool = len(rows) - num_labelled
    labelled_size, pool_size = batch_sizes(options, num_labelled, num_pool)
    labelled_stream = Shuffled(num_labelled, derived_seed(seed, "labelled"))
    pool_stream = Shuffled(num_pool, derived_seed(seed, "pool"))
    total_steps = options.epochs * steps_per_epoch

    # --- what learns
    memories = {
        path: {name: value.to(device).detach().requires_grad_(value.requires_grad) for name, value in memory.items()}
        for path, memory in method.start(transition).items()
    }
    learned_parts = [value for memory in memories.values() for value in memory.values() if value.requires_grad]
    optimizers = [_optimizer(student, options, device)]
    optimizers += [torch.optim.Adam([value], lr=1e-3) for value in learned_parts]
    state = State(
        step=0,
        memories=memories,
        average=weights_of(student) if options.ema else {},
    )
    fingerprint = repr((options.model_dump(exclude={"checkpoint_seconds"}), method, num_labelled, num_pool, seed))
    if checkpoint is not None and checkpoint.exists():
        load(checkpoint, fingerprint, student, optimizers, state)
    forward: Callable[[Tensor], Tensor] = student
    if world > 1:
        forward = nn.parallel.DistributedDataParallel(student)
    if options.compile:
        forward = torch.compile(forward)
    autocast = options.bf16 and device.type == "cuda"
    last_save = time.monotonic()

    while state.step < total_steps and not _stopped(state, options):
        step, epoch = state.step, state.step // steps_per_epoch

        # --- once an epoch: parts that look at held-out examples do so; weights are one in the first epoch
        if step % steps_per_epoch == 0 and epoch > 0 and held_out is not None and method.needs_held_out:
            state.memories = method.refresh(state.memories, _held_out_batch(student, held_out, transition))

        # --- one step
        _seed(device, derived_seed(seed, "noise", step, rank))
        rate = _learning_rate_share(step, total_steps, options.warmup_share)
        for group in optimizers[0].param_groups:
            group["lr"] = group["initial_lr"] * rate
        labelled_rows = labelled_stream.take(step * labelled_size, labelled_size)[rank::world]
        pool_rows = pool_stream.take(step * pool_size, pool_size)[rank::world] + num_labelled
        student.train()
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        for labelled_part, pool_part in zip(
            labelled_rows.tensor_split(options.accumulate), pool_rows.tensor_split(options.accumulate), strict=True
        ):
            taken = torch.cat([labelled_part, pool_part]).to(device)
            inputs = rows.take(taken)
            if inputs.ndim == 4:
                inputs = augment(inputs, options.augmentation, options.padding, torch.default_generator)
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cuda", torch.bfloat16) if autocast else nullcontext():
                student_logits = forward(inputs)
            batch = rows.batch(taken, student_logits.float(), transition)
            weighted_sum, weight = _objective(method, batch, state.memories, len(labelled_part))
            # The only place in the package where examples are averaged.
            mean_loss = weighted_sum * (world / (labelled_size + pool_size))
            mean_loss.backward()
            state.passes.append(_noted(mean_loss.detach(), weight))
        # On a GPU the look would wait for the device, so it is taken now and then.
        if (device.type == "cpu" or step % 64 == 63) and not math.isfinite(state.passes[-1][0]):
            raise FloatingPointError(f"The loss is not finite at step {step} of {total_steps} (epoch {epoch + 1}).")
        for value in learned_parts if world > 1 else []:
            dist.all_reduce(value.grad, op=dist.ReduceOp.AVG)
        for optimizer in optimizers:
            optimizer.step()
        state.step += 1
        for name, value in weights_of(student, copy=False).items() if state.average else ():
            average = state.average[name]
            average.lerp_(value, 1 - options.ema) if average.is_floating_point() else average.copy_(value)

        # --- once in a while: look, and save
        if state.step % steps_per_epoch == 0:
            observe(_close_epoch(student, state, held_out, transition, epoch + 1, steps_per_epoch, options))
        if checkpoint is not None and time.monotonic() - last_save >= options.checkpoint_seconds and rank == 0:
            save(checkpoint, fingerprint, student, optimizers, state)
            last_save = time.monotonic()

    if state.best or state.average:
        student.load_state_dict(state.best or state.average)
    return state.history, state.memories


def batch_sizes(options: TrainOptions, num_labelled: int, num_pool: int) -> tuple[int, int]:
    """How many labelled and how many pool examples stand in a batch.

    Example:
        >>> batch_sizes(TrainOptions(batch_size=128), num_labelled=300, num_pool=5000)
        (16, 112)
    """
    if num_pool == 0 or num_labelled == 0:
        return (options.batch_size, 0) if num_pool == 0 else (0, options.batch_size)
    natural = num_labelled / (num_labelled + num_pool)
    share = max(natural, 1 / 8) if isinstance(options.labelled_share, str) else options.labelled_share
    labelled_size = min(max(round(share * options.batch_size), 1), options.batch_size - 1)
    return labelled_size, options.batch_size - labelled_size


def _objective(method: Method, batch: Batch, memories: Memories, num_labelled: int) -> tuple[Tensor, Tensor]:
    """The sum of weight times loss, each side by its own objective, and the weights of the pool examples."""
    labelled_loss, labelled_weight = method.labelled(_part(batch, slice(0, num_labelled)), memories, "labelled")
    pool_loss, pool_weight = method.pool(_part(batch, slice(num_labelled, None)), memories, "pool")
    return torch.dot(labelled_weight, labelled_loss) + torch.dot(pool_weight, pool_loss), pool_weight


def _seed(device: torch.device, seed: int) -> None:
    """As `torch.manual_seed`, which takes a millisecond where CUDA is not in use: it notes a stack trace for later."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _part(batch: Batch, rows: slice) -> Batch:
    per_example = {
        f.name: getattr(batch, f.name)[rows] for f in fields(batch) if f.name not in ("transition", "memory")
    }
    return replace(batch, **per_example)


def _held_out_batch(student: nn.Module, held_out: Rows, transition: Tensor) -> Batch:
    """The held-out examples under the current student, in evaluation mode and without augmentation."""
    everyone = torch.arange(len(held_out), device=held_out.label.device)
    student.eval()
    with torch.no_grad():
        logits = torch.cat([student(held_out.take(part)).float() for part in everyone.split(1024)])
    student.train()
    return held_out.batch(everyone, logits, transition)


def _noted(mean_loss: Tensor, weight: Tensor) -> Tensor:
    """What is kept of one pass for the epoch's record: loss, and mean, smallest and largest weight; [4]."""
    weight = weight if len(weight) else torch.ones_like(mean_loss).unsqueeze(0)
    return torch.stack((mean_loss, weight.mean(), *weight.aminmax()))


def _close_epoch(
    student: nn.Module,
    state: State,
    held_out: Rows | None,
    transition: Tensor,
    epoch: int,
    steps_per_epoch: int,
    options: TrainOptions,
) -> EpochRecord:
    """Record the epoch, start the next one's sums, and keep the best student where early stopping asks for it."""
    passes = torch.stack(state.passes)
    held_out_loss = None
    if held_out is not None:
        batch = _held_out_batch(student, held_out, transition)
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
    )
    state.history.append(record)
    state.passes = []
    return record


def _stopped(state: State, options: TrainOptions) -> bool:
    return 0 < options.early_stop_epochs <= len(state.history) - state.best_epoch


def _learning_rate_share(step: int, total_steps: int, warmup_share: float) -> float:
    """Linear warm-up, then a cosine to zero: the share of the peak learning rate at this step."""
    warmup = math.ceil(warmup_share * total_steps)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total_steps - warmup, 1)))


def _optimizer(student: nn.Module, options: TrainOptions, device: torch.device) -> torch.optim.Optimizer:
    """Weight decay on matrices and kernels only; the fused kernel is several times faster for large embeddings."""
    parameters = [p for p in student.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = options.learning_rate
    assert not isinstance(rate, str), "the caller resolves what is 'auto'"
    groups = [{**group, "initial_lr": rate} for group in groups if group["params"]]
    fused = device.type in ("cpu", "cuda")
    if options.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True, fused=fused)
    return torch.optim.AdamW(groups, lr=rate, fused=fused)


def weights_of(student: nn.Module, *, copy: bool = True) -> dict[str, Tensor]:
    """The student's state by name, copied unless it is only to be read."""
    return {name: value.detach().clone() if copy else value.detach() for name, value in student.state_dict().items()}
