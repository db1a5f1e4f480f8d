"""Training examples: encoded inputs with given labels and teacher answers, and the same as tensors for the loop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.contract import Batch, DeferredBatch
from overproof.cross_fitting import held_out_rows
from overproof.functional import likeliest
from overproof.functional.repeats import Repeats, joined
from overproof.methods.composition import Method, Side
from overproof.methods.settled import NOT_SETTLED, Settled
from overproof.models import Batches, Dense, Inputs, Placed, Ragged, Student, join
from overproof.noise import LikelihoodRule, NoiseEstimate
from overproof.seeds import derived_seed

MAX_EXPANDED = 2**25
"""Up to this many probabilities are expanded to all classes once per training (128 MiB); more are expanded by batch."""


MAX_SETTLED = 2**24
"""Up to this many probabilities, targets are computed once per training (64 MiB); more are computed by batch."""

SETTLED_ROWS = 2**16
"""Rows whose targets and candidates are computed at once."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AnsweredExamples:
    """Some examples of a shared set of inputs, with their given labels and answers.

    Args:
        place: [N], the position of each example in the inputs.
        label: [N], the given label, or -1 if there is none.
        answers: The teacher's answers; out of sample where the label is used.
        group: [N], a number for the group of each example, such as the hash of its name; None without groups.
        draw_weight: [N], positive: by what each example's weight is multiplied because not all were drawn with the same
            probability (`overproof.evaluation.staged_draws`); None where they were.
    """

    place: Int[Tensor, "N"]
    label: Int[Tensor, "N"]
    answers: Answers
    group: Int[Tensor, "N"] | None = None
    draw_weight: Float[Tensor, "N"] | None = None

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: Int[Tensor, "M"]) -> "AnsweredExamples":
        """A subset of the examples."""
        return AnsweredExamples(
            place=self.place[rows],
            label=self.label[rows],
            answers=self.answers.take(rows),
            group=None if self.group is None else self.group[rows],
            draw_weight=None if self.draw_weight is None else self.draw_weight[rows],
        )

    @property
    def repeats(self) -> Repeats:
        """Which of the examples repeat or depend on each other."""
        return Repeats.of(self.answers.id_word, self.group)

    @property
    def answered(self) -> "AnsweredExamples":
        """Those that the teacher answers."""
        known = self.answers.answered
        return self if known.all() else self.take(known.nonzero()[:, 0])

    @property
    def once(self) -> "AnsweredExamples":
        """The first example of each content."""
        repeats = self.repeats
        return self.take(repeats.once) if repeats.any else self

    def answered_by(self, student: Student, inputs: Inputs) -> "AnsweredExamples":
        """The same examples with a student's answers in place of the teacher's."""
        probs = student.probs(Placed(inputs=inputs, place=self.place))
        return replace(self, answers=self.answers.with_probs(probs))

    def rows(self, inputs: Batches, noise: NoiseEstimate) -> "TrainingRows":
        """The examples as inputs of the training loop."""
        margin = self.answers.margin
        return TrainingRows(
            inputs=inputs,
            place=self.place,
            label=self.label,
            teacher_probs=(
                ExpandedByBatch(answers=self.answers)
                if len(self) * self.answers.num_classes > MAX_EXPANDED
                else Dense(values=self.answers.probs())
            ),
            teacher_accuracy=noise.accuracy_of(self.answers),
            num_candidates=torch.cat([noise.candidates(some).short() for some in margin.split(SETTLED_ROWS)]),
            likelihood=noise.likelihood,
            class_share=self._class_share(),
            draw_weight=torch.ones(1).expand(len(self)) if self.draw_weight is None else self.draw_weight.float(),
        )

    def _class_share(self) -> Float[Tensor, "N"]:
        """The share of these examples with the same class: the given label, or where there is none the pseudo-label.

        With draw weights it is the share of the examples that these stand for.
        """
        named = self.label.where(self.label >= 0, self.answers.pseudo_label.long())
        if self.draw_weight is not None:
            sums = torch.bincount(named, self.draw_weight.double(), minlength=self.answers.num_classes)
            return (sums / sums.sum())[named].float()
        counts = torch.bincount(named, minlength=self.answers.num_classes)
        return (counts.float() / max(len(self), 1))[named]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingData:
    """The data that one student is trained on.

    Args:
        inputs: Encoded examples, which the parts below share.
        labelled: Labelled examples, with the teacher's out-of-sample answers.
        pool: Unlabelled examples, with the teacher's answers; may be empty.
        validation: More labelled examples, never trained on.
        trust_labelled_answers: False if the teacher was trained on the labelled examples: its errors are then
            estimated, and ξ is chosen, on `validation` only.
        held_out_share: Share of `labelled` held out of training if the method (or early stopping) needs held-out labels
            and there is no validation set. A search for ξ holds it out of its trial trainings only.
    """

    inputs: Inputs
    labelled: AnsweredExamples
    pool: AnsweredExamples
    validation: AnsweredExamples | None = None
    trust_labelled_answers: bool = True
    held_out_share: float = 1 / 3

    @property
    def out_of_sample(self) -> list[AnsweredExamples]:
        """The labelled examples on which the teacher's answers are out of sample; the first has no rows without any.

        Some may have no answer (`Answers.without`): students are judged on these too, the teacher is not.
        """
        labelled = self.labelled if self.trust_labelled_answers else self.labelled.take(torch.arange(0))
        return [labelled] if self.validation is None else [labelled, self.validation]

    @property
    def repeats(self) -> Repeats:
        """Which of the examples of `out_of_sample` repeat or depend on each other."""
        return repeats_of(self.out_of_sample)

    @property
    def by_role(self) -> dict[str, AnsweredExamples]:
        """The parts by role: labelled, pool and, where there is one, validation."""
        parts = {"labelled": self.labelled, "pool": self.pool}
        return parts if self.validation is None else {**parts, "validation": self.validation}

    def with_roles(self, parts: Mapping[str, AnsweredExamples]) -> "TrainingData":
        """The same with other parts, by role."""
        return replace(self, labelled=parts["labelled"], pool=parts["pool"], validation=parts.get("validation"))

    def parted(self, labelled: AnsweredExamples, seed: int) -> tuple[AnsweredExamples, AnsweredExamples]:
        """Labelled examples split into those to train on and the held-out share."""
        draw, repeats = derived_seed(seed, "held out"), labelled.repeats
        # Where the teacher has no answer, nothing could be measured.
        answered = labelled.answers.answered.nonzero()[:, 0]
        chosen = held_out_rows(labelled.label[answered], self.held_out_share, draw, repeats.take(answered).group)
        held_out = answered[chosen]
        # Training uses every row that is given; what is measured on held-out labels counts each content once.
        rest = ~torch.isin(repeats.group, repeats.group[held_out])
        return labelled.take(rest.nonzero()[:, 0]), labelled.take(repeats.counted(held_out))


