"""One student by one method: from encoded examples and a teacher's answers to a trained student."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from jaxtyping import Int
from torch import Tensor

from overproof.data import Examples
from overproof.data.wording import counted
from overproof.errors import InputError
from overproof.methods.composition import Memories, Method
from overproof.methods.selectors import ClassCounts, Nothing, ShortClasses, class_counts
from overproof.models import Batches, Inputs, Placed, Student, as_read, body_of, optimizer_for
from overproof.models.saved.seen_rows import rows_of_roles
from overproof.noise import NoiseEstimate
from overproof.processes import leads, wait_for_all
from overproof.seeds import derived_seed, hasher
from overproof.storage import checked
from overproof.training.checkpoint import NOT_RESUMED, EpochRecord, Resume, fingerprint_of
from overproof.training.estimated import Performance
from overproof.training.estimators import check_fittable, fit_weighted
from overproof.training.examples import SETTLED_ROWS, AnsweredExamples, LoopData, TrainingData, repeats_of
from overproof.training.imitation_search import Choice, HeldOutScore, StoredResults, choose, held_out_score
from overproof.training.loop import train
from overproof.training.mixing import Mixing, settled_mixing
from overproof.training.options import TrainOptions, num_steps
from overproof.training.search.record import SearchRecord
from overproof.training.stored_scores import metadata_of
from overproof.training.teacher_source import STORED, StoredAnswers, TeacherSource
from overproof.training.trainable import check_trainable, learnable


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Distilled:
    """A trained student, and the record of its training.

    Args:
        student: Ready to predict, save and export.
        history: One record an epoch.
        noise: The estimate of the teacher's errors.
        memories: The memory of the method's parts at the end of training.
        kept: [M], the pool examples that it was trained on.
        num_labelled: Number of labelled examples that it was trained on.
        num_held_out: Number of labelled examples held out of training for the method.
        num_classless: Number of pool examples that were left out before any selection, because no class is the
            teacher's likeliest (`Answers.names_class`) and the method goes by that.
        pool_classes: Number of answers per class, over the pool and over the part of it that was kept.
        choices: The ξ of every generation, if it was chosen on held-out labels.
        rounds: The results of peer rounds, if there were any.
        findings: Sentences about the examples, and about the training: those of a run that need no test.
        mixing: For student-label mixing, the form that was used and the classes near which it matters.
        method: The method that it was trained by: of a search the one that was chosen.
        search: The record of the search for the method, if there was one.
        estimate: How often the student is right, where that was asked for.
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
    findings: tuple[str, ...] = ()
    mixing: Mixing | None = None
    method: Method | None = None
    search: SearchRecord | None = None
    num_classless: int = 0
    estimate: Performance | None = None

    def __repr__(self) -> str:
        rows = f"trained on {self.num_labelled:,} labelled and {self.num_pool:,} pool examples"
        held = f", {self.num_held_out:,} held out" if self.num_held_out else ""
        how = f", by {self.search.chosen!r}, which the labels chose" if self.search is not None else ""
        judged = "not judged (estimate=5 judges it)" if self.estimate is None else self.estimate.words()
        return f"Distilled({self.student!r}, {rows}{held}, {counted(len(self.history), 'epoch')}{how}; {judged})"

    @property
    def num_pool(self) -> int:
        """Number of pool examples that it was trained on."""
        return len(self.kept)

    def made_from(
        self, inputs: Inputs, roles: Mapping[str, tuple[AnsweredExamples, Examples]], unknown: Sequence[str] = ()
    ) -> "Distilled":
        """The same with a student that lists the rows it was made from.

        Args:
            inputs: All encoded examples.
            roles: By role, in words: its rows of the inputs, and its examples.
            unknown: What the student was made with whose own training rows are not known.
        """
        seen = rows_of_roles(self.student.encoder, inputs, roles, unknown)
        return replace(self, student=replace(self.student, seen=seen))


