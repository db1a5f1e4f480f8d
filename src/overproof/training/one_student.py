"""One student from a teacher's answers, as the command line and Python both train it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from overproof.answers.predictions import Answers, compress
from overproof.cross_fitting import folds
from overproof.methods.composition import Method
from overproof.methods.published import labelled_only
from overproof.models import Inputs, Student
from overproof.seeds import derived_seed
from overproof.storage.shard import Ids
from overproof.training.checkpoint import NOT_RESUMED, Resume
from overproof.training.distillation import Distilled, distilled
from overproof.training.examples import AnsweredExamples, TrainingData
from overproof.training.options import TrainOptions
from overproof.training.peer_rounds.peers import PeerOptions, Peers
from overproof.training.peer_rounds.rounds import CorrectedAnswers, run_rounds
from overproof.training.teacher_source import STORED, TeacherSource


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PeerRounds:
    """Peer rounds before a student is trained.

    Args:
        options: How many rounds, and how peers are trained and stacked.
        ids: The content ids of the examples of each role.
        folder: Where the peers' answers are stored.
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
    corrected = CorrectedAnswers(answered=data.by_role, records=())
    if rounds is not None and rounds.options.most:
        corrected = run_rounds(_peers(student, data, method, options, seed, rounds))
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
    return (replace(result, rounds=corrected.facts()) if corrected.records else result), corrected


def _peers(
    student: Student, data: TrainingData, method: Method, options: TrainOptions, seed: int, rounds: PeerRounds
) -> Peers:
    num_folds = len(rounds.without_fold) or (2 if rounds.options.folds == "auto" else rounds.options.folds)
    return Peers(
        fresh=lambda: student.fresh(seed=seed),
        data=data,
        ids=rounds.ids,
        method=method,
        train=options,
        options=rounds.options,
        seed=derived_seed(seed, "rounds"),
        fold=folds(data.labelled.label, num_folds, seed, data.labelled.repeats.group),
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
) -> None:
    """Train a student on labels alone, without a teacher, in place.

    Args:
        student: Freshly built.
        inputs: Encoded examples.
        label: [N], the labels of the first N of them.
        options: How to train.
        seed: Seeds everything random.
        checkpoint: File to resume from; None writes none.
        content: As in `Resume`.
    """
    num_classes = len(student.class_names)
    uniform = compress(torch.full((len(label), num_classes), 1 / num_classes))
    labelled = AnsweredExamples(place=torch.arange(len(label)), label=label, answers=uniform)
    distilled(
        student,
        TrainingData(inputs=inputs, labelled=labelled, pool=labelled.take(torch.arange(0))),
        method=labelled_only(),
        options=options,
        seed=seed,
        resume=Resume(checkpoint=checkpoint, content=content),
    )
