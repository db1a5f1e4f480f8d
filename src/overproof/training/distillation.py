"""One student by one method: from encoded examples and a teacher's answers to a trained student."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from jaxtyping import Int
from torch import Tensor

from overproof.cross_fitting import folds, rows_within, rows_without
from overproof.errors import InputError
from overproof.methods.composition import Memories, Method
from overproof.methods.noise_models import Noiseless
from overproof.methods.selectors import ClassCounts, ShortClasses, class_counts
from overproof.models import Inputs, Placed, Student, as_read, body_of, optimizer_for
from overproof.noise import NoiseEstimate
from overproof.processes import leads, wait_for_all
from overproof.seeds import derived_seed
from overproof.storage import atomic
from overproof.training.checkpoint import EpochRecord, fingerprint_of
from overproof.training.estimators import check_fittable, fit_weighted
from overproof.training.examples import Answered, answered_by, joined
from overproof.training.imitation_search import Choice, Judged, Notes, choose, judge
from overproof.training.interleaved import Training, alone, at_once, to_its_end
from overproof.training.loop import training
from overproof.training.options import TrainOptions, batch_sizes
from overproof.training.teacher_source import STORED, Answering, Stored


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Distilled:
    """A trained student and how it came about.

    Args:
        student: Ready to predict, save and export.
        history: One record an epoch.
        noise: What was estimated of the teacher's errors.
        memories: What the method's parts had learned at the end.
        kept: [M], which pool examples it was trained on.
        num_labelled: Labelled examples it was trained on.
        num_held_out: Labelled examples kept out of training for the method to look at.
        pool_classes: How many answers name each class, over the pool and over what was kept of it.
        choices: The ξ of every generation, where it was chosen on held-out labels.
        rounds: What rounds of peers came to before, where there were any.
    """

    student: Student
    history: list[EpochRecord]
    noise: NoiseEstimate
    memories: Memories
    kept: Int[Tensor, "M"]
    num_labelled: int
    num_held_out: int
    pool_classes: ClassCounts
    choices: tuple[Choice, ...] = ()
    rounds: Mapping[str, Any] = field(default_factory=dict)

    @property
    def num_pool(self) -> int:
        """Pool examples it was trained on."""
        return len(self.kept)


def distilling(
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
    teacher_weights: Mapping[str, Tensor] | None = None,
    teacher: Answering = STORED,
    examples_per_epoch: int | None = None,
    checkpoint: Path | None = None,
    observe: Callable[[EpochRecord], None] = lambda record: None,
) -> Training[Distilled]:
    """Train one student by one method: once, or as often as its generations and the search for ξ ask for.

    It stops after every step of what is kept of it, so that students may take theirs in turn; `distilled` takes all.

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
            estimated, and ξ is then chosen, on `validation` alone.
        held_out_share: Share of `labelled` kept out of training where the method (or early stopping) needs it and
            there is no validation set. A search for ξ keeps them out of its tries only.
        teacher: Who answers in a batch: the store, or the teacher itself.
        examples_per_epoch: Pool examples that pass in an epoch, so that students of smaller or larger pools see as many
            in all; by default the whole pool once.
        teacher_weights: The teacher's own, for methods that start from them.
        checkpoint: File to resume from; several trainings keep theirs in a folder of the same name beside it.
        observe: Called after every epoch of the last training.

    Raises:
        InputError: Too few labelled examples to hold some out; nobody there to be asked online; what `check_trainable`
            refuses; a start from a teacher that is not given or of another kind.
    """
    check_trainable(method, options, unseen=trust_labelled_answers, validation=validation is not None)
    if (body := body_of(student.module)) is not None:
        check_fittable(body.path, method, options)
    if options.teacher_answers == "online" and isinstance(teacher, Stored):
        raise InputError(
            "Option 'train.teacher_answers' is 'online', but there is no teacher here that could be asked."
        )
    fitted = labelled if trust_labelled_answers else labelled.take(torch.arange(0))
    known = [fitted, *([validation] if validation is not None else [])]
    noise = method.noise.fit(
        torch.cat([each.answers.probs() for each in known]), torch.cat([each.label for each in known])
    )
    held_out = validation
    if held_out is None and (method.needs_held_out or options.early_stop_epochs):
        labelled, held_out = _parted(labelled, held_out_share, seed)
    options = options.resolved(*optimizer_for(student.spec))
    trainer = training if body_of(student.module) is None else at_once(fit_weighted)
    read = as_read(student.module, inputs)
    try:
        chosen = method.select(pool.answers)
    except ShortClasses as error:
        raise error.named(student.class_names) from None
    # Chosen rows rise, so that as many as there are is all of them: a large pool is not copied for that.
    kept = pool if len(chosen) == len(pool) else pool.take(chosen)

    def trained(
        learner: Student,
        method: Method,
        labelled: Answered,
        held_out: Answered | None,
        seed: int,
        checkpoint: Path | None,
        observe: Callable[[EpochRecord], None] = lambda record: None,
    ) -> Training[tuple[list[EpochRecord], Memories]]:
        # Steps follow the whole pool, so that a method which keeps less of it sees as many examples in all; where there
        # is no pool, an epoch is a pass over the labelled examples.
        labelled_size, pool_size = batch_sizes(options, len(labelled), len(pool))
        passed, size = (examples_per_epoch or len(pool), pool_size) if len(pool) else (len(labelled), labelled_size)
        return trainer(
            learner.module,
            joined(labelled.rows(read, noise), kept.rows(read, noise)),
            num_labelled=len(labelled),
            method=method,
            transition=noise.transition,
            options=options,
            steps_per_epoch=max(1, round(passed / size)),
            seed=seed,
            teacher=teacher,
            held_out=None if held_out is None else held_out.rows(read, noise),
            checkpoint=checkpoint,
            observe=observe,
        )

    folder = None if checkpoint is None or method.num_trainings == 1 else checkpoint.with_suffix("")
    notes = Notes(folder=folder, fingerprint=fingerprint_of(method, options, len(labelled), len(kept), seed))
    weights = _fitting(teacher_weights, student) if method.initial == "teacher" else None
    choices = []
    for generation in range(1, method.generations + 1):
        last = generation == method.generations
        own_seed = seed if last else derived_seed(seed, "generation", generation)
        learner = student if last else student.fresh(seed=own_seed)
        if weights is not None:
            learner.module.load_state_dict(weights)
        settled = method
        if method.sought is not None:
            both = (labelled, held_out) if held_out is not None else _parted(labelled, held_out_share, seed)
            ask = partial(_judged, learner, inputs, *both, method, trained, own_seed, notes, f"generation {generation}")
            choices.append(choose(method.sought.search, ask))
            settled = method.with_imitation(choices[-1].imitation)
        finished = None if folder is None or last else folder / f"generation-{generation}.safetensors"
        if finished is not None and finished.exists():
            learner.module.load_state_dict(safetensors.torch.load_file(finished))
        else:
            own = checkpoint if folder is None or last else folder / f"generation-{generation}.pt"
            history, memories = yield from trained(
                learner, settled, labelled, held_out, own_seed, own, observe if last else lambda record: None
            )
        if last:
            break
        state = {name: value.detach().cpu().contiguous() for name, value in learner.module.state_dict().items()}
        if finished is not None and leads():
            atomic.write_bytes(finished, safetensors.torch.save(state))
        wait_for_all()
        labelled = answered_by(learner, inputs, labelled)
        held_out = None if held_out is None else answered_by(learner, inputs, held_out)
        weights = state if method.initial == "teacher" else None
    return Distilled(
        student=student,
        history=history,
        noise=noise,
        memories=memories,
        kept=chosen,
        num_labelled=len(labelled),
        num_held_out=0 if held_out is None else len(held_out),
        pool_classes=class_counts(pool.answers, chosen, student.class_names),
        choices=tuple(choices),
    )


distilled = alone(distilling)


def check_trainable(method: Method, options: TrainOptions, *, unseen: bool, validation: bool) -> None:
    """A method can be trained that way at all.

    Args:
        method: Which.
        options: How.
        unseen: Whether the teacher's answers on the labelled examples are out of sample.
        validation: Whether there are more labelled examples, which neither teacher nor student sees.

    Raises:
        InputError: A target that extrapolates without weight decay; a search for ξ, or a method that looks at labels,
            without labels that the teacher has not seen.
    """
    if method.extrapolates and options.weight_decay == 0:
        raise InputError(
            "Option 'train.weight_decay' is 0, but the imitation ξ may leave [0, 1]: such a loss has no lower bound "
            "unless the weights decay; set a positive weight decay or an imitation in [0, 1]."
        )
    if method.generations > 1 and options.teacher_answers == "online":
        raise InputError(
            "Option 'train.teacher_answers' is 'online', but of several generations all but the first learn from a "
            "student, not from that teacher; set it to 'stored'."
        )
    if method.sought is not None and method.generations > 1 and not validation:
        raise InputError(
            "With several generations an imitation of 'auto' needs a 'validation' role, because every student but the "
            "first learns from one that has seen the other labels; add one, or set the imitation to a number."
        )
    if unseen or validation:
        return
    if method.sought is not None:
        raise InputError(
            "An imitation of 'auto' is chosen on labels that the teacher has not seen, and there are none: add a "
            "'validation' role, cross-fit the teacher, or set 'labelled.target.imitation' to a number."
        )
    if not isinstance(method.noise, Noiseless) or method.needs_held_out:
        raise InputError(
            "The teacher has seen the labelled examples, so a 'validation' role of labelled examples that it never saw "
            "is needed to estimate its errors; add one, or cross-fit the teacher."
        )


def _parted(labelled: Answered, share: float, seed: int) -> tuple[Answered, Answered]:
    """The labelled examples without a held-out share of them, and that share."""
    part = folds(labelled.label, max(2, round(1 / share)), derived_seed(seed, "held out"))
    return labelled.take(rows_without(part, 0)), labelled.take(rows_within(part, 0))


def _judged(
    learner: Student,
    inputs: Inputs,
    labelled: Answered,
    judges: Answered,
    method: Method,
    trained: Callable[..., Training[Any]],
    seed: int,
    notes: Notes,
    prefix: str,
    imitation: float,
) -> Judged:
    """What held-out labels say of a copy of the learner at this ξ: the same first weights, the same batches."""
    name = f"{prefix}, ξ = {imitation!r}"
    if name not in notes.found:
        copied = replace(learner, module=copy.deepcopy(learner.module))
        checkpoint = None if notes.folder is None else notes.folder / f"{prefix}, {imitation!r}.pt"
        to_its_end(trained(copied, method.with_imitation(imitation), labelled, judges, seed, checkpoint))
        probs = copied.probs(Placed(inputs=inputs, place=judges.place))
        assert method.sought is not None
        found = judge(method.sought.search, judges.label, judges.answers.probs(), probs)
        notes.note(name, asdict(found))
        if checkpoint is not None and leads():
            checkpoint.unlink(missing_ok=True)
    return Judged(**notes.found[name])


def _fitting(weights: Mapping[str, Tensor] | None, student: Student) -> Mapping[str, Tensor]:
    """The teacher's weights, where they are those of a student like this one."""
    if weights is None:
        raise InputError(
            "This method starts from the teacher's own weights, and none are given: the teacher must be a network of "
            "the student's kind, trained once on all the labels (teacher.model 'student' and teacher.folds 1)."
        )
    own = {name: value.shape for name, value in student.module.state_dict().items()}
    if {name: value.shape for name, value in weights.items()} != own:
        raise InputError("This method starts from the teacher's weights, but the teacher is of another kind.")
    return weights
