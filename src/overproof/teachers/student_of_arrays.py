"""A student of examples and answers that were given in Python: of all of them, or of all but a fold."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from overproof.answers.predictions import compress
from overproof.data import Examples, group_words
from overproof.data.ids import digest_of_sets
from overproof.methods.composition import Method
from overproof.models import Inputs, ModelSpec, build, join
from overproof.teachers.from_arrays import GivenArrays
from overproof.training.checkpoint import EpochRecord, Resume
from overproof.training.distillation import Distilled
from overproof.training.examples import AnsweredExamples, TrainingData
from overproof.training.one_student import PeerRounds, train_student
from overproof.training.options import TrainOptions
from overproof.training.peer_rounds.peers import PeerOptions
from overproof.training.teacher_source import STORED, OnlineTeacher


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ArraysToStudent:
    """How a student is trained, whatever the examples; arguments of `overproof.distill`.

    Args:
        method: Composed.
        options: How to train.
        seed: Seeds everything random.
        held_out_share: As there.
        rounds: As there.
        teacher: As there.
        draw_weight: [N], how often each pool example is drawn; None for all alike.
        allow_import: As there.
    """

    method: Method
    options: TrainOptions
    seed: int
    held_out_share: float
    rounds: PeerOptions
    teacher: nn.Module | None
    draw_weight: Tensor | None
    allow_import: frozenset[str]

    def of(
        self,
        student: str | nn.Module | ModelSpec,
        given: GivenArrays,
        checkpoint: Path | None,
        observe: Callable[[EpochRecord], None] = lambda record: None,
    ) -> tuple[Distilled, Inputs, dict[str, tuple[AnsweredExamples, Examples]]]:
        """A student of these examples, their encoding, and the roles that they have in it.

        Args:
            student: As for `overproof.distill`.
            given: Examples and answers.
            checkpoint: File to resume from; None writes none.
            observe: Called after every epoch.
        """
        labelled, pool = given.labelled, given.pool
        names, num_labelled = labelled.class_names, len(labelled)
        built = build(student, [labelled, pool], class_names=names, seed=self.seed, allow_import=self.allow_import)
        data = TrainingData(
            inputs=join([built.encode(labelled), built.encode(pool)]),
            labelled=AnsweredExamples(
                place=torch.arange(num_labelled),
                label=labelled.label,
                answers=compress(given.labelled_probs, source="labelled_teacher_probs")
                .identified(labelled.ids)
                .without(given.silent),
                group=group_words(labelled),
            ),
            pool=AnsweredExamples(
                place=num_labelled + torch.arange(len(pool)),
                label=torch.full((len(pool),), -1),
                answers=compress(given.pool_probs, source="teacher_probs").identified(pool.ids),
                draw_weight=self.draw_weight,
            ),
            held_out_share=self.held_out_share,
        )
        teacher, online = self.teacher, self.options.teacher_answers == "online"
        with tempfile.TemporaryDirectory() as temporary:
            result, _ = train_student(
                built,
                data,
                method=self.method,
                options=self.options,
                seed=self.seed,
                rounds=PeerRounds(
                    options=self.rounds,
                    without_fold=[
                        compress(each, source="teacher_probs").identified(pool.ids) for each in given.without_half
                    ],
                    ids={"labelled": labelled.ids, "pool": pool.ids},
                    folder=(Path(temporary) if checkpoint is None else checkpoint.parent) / "peers",
                ),
                teacher=OnlineTeacher(module=teacher, order=torch.arange(len(names))) if teacher and online else STORED,
                teacher_weights=None if teacher is None else teacher.state_dict(),
                resume=Resume(checkpoint=checkpoint, observe=observe, content=digest_of_sets(labelled.ids, pool.ids)),
            )
        return result, data.inputs, {"labelled examples": (data.labelled, labelled), "pool": (data.pool, pool)}
