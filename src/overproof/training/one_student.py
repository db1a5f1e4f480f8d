"""One student from a teacher's answers, as the command line and Python both train it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from overproof.answers.predictions import Answers, compress
from overproof.cross_fitting import folds
from overproof.errors import InputError
from overproof.methods.composition import Method, Objective
from overproof.methods.losses import CrossEntropy, SquaredError
from overproof.methods.published import labelled_only
from overproof.methods.search import Search
from overproof.methods.selectors import Nothing
from overproof.methods.targets import Given
from overproof.models import Inputs, Student
from overproof.seeds import derived_seed, hasher
from overproof.storage.shard import Ids
from overproof.training.checkpoint import NOT_RESUMED, Resume
from overproof.training.distillation import Distilled, content_of, distilled
from overproof.training.examples import AnsweredExamples, TrainingData
from overproof.training.options import TeacherTraining, TrainOptions
from overproof.training.peer_rounds.peers import PeerOptions, Peers
from overproof.training.peer_rounds.rounds import CorrectedAnswers, run_rounds
from overproof.training.search.choose import NUM_FOLDS, Chosen, choose, has_hard_labels
from overproof.training.search.cross_validation import CrossValidation
from overproof.training.teacher_source import STORED, TeacherSource


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PeerRounds:
    """Peer rounds before a student is trained.

    Args:
        options: How many rounds, and how peers are trained and stacked.
        ids: The content ids of the examples of each role.
        folder: Where the peers' answers are stored; what a search stores is in the folder `search` beside it.
        without_fold: For each fold of a teacher that was trained on the labelled examples, its answers on the pool
            without that fold; empty for a teacher that was not.
    """

    options: PeerOptions
    ids: Mapping[str, Ids]
    folder: Path
    without_fold: Sequence[Answers] = ()


def train_student(
    student: Student,
    data: TrainingData,
    *,
    method: Method,
    options: TrainOptions,
    seed: int,
    rounds: PeerRounds | None = None,
    teacher: TeacherSource = STORED,
    teacher_weights: Mapping[str, Tensor] | None = None,
    examples_per_epoch: int | None = None,
    resume: Resume = NOT_RESUMED,
) -> tuple[Distilled, CorrectedAnswers]:
    """Correct the answers by peer rounds if there are any, then train one student on them.

    Args:
        student: Freshly built from `seed`; trained in place.
        data: Labelled examples, pool and validation set.
        method: Composition of noise model, selector and objectives.
        options: How to train.
        seed: Seeds everything random; the same data, answers and seed give the same student.
        rounds: Peer rounds; None is none.
        teacher: As for `distilled`.
        teacher_weights: As for `distilled`.
        examples_per_epoch: As for `distilled`.
        resume: As for `distilled`.

    Returns:
        The student, and the answers that it was trained on.

    Raises:
        InputError: The errors of `distilled` and of `run_rounds`.
    """
    chosen = None
    if method.search is not None:
        chosen, rounds = _searched(student, data, method.search, options, seed, rounds, resume)
        method, options = chosen.method, chosen.train
    corrected = CorrectedAnswers(answered=data.by_role, records=())
    if rounds is not None and rounds.options.most:
        corrected = run_rounds(_peers(student, data, method, options, seed, rounds))
        corrected = corrected.with_labelled(data.labelled)
        if chosen is not None and chosen.record.log_loss is not None:
            corrected = corrected.better_than(chosen.record.log_loss, data.by_role)
            if corrected.learned is not None:
                chosen = replace(chosen, record=chosen.record.without_rounds())
        data = data.with_roles(corrected.answered)
    result = distilled(
        student,
        data,
        method=method,
        options=options,
        seed=seed,
        teacher=teacher,
        teacher_weights=teacher_weights,
        examples_per_epoch=examples_per_epoch,
        resume=resume,
    )
    result = replace(result, method=method, search=None if chosen is None else chosen.record)
    return (replace(result, rounds=corrected.facts()) if corrected.records else result), corrected


def _searched(
    student: Student,
    data: TrainingData,
    search: Search,
    options: TrainOptions,
    seed: int,
    rounds: PeerRounds | None,
    resume: Resume,
) -> tuple[Chosen, PeerRounds]:
    """The choice of a search, and the peer rounds of the student that it leads to."""
    if rounds is None or len(data.pool) == 0:
        raise InputError("A search for the method needs a pool of unlabelled examples; name a method instead.")
    num_folds = len(rounds.without_fold) or NUM_FOLDS
    content = hasher(content_of(student, data, resume).encode())
    for answers in rounds.without_fold:
        content.update(answers.class_indices.numpy().tobytes() + answers.class_probs.numpy().tobytes())
    trusted = data.trust_labelled_answers
    given = rounds.options.most
    peers = PeerOptions(most=search.rounds) if not given else rounds.options
    costs = peers.cost(num_folds, hard_labels=has_hard_labels(data)) if peers.most else 0.0
    if not given and costs > search.budget / 2 - 1:
        peers, costs = PeerOptions(), 0.0
    chosen = choose(
        CrossValidation(
            fresh=lambda: student.fresh(seed=seed),
            data=data,
            seed=derived_seed(seed, "search"),
            fold=folds(data.labelled.label, num_folds, seed, data.labelled.repeats.group) if trusted else None,
            without_fold=rounds.without_fold or [data.pool.answers] * num_folds,
            content=content.hexdigest(),
            folder=rounds.folder.with_name("search"),
            workers=rounds.options.workers,
        ),
        search,
        options,
        costs=costs,
    )
    if isinstance(chosen.method.select, Nothing):
        peers = PeerOptions()
    if peers.most:
        record = chosen.record
        chosen = replace(chosen, record=replace(record, row={**record.row, "rounds": peers.most}))
    return chosen, replace(rounds, options=peers)


def _peers(
    student: Student, data: TrainingData, method: Method, options: TrainOptions, seed: int, rounds: PeerRounds
) -> Peers:
    num_folds = len(rounds.without_fold) or (2 if rounds.options.folds == "auto" else rounds.options.folds)
    fold = folds(data.labelled.label, num_folds, seed, data.labelled.repeats.group)
    # A round compares the teacher's answers with the labels.
    answered = data.labelled.answers.answered
    return Peers(
        fresh=lambda: student.fresh(seed=seed),
        data=replace(data, labelled=data.labelled.answered),
        ids={**rounds.ids, "labelled": rounds.ids["labelled"][answered.numpy()]},
        method=method,
        train=options,
        options=rounds.options,
        seed=derived_seed(seed, "rounds"),
        fold=fold[answered],
        without_fold=rounds.without_fold or [data.pool.answers] * num_folds,
        folder=rounds.folder,
    )


def train_on_labels(
    student: Student,
    inputs: Inputs,
    label: Tensor,
    *,
    options: TrainOptions,
    seed: int,
    checkpoint: Path | None,
    content: str = "",
) -> Distilled:
    """Train a student on labels alone, without a teacher, in place.

    Args:
        student: Freshly built.
        inputs: Encoded examples.
        label: [N], the labels of the first N of them.
        options: How to train; of a teacher with its loss.
        seed: Seeds everything random.
        checkpoint: File to resume from; None writes none.
        content: As in `Resume`.
    """
    num_classes = len(student.class_names)
    squared = isinstance(options, TeacherTraining) and options.loss == "mse"
    objective = Objective(target=Given(), loss=SquaredError() if squared else CrossEntropy())
    uniform = compress(torch.full((len(label), num_classes), 1 / num_classes))
    labelled = AnsweredExamples(place=torch.arange(len(label)), label=label, answers=uniform)
    return distilled(
        student,
        TrainingData(inputs=inputs, labelled=labelled, pool=labelled.take(torch.arange(0))),
        method=replace(labelled_only(), labelled=objective),
        options=options,
        seed=seed,
        resume=Resume(checkpoint=checkpoint, content=content),
    )
