"""Peer rounds: students correct their teacher for as long as the log-loss on labelled examples falls."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.cross_fitting import FoldModels
from overproof.errors import InputError
from overproof.functional.repeats import Repeats, standard_error
from overproof.noise import Stacking, log_loss, named_posterior, named_posterior_by_role, posterior_of, stack_by_role
from overproof.seeds import derived_seed
from overproof.training.examples import AnsweredExamples, repeats_of
from overproof.training.peer_rounds.peers import LABELLED_ROLES, Peers, Scores


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundRecord:
    """The result of one round, on labelled examples out of sample.

    Args:
        number: From 1; 0 is that of students of the labels alone.
        before: Mean log-loss of the answers before the round, calibrated.
        peer: The same of the peers' answers alone.
        both: The same of the stack of teacher and peers.
        standard_error: Of the mean of the paired differences `before` less `both`.
        taken: Whether the round was taken.
        stacking: Weights of the teacher, of students of the labels alone if they are used, and of peers, with their
            95 % intervals, and biases.
        moved: Share of the pool whose class changed.
        drift: How far the pool's class shares moved (total variation, 0 to 1).
        distance_before: How far they were from the labelled examples' class shares before.
        distance_after: And after.
    """

    number: int
    before: float
    peer: float
    both: float
    standard_error: float
    taken: bool
    stacking: Mapping[str, Any]
    moved: float
    drift: float
    distance_before: float
    distance_after: float

    def sentence(self) -> str:
        """The result as a line of the log."""
        state = "taken" if self.taken else "not taken"
        return (
            f"round {self.number} {state}: labelled log-loss {self.before:.4f} before, peers alone {self.peer:.4f}, "
            f"both {self.both:.4f} (standard error of the difference {self.standard_error:.4f})"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class StudentRecord:
    """Students of the corrected answers compared with students of the teacher's own answers.

    Args:
        own: Mean log-loss, on labelled examples out of sample, of students of the teacher's own answers,
            calibrated.
        corrected: The same of students of the answers after the last round.
        standard_error: Of the mean of the paired differences `own` less `corrected`.
        taken: Whether the corrected answers are used.
    """

    own: float
    corrected: float
    standard_error: float
    taken: bool

    def sentence(self) -> str:
        """The result as a line of the log."""
        state = "used" if self.taken else "not used"
        return (
            f"corrected answers {state}: labelled log-loss {self.own:.4f} for students of the teacher's own, "
            f"{self.corrected:.4f} for students of them (standard error of the difference {self.standard_error:.4f})"
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CorrectedAnswers:
    """The answers after the rounds.

    Args:
        answered: The examples with the answers of the last round that was taken; unchanged if none was.
        records: One per round that was tried; the last may not have been taken.
        students: Results of students, if the teacher gives hard labels only and a round was taken.
        learned: The labelled log-loss of students of the teacher's own answers, where it is not above that of the
            corrected ones, which are not used then; else None.
    """

    answered: Mapping[str, AnsweredExamples]
    records: tuple[RoundRecord, ...]
    students: StudentRecord | None = None
    learned: float | None = None

    @property
    def taken(self) -> int:
        """Number of rounds taken, round 0 included; 0 if students of the corrected answers are worse."""
        if self.learned is not None or (self.students is not None and not self.students.taken):
            return 0
        return sum(record.taken for record in self.records)

    def with_labelled(self, labelled: AnsweredExamples) -> "CorrectedAnswers":
        """The same with all labelled examples: of the rounds only those are that the teacher answers.

        Args:
            labelled: With the teacher's own answers.
        """
        answers = labelled.answers.put(self.answered["labelled"].answers)
        return replace(self, answered={**self.answered, "labelled": replace(labelled, answers=answers)})

    def better_than(self, log_loss: float, teacher: Mapping[str, AnsweredExamples]) -> "CorrectedAnswers":
        """The same, or with the teacher's own answers where a student of these is at least as good as the corrected
        ones: then it averages away by itself what the rounds correct.

        Args:
            log_loss: The labelled log-loss of students of the teacher's own answers, out of sample.
            teacher: The examples with the teacher's own answers.
        """
        last = next((record for record in reversed(self.records) if record.taken), None)
        if not self.taken or last is None or last.both < log_loss:
            return self
        return replace(self, answered=teacher, learned=log_loss)

    def sentences(self) -> list[str]:
        """The results as lines of the log."""
        sentences = [record.sentence() for record in self.records]
        if self.learned is not None:
            sentences.append(
                f"corrected answers not used: students of the teacher's own have a labelled log-loss of "
                f"{self.learned:.4f}, which is not above theirs"
            )
        return sentences if self.students is None else [*sentences, self.students.sentence()]

    def facts(self) -> dict[str, Any]:
        """The rounds as values for JSON."""
        found: dict[str, Any] = {"taken": self.taken, "records": [asdict(record) for record in self.records]}
        found |= {} if self.learned is None else {"learned": self.learned}
        return found if self.students is None else {**found, "students": asdict(self.students)}


def run_rounds(peers: Peers) -> CorrectedAnswers:
    """Run peer rounds until one does not help, or until the maximum is reached.

    A round is taken if the mean log-loss of the stack on the labelled examples, all out of sample, is lower than that
    of the answers before the round by more than `standard_errors` of the paired difference. The teacher is not
    evaluated again, and no test example is used.

    Hard labels enter the stack as the posterior of the true class given the named class, estimated on the labels of
    other folds. Their accuracy per class is then known without any round, and correcting them may cost the student more
    than it gains. The corrected answers are therefore used only if students trained on them, out of sample, have a
    lower log-loss than students trained on the teacher's own answers, by the same rule. This costs two more trainings
    per fold.

    Raises:
        InputError: Fewer labelled examples than folds, or a pool of fewer than two.

    Source: our own; related to co-training (Blum and Mitchell, 1998), cross-fitting, and peer-advised distillation
        (arXiv 2312.10185).
    """
    options, teacher = peers.options, peers.answered
    if len(teacher["pool"]) < 2:
        raise InputError(f"Peer rounds need a pool of at least 2 examples; this one has {len(teacher['pool'])}.")
    stack = _Stack(peers=peers)
    teacher_probs, without_fold = _teacher_in_stack(stack)
    current: Mapping[str, AnsweredExamples] = teacher
    chains = stack.teacher_chains(1)
    loss = stack.loss(stack.fitted([teacher_probs])[0])
    records, alone = list[RoundRecord](), list[Scores]()
    for number in range(0 if options.alone else 1, options.most + 1):
        scores = peers.scored(number, chains, [record.number for record in records if record.taken])
        both, weights = stack.fitted([teacher_probs, *(each.by_role for each in alone), scores.by_role])
        gain = loss - stack.loss(both)
        taken = stack.helps(gain)
        corrected = {
            role: replace(teacher[role], answers=teacher[role].answers.with_probs(both[role])) for role in teacher
        }
        records.append(
            RoundRecord(
                number=number,
                before=loss.mean().item(),
                peer=stack.loss_alone(scores).mean().item(),
                both=stack.loss(both).mean().item(),
                standard_error=standard_error(gain, stack.independent),
                taken=taken,
                stacking=weights.summary(),
                **_drift(current["pool"].answers, corrected["pool"].answers, teacher["labelled"].label),
            )
        )
        if not taken and number > 0:
            break
        if not taken:
            continue
        current, loss = corrected, stack.loss(both)
        chains = []
        for fold, own in enumerate(scores.chains):
            rows = peers.trained_on(number + 1, fold)
            parts = [without_fold[fold][rows], *(each.chains[fold][rows] for each in alone)]
            parts.append(own if number else own[rows])
            chains.append({**corrected, "pool": stack.chain(number + 1, fold, weights(parts))})
        alone += [] if number else [scores]
    found = CorrectedAnswers(answered=current, records=tuple(records))
    if not (peers.hard_labels_only and found.taken):
        return found
    students = _students_of(stack, chains, [record.number for record in records if record.taken])
    return replace(found, answered=current if students.taken else teacher, students=students)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Stack:
    """The stack of teacher and peers, its weights fitted on labelled examples out of sample."""

    peers: Peers

    @functools.cached_property
    def label(self) -> dict[str, Tensor]:
        """The labels that the weights are fitted on, by role."""
        roles = [role for role in LABELLED_ROLES if role != "labelled" or self.peers.data.trust_labelled_answers]
        return {role: self.peers.answered[role].label for role in roles if role in self.peers.answered}

    @functools.cached_property
    def repeats(self) -> Repeats:
        """Which of them repeat or depend on each other, role after role."""
        return repeats_of([self.peers.answered[role] for role in self.label])

    @functools.cached_property
    def independent(self) -> Repeats:
        """The same of the first example of each content, on which the log-loss is computed."""
        return self.repeats.take(self.repeats.once)

    @functools.cached_property
    def without_fold(self) -> list[Tensor]:
        """For each fold, the teacher's probabilities on the pool without that fold."""
        return [answers.probs() for answers in self.peers.without_fold]

    def fitted(self, sources: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Tensor], Stacking]:
        """The stack of several sources of probabilities by role, and its weights."""
        options, seed = self.peers.options, derived_seed(self.peers.seed, "stack")
        return stack_by_role(
            sources, self.label, seed=seed, bias=options.bias, penalty=options.penalty, repeats=self.repeats
        )

    def helps(self, gain: Tensor) -> bool:
        """Whether a gain in log-loss is large enough."""
        return helps(gain, self.peers.options.standard_errors, self.independent)

    def loss(self, probs: Mapping[str, Tensor]) -> Tensor:
        """The log-loss of every labelled example, of repeated ones of the first."""
        return torch.cat([log_loss(probs[role], each) for role, each in self.label.items()])[self.repeats.once]

    def loss_alone(self, scores: Scores) -> Tensor:
        """The same by peers alone, calibrated."""
        return self.loss(self.fitted([scores.by_role])[0])

    def chain(self, number: int, fold: int, probs: Tensor) -> AnsweredExamples:
        """The pool examples that the peer of a fold is trained on in a round, with these answers."""
        rows = self.peers.answered["pool"].take(self.peers.trained_on(number, fold))
        return replace(rows, answers=rows.answers.with_probs(probs))

    def teacher_chains(self, number: int) -> list[Mapping[str, AnsweredExamples]]:
        """For each fold, the training data of its peer with the teacher's own answers."""
        return [
            {**self.peers.answered, "pool": self.chain(number, fold, probs[self.peers.trained_on(number, fold)])}
            for fold, probs in enumerate(self.without_fold)
        ]