def distilled(
    student: Student,
    data: TrainingData,
    *,
    method: Method,
    options: TrainOptions,
    seed: int,
    teacher: TeacherSource = STORED,
    teacher_weights: Mapping[str, Tensor] | None = None,
    examples_per_epoch: int | None = None,
    resume: Resume = NOT_RESUMED,
) -> Distilled:
    """Train one student by one method, including all its generations and its search for ξ.

    Args:
        student: Freshly built; trained in place.
        data: Labelled examples, pool and validation set.
        method: Composition of noise model, selector and objectives.
        options: How to train.
        seed: Seeds everything random.
        teacher: Source of the teacher's probabilities for a batch: the stored answers, or the teacher itself.
        teacher_weights: The teacher's own, for methods that start from them.
        examples_per_epoch: Number of pool examples in an epoch, so that students of smaller or larger pools are trained
            on equally many in all; by default the size of the pool.
        resume: Checkpoint of the state, and an observer of the epochs of the last training.

    Raises:
        InputError: Too few labelled examples to hold some out; `teacher_answers: online` without a teacher to evaluate;
            the errors of `check_trainable`; a start from a teacher that is not given or of another kind.
    """
    _check(student, data, method, options, teacher)
    noise = estimated_noise(method, data)
    labelled = data.labelled.answered if method.reads_labelled_answers else data.labelled
    held_out = None if data.validation is None else data.validation.once
    if held_out is None and (method.needs_held_out or options.early_stop_epochs):
        labelled, held_out = data.parted(labelled, seed)
    chosen, num_classless = _chosen(method, data.pool, student)
    method, mixing = settled_mixing(method, noise, data.pool.answers, chosen)
    trainings = _Trainings(
        inputs=data.inputs,
        read=as_read(student.module, data.inputs, many_times=True),
        # Chosen rows ascend, so equally many rows are the same rows: a large pool need not be copied.
        pool=data.pool if len(chosen) == len(data.pool) else data.pool.take(chosen),
        num_pool=len(data.pool),
        noise=noise,
        options=options.resolved(*optimizer_for(student.spec, student.kind)),
        teacher=teacher,
        examples_per_epoch=examples_per_epoch or len(data.pool),
        folder=_folder(resume.checkpoint, method),
    )
    content = content_of(student, data, resume) if resume.checkpoint is not None else ""
    trainings = replace(trainings, content=content)
    fingerprint = fingerprint_of(method, trainings.options, len(labelled), len(chosen), seed, content)
    results = StoredResults(folder=trainings.folder, fingerprint=fingerprint)
    weights = _fitting(teacher_weights, student) if method.initial == "teacher" else None
    choices = list[Choice]()
    for generation in range(1, method.generations + 1):
        last = generation == method.generations
        own_seed = seed if last else derived_seed(seed, "generation", generation)
        learner = student if last else student.fresh(seed=own_seed)
        if weights is not None:
            learner.module.load_state_dict(weights)
        settled = method
        if method.sought is not None:
            parts = (labelled, held_out) if held_out is not None else data.parted(labelled, seed)
            choices.append(trainings.imitation(learner, *parts, method, own_seed, results, f"generation {generation}"))
            settled = method.with_imitation(choices[-1].imitation)
        if last:
            history, memories = trainings.train(learner, settled, labelled, held_out, own_seed, resume)
            break
        state = trainings.generation(learner, settled, labelled, held_out, own_seed, generation)
        labelled = labelled.answered_by(learner, data.inputs)
        held_out = None if held_out is None else held_out.answered_by(learner, data.inputs)
        weights = state if method.initial == "teacher" else None
    return Distilled(
        student=student,
        history=history,
        noise=noise,
        memories=memories,
        kept=chosen,
        num_labelled=len(labelled),
        num_held_out=0 if held_out is None else len(held_out),
        pool_classes=class_counts(data.pool.answers, chosen, student.class_names),
        choices=tuple(choices),
        mixing=mixing,
        num_classless=num_classless,
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Trainings:
    """Everything that the trainings of one student have in common.

    Args:
        inputs: Encoded examples.
        read: The same, as the student's module reads them in batches.
        pool: The selected pool examples.
        num_pool: Number of pool examples before selection.
        noise: The estimate of the teacher's errors.
        options: How to train, without `auto`.
        teacher: Source of the teacher's probabilities for a batch.
        examples_per_epoch: Number of pool examples in an epoch, where there is a pool.
        folder: Folder for the files of trainings before the last; None stores none.
        content: The digest of what is trained and of what it is trained on, for checkpoints.
    """

    inputs: Inputs
    read: Batches
    pool: AnsweredExamples
    num_pool: int
    noise: NoiseEstimate
    options: TrainOptions
    teacher: TeacherSource
    examples_per_epoch: int
    folder: Path | None
    content: str = ""

    def train(
        self,
        learner: Student,
        method: Method,
        labelled: AnsweredExamples,
        held_out: AnsweredExamples | None,
        seed: int,
        resume: Resume,
    ) -> tuple[list[EpochRecord], Memories]:
        """Train a learner in place."""
        # The number of steps follows the whole pool, so that a method which selects less of it is trained on as many
        # examples in all; without a pool, an epoch is a pass over the labelled examples.
        num_pool = self.examples_per_epoch if self.num_pool else 0
        trainer = train if body_of(learner.module) is None else fit_weighted
        return trainer(
            learner.module,
            LoopData(
                rows=labelled.rows(self.read, self.noise).followed_by(self.pool.rows(self.read, self.noise)),
                num_labelled=len(labelled),
                transition=self.noise.transition,
                held_out=None if held_out is None else held_out.rows(self.read, self.noise),
                content=self.content,
            ),
            method=method,
            options=self.options,
            steps_per_epoch=num_steps(self.options, len(labelled), num_pool),
            seed=seed,
            teacher=self.teacher,
            resume=resume,
        )

    def generation(
        self,
        learner: Student,
        method: Method,
        labelled: AnsweredExamples,
        held_out: AnsweredExamples | None,
        seed: int,
        number: int,
    ) -> dict[str, Tensor]:
        """Train a generation before the last, or read it if it is finished; return its weights."""
        finished = None if self.folder is None else self.folder / f"generation-{number}.safetensors"
        stored = None if finished is None else checked.bytes_or_none(finished)
        if stored is not None and metadata_of(stored).get("content") != self.content:
            raise InputError(f"{finished} belongs to a training on other data; delete it or choose another folder.")
        if stored is not None:
            learner.module.load_state_dict(safetensors.torch.load(stored))
        else:
            checkpoint = None if self.folder is None else self.folder / f"generation-{number}.pt"
            self.train(learner, method, labelled, held_out, seed, Resume(checkpoint=checkpoint))
        state = {name: value.detach().cpu().contiguous() for name, value in learner.module.state_dict().items()}
        if finished is not None and leads():
            checked.write_bytes(finished, safetensors.torch.save(state, {"content": self.content}))
        wait_for_all()
        return state

    def imitation(
        self,
        learner: Student,
        labelled: AnsweredExamples,
        held_out: AnsweredExamples,
        method: Method,
        seed: int,
        results: StoredResults,
        prefix: str,
    ) -> Choice:
        """The ξ at which a copy of the learner (same initial weights and batches) is best on held-out labels."""
        assert method.sought is not None
        search = method.sought.search

        def evaluate(imitation: float) -> HeldOutScore:
            name = f"{prefix}, ξ = {imitation!r}"
            if name not in results.values:
                copied = replace(learner, module=copy.deepcopy(learner.module))
                checkpoint = None if self.folder is None else self.folder / f"{prefix}, {imitation!r}.pt"
                settled = method.with_imitation(imitation)
                self.train(copied, settled, labelled, held_out, seed, Resume(checkpoint=checkpoint))
                probs = copied.probs(Placed(inputs=self.inputs, place=held_out.place))
                results.add(name, asdict(held_out_score(search, held_out.label, held_out.answers.probs(), probs)))
                if checkpoint is not None and leads():
                    checkpoint.unlink(missing_ok=True)
            return HeldOutScore(**results.values[name])

        return choose(search, evaluate)


def content_of(student: Student, data: TrainingData, resume: Resume) -> str:
    """The digest of initial weights, labels and answers, and of the examples where the caller knows it.

    Args:
        student: Untrained.
        data: All that it is trained on.
        resume: With the digest of the examples.
    """
    content = hasher(resume.content.encode())
    for name, value in student.module.state_dict().items():
        content.update(name.encode() + value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    for role, each in data.by_role.items():
        content.update(role.encode())
        answers = each.answers
        for part in (each.label, answers.class_indices, answers.class_probs, answers.residual, answers.id_word):
            for some in part.split(SETTLED_ROWS):
                content.update(some.contiguous().numpy().data)
        if each.group is not None:
            content.update(each.group.contiguous().numpy().data)
        if each.draw_weight is not None:
            content.update(b"draw weight" + each.draw_weight.contiguous().numpy().tobytes())
    return content.hexdigest()


def estimated_noise(method: Method, data: TrainingData) -> NoiseEstimate:
    """The estimate of the teacher's errors, from the labelled examples on which its answers are out of sample.

    Args:
        method: Has the noise model.
        data: All examples.
    """
    known = [each.answered for each in data.out_of_sample]
    repeats = repeats_of(known)
    probs, label = torch.cat([each.answers.probs() for each in known]), torch.cat([each.label for each in known])
    # A user's own noise model need not know of repeats where there are none.
    return method.noise.fit(probs, label, repeats) if repeats.any else method.noise.fit(probs, label)


def _chosen(method: Method, pool: AnsweredExamples, student: Student) -> tuple[Tensor, int]:
    """The rows of a pool that a method is trained on, and how many were left out because they name no class."""
    named = learnable(method, pool.answers)
    try:
        if named.all() or isinstance(method.select, Nothing):
            return method.select(pool.answers), 0
        rows = named.nonzero()[:, 0]
        if len(rows) == 0:
            raise InputError(
                f"None of the {len(pool)} pool examples has an answer that names a class, and this method goes by it; "
                f"method soft takes all classes as equally likely there."
            )
        return rows[method.select(pool.answers.take(rows))], len(pool) - len(rows)
    except ShortClasses as error:
        raise error.named(student.class_names) from None


def _folder(checkpoint: Path | None, method: Method) -> Path | None:
    return None if checkpoint is None or method.num_trainings == 1 else checkpoint.with_suffix("")


def _check(student: Student, data: TrainingData, method: Method, options: TrainOptions, teacher: TeacherSource) -> None:
    check_trainable(method, options, unseen=data.trust_labelled_answers, validation=data.validation is not None)
    if (body := body_of(student.module)) is not None:
        check_fittable(body.path, method, options)
    if options.teacher_answers == "online" and isinstance(teacher, StoredAnswers):
        raise InputError("Option 'train.teacher_answers' is 'online', but no teacher is given that can be evaluated.")


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