def repeats_of(parts: Sequence[AnsweredExamples]) -> Repeats:
    """Which examples repeat or depend on each other, within each part, and across parts if they are in one group.

    Args:
        parts: Sets of examples that share no content.
    """
    return joined([each.repeats for each in parts], [each.group for each in parts])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ExpandedByBatch:
    """Very many stored answers, expanded to all classes one batch at a time."""

    answers: Answers

    def __len__(self) -> int:
        return len(self.answers)

    def take(self, rows: Int[Tensor, "B"]) -> Float[Tensor, "B K"]:
        """The probabilities of these rows."""
        return self.answers.probs(rows)

    def to(self, device: torch.device) -> "ExpandedByBatch":
        """The same answers on another device."""
        parts = {f.name: getattr(self.answers, f.name) for f in fields(self.answers) if f.name != "num_classes"}
        return ExpandedByBatch(answers=replace(self.answers, **{name: part.to(device) for name, part in parts.items()}))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingRows:
    """Examples as tensors: the student's inputs, and the teacher's answers with the estimates of their accuracy.

    Args:
        inputs: Encoded examples, shared by every method of a run.
        place: [N], the position of each row in `inputs`.
        label: [N], the given label or -1.
        teacher_probs: N rows of [K], out of sample on labelled examples.
        teacher_accuracy: [N], in [0, 1].
        num_candidates: [N], in 1..K, as 16-bit integers.
        likelihood: P(answer | class) of the teacher's answers.
        class_share: [N], the share of rows of the same side with the same given label, or else pseudo-label.
        draw_weight: [N], by what the weight of each row is multiplied; 1 where all were drawn alike.
    """

    inputs: Batches
    place: Int[Tensor, "N"]
    label: Int[Tensor, "N"]
    teacher_probs: Inputs
    teacher_accuracy: Float[Tensor, "N"]
    num_candidates: Int[Tensor, "N"]
    likelihood: LikelihoodRule
    class_share: Float[Tensor, "N"]
    draw_weight: Float[Tensor, "N"]

    def __len__(self) -> int:
        return len(self.label)

    def followed_by(self, other: "TrainingRows") -> "TrainingRows":
        """These rows, then those of another part of the same inputs."""
        return TrainingRows(
            inputs=self.inputs,
            place=torch.cat([self.place, other.place]),
            label=torch.cat([self.label, other.label]),
            teacher_probs=join([self.teacher_probs, other.teacher_probs]),
            teacher_accuracy=torch.cat([self.teacher_accuracy, other.teacher_accuracy]),
            num_candidates=torch.cat([self.num_candidates, other.num_candidates]),
            likelihood=self.likelihood,
            class_share=torch.cat([self.class_share, other.class_share]),
            draw_weight=torch.cat([self.draw_weight, other.draw_weight]),
        )

    def to(self, device: torch.device) -> "TrainingRows":
        """The same rows on another device."""
        return TrainingRows(
            inputs=self.inputs.to(device),
            place=self.place.to(device),
            label=self.label.to(device),
            teacher_probs=self.teacher_probs.to(device),
            teacher_accuracy=self.teacher_accuracy.to(device),
            num_candidates=self.num_candidates.to(device),
            likelihood=self.likelihood.to(device),
            class_share=self.class_share.to(device),
            draw_weight=self.draw_weight.to(device),
        )

    def take(self, rows: Tensor) -> Tensor | Ragged:
        """The student's inputs for these rows."""
        return self.inputs.take(self.place.index_select(0, rows))

    def batch(self, rows: Tensor, student_logits: Tensor, teacher_probs: Tensor | None, transition: Tensor) -> Batch:
        """These rows as a `Batch`, with the student's logits.

        Args:
            rows: [B].
            student_logits: [B, K].
            teacher_probs: [B, K], the teacher's probabilities, where they are not the stored ones.
            transition: [K, K].
        """

        def make(batch: Batch, name: str) -> Any:
            if name == "target_probs":
                return batch.teacher_probs
            if name == "teacher_probs":
                return self.teacher_probs.take(rows) if teacher_probs is None else teacher_probs
            if name == "answer_likelihood":
                return self.likelihood(batch.teacher_probs)
            if name == "num_candidates":
                return self.num_candidates.index_select(0, rows).long()
            return getattr(self, name).index_select(0, rows)

        return DeferredBatch.of(make, student_logits=student_logits, transition=transition, side_share=1.0, memory={})

    def expected(self, num_labelled: int) -> Int[Tensor, "N"] | None:
        """The label of labelled examples, which are first, and the teacher's likeliest class of the others.

        It is -1 where all classes are equally likely. None where the answers are expanded by batch.
        """
        if not isinstance(self.teacher_probs, Dense):
            return None
        return torch.cat([self.label[:num_labelled], likeliest(self.teacher_probs.values[num_labelled:])])

    def settled(self, method: Method, num_labelled: int, transition: Tensor) -> Settled:
        """Of every row, the target and the weight where the method's depend on what is stored alone.

        Nothing is computed of very many rows.

        Args:
            method: Decides what depends on what.
            num_labelled: Number of labelled examples, which are first.
            transition: [K, K].
        """
        if not isinstance(self.teacher_probs, Dense) or self.teacher_probs.values.numel() > MAX_SETTLED:
            return NOT_SETTLED
        if not method.settles:
            return NOT_SETTLED
        sides: tuple[tuple[Side, int, int], ...] = (("labelled", 0, num_labelled), ("pool", num_labelled, len(self)))
        found = [
            method.settled(self.batch(part, self.teacher_probs.take(part), None, transition), side)
            for side, start, stop in sides
            for part in torch.arange(start, stop, device=self.label.device).split(SETTLED_ROWS)
        ]
        return Settled.joined(found)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoopData:
    """The inputs of the training loop, or of the fit of an estimator.

    Args:
        rows: Labelled examples first, then the pool that the method selected, which may be empty.
        num_labelled: Number of labelled examples in `rows`.
        transition: [K, K], P(pseudo-label j | true label i).
        held_out: Labelled examples that the student must not be trained on, for methods that use them and for early
            stopping.
        content: The digest of all of it and of the student's first weights, for checkpoints.
    """

    rows: TrainingRows
    num_labelled: int
    transition: Float[Tensor, "K K"]
    held_out: TrainingRows | None = None
    content: str = ""

    @property
    def num_pool(self) -> int:
        """Number of pool examples in `rows`."""
        return len(self.rows) - self.num_labelled

    def to(self, device: torch.device) -> "LoopData":
        """The same on another device."""
        held_out = None if self.held_out is None else self.held_out.to(device)
        return replace(self, rows=self.rows.to(device), transition=self.transition.to(device), held_out=held_out)