def _teacher_in_stack(stack: _Stack) -> tuple[dict[str, Tensor], list[Tensor]]:
    """The teacher's probabilities as the stack uses them: by role, and on the pool without each fold's labels."""
    peers, label = stack.peers, stack.label
    given = {role: each.answers.probs() for role, each in peers.answered.items()}
    if not peers.hard_labels_only:
        return given, stack.without_fold

    def posterior_without(_: int, labelled_rows: Tensor) -> Tensor:
        rest = {role: labelled_rows if role == "labelled" else torch.arange(len(label[role])) for role in label}
        once = {role: peers.answered[role].repeats.counted(rows) for role, rows in rest.items()}
        known = torch.cat([label[role][rows] for role, rows in once.items()])
        return named_posterior(known, torch.cat([given[role][rows] for role, rows in once.items()]))

    posteriors = FoldModels(fold=peers.fold, fit=posterior_without)
    without = [posterior_of(posteriors[fold], probs).float() for fold, probs in enumerate(stack.without_fold)]
    draw = derived_seed(peers.seed, "posterior")
    by_role = named_posterior_by_role(given, label, seed=draw, repeats=stack.repeats)
    return {role: probs.float() for role, probs in by_role.items()}, without


def _students_of(
    stack: _Stack, chains: Sequence[Mapping[str, AnsweredExamples]], after: Sequence[int]
) -> StudentRecord:
    """Students of the corrected answers beside students of the teacher's own, after the rounds that were taken."""
    number, peers = after[-1] + 1, stack.peers
    # The same halves, initial weights and order: only the answers differ.
    own = stack.loss_alone(peers.scored(number, stack.teacher_chains(number), ()))
    corrected = stack.loss_alone(peers.scored(number, chains, after))
    return StudentRecord(
        own=own.mean().item(),
        corrected=corrected.mean().item(),
        standard_error=standard_error(own - corrected, stack.independent),
        taken=stack.helps(own - corrected),
    )


def helps(gain: Float[Tensor, "V"], standard_errors: float, repeats: Repeats | None = None) -> bool:
    """Whether a mean gain exceeds this number of its own standard errors.

    Args:
        gain: [V], of every example.
        standard_errors: How many.
        repeats: Which examples depend on each other; None for none.

    Example:
        >>> helps(torch.tensor([1.0, 1.0, 0.0, 0.0]), 1.0), helps(torch.tensor([1.0, 1.0, 0.0, 0.0]), 2.0)
        (True, False)
    """
    return gain.mean().item() > standard_errors * standard_error(gain, repeats)


def _drift(before: Answers, after: Answers, label: Tensor) -> dict[str, float]:
    def shares(classes: Tensor) -> Tensor:
        return torch.bincount(classes, minlength=before.num_classes).double() / len(classes)

    def distance(one: Tensor, other: Tensor) -> float:
        return (one - other).abs().sum().item() / 2

    # A row without a likeliest class has none that could change.
    rows = (before.names_class & after.names_class).nonzero()[:, 0]
    before, after = before.take(rows), after.take(rows)
    old, new = shares(before.pseudo_label), shares(after.pseudo_label)
    return {
        "moved": (before.pseudo_label != after.pseudo_label).double().mean().item(),
        "drift": distance(old, new),
        "distance_before": distance(old, shares(label)),
        "distance_after": distance(new, shares(label)),
    }
