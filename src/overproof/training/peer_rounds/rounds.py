"""Peer rounds: students correct their teacher for as long as the labelled examples say that it helps."""

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
from overproof.noise import log_loss, named_posterior, named_posterior_by_role, stack_by_role
from overproof.seeds import derived_seed
from overproof.training.examples import AnsweredExamples
from overproof.training.peer_rounds.peers import JUDGES, Peers, Scores


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundRecord:
    """What one round came to, on labelled examples out of sample.

    Args:
        number: From 1; 0 is that of students of the labels alone.
        before: Mean log-loss of the answers the round began with, their sureness corrected.
        peer: The same of the peers' answers alone.
        both: The same of the stack of teacher and peers.
        standard_error: Of the mean of the paired differences `before` less `both`.
        taken: Whether the round was taken.
        stacking: Weights of the teacher, of students of the labels alone where they are in, and of peers, with their
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
        """For the log."""
        word = "taken" if self.taken else "not taken"
        return (
            f"round {self.number} {word}: labelled log-loss {self.before:.4f} before, peers alone {self.peer:.4f}, "
            f"both {self.both:.4f} (standard error of the difference {self.standard_error:.4f})"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class StudentRecord:
    """What students of the corrected answers come to beside students of the teacher's own.

    Args:
        own: Mean log-loss, on labelled examples out of sample, of students of the teacher's own answers, their sureness
            corrected.
        corrected: The same of students of the answers after the last round.
        standard_error: Of the mean of the paired differences `own` less `corrected`.
        taken: Whether the corrected answers are handed on.
    """

    own: float
    corrected: float
    standard_error: float
    taken: bool

    def sentence(self) -> str:
        """For the log."""
        word = "handed on" if self.taken else "not handed on"
        return (
            f"corrected answers {word}: labelled log-loss {self.own:.4f} for students of the teacher's own, "
            f"{self.corrected:.4f} for students of them (standard error of the difference {self.standard_error:.4f})"
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CorrectedAnswers:
    """What the rounds made of the answers.

    Args:
        answered: As given, with the answers of the last round that was taken; untouched where none was.
        records: One a round that was tried; the last may not have been taken.
        students: Where the teacher gives hard labels only and a round was taken: what students come to with it.
    """

    answered: Mapping[str, AnsweredExamples]
    records: tuple[RoundRecord, ...]
    students: StudentRecord | None = None

    @property
    def taken(self) -> int:
        """How many rounds were taken, that of the labels alone among them; none where students lose by them."""
        if self.students is not None and not self.students.taken:
            return 0
        return sum(record.taken for record in self.records)

    def sentences(self) -> list[str]:
        """For the log."""
        told = [record.sentence() for record in self.records]
        return told if self.students is None else [*told, self.students.sentence()]

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        found = {"taken": self.taken, "records": [asdict(record) for record in self.records]}
        return found if self.students is None else {**found, "students": asdict(self.students)}


def run_rounds(peers: Peers) -> CorrectedAnswers:
    """Rounds of peers until one does not help, or until there were as many as allowed.

    A round is taken when the mean log-loss of the stack on the labelled examples, all out of sample, is lower than
    that of the answers the round began with by more than `standard_errors` of the paired difference. The teacher is
    never asked again, and no test example is looked at.

    A teacher of hard labels alone is heard as the posterior of the true class given the one it names, whose labels are
    those of other folds. What its answers are worth is then known for each class without any round, and correcting
    them may cost the student more than it wins: so the corrected answers are handed on only where students of them,
    out of sample, have less log-loss than students of the teacher's own, by the same rule. That costs two more
    trainings for each fold.

    Raises:
        InputError: Fewer labelled examples than folds, or a pool of fewer than two.

    Source: our own; kin of co-training (Blum and Mitchell, 1998), cross-fitting, and peer-advised distillation
        (arXiv 2312.10185).
    """
    options, teacher = peers.options, peers.answered
    if len(teacher["pool"]) < 2:
        raise InputError(f"Peer rounds need a pool of at least 2 examples; this one has {len(teacher['pool'])}.")
    label = {role: teacher[role].label for role in JUDGES if role in teacher}
    if not peers.data.trust_labelled_answers:
        del label["labelled"]
    weigh = functools.partial(
        stack_by_role, label=label, seed=derived_seed(peers.seed, "stack"), bias=options.bias, penalty=options.penalty
    )

    def loss_of(probs: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([log_loss(probs[role], each) for role, each in label.items()])

    given_without = [answers.probs() for answers in peers.without_fold]
    said, said_without = _heard(peers, label, given_without)
    current: Mapping[str, AnsweredExamples] = teacher
    pool = teacher["pool"]

    def chain_of(number: int, fold: int, probs: Tensor) -> AnsweredExamples:
        """The pool examples that the peer of a fold is trained on, with these answers."""
        rows = pool.take(peers.trained_on(number, fold))
        return replace(rows, answers=rows.answers.saying(probs))

    def own_chains(number: int) -> list[Mapping[str, AnsweredExamples]]:
        """The same with the teacher's own answers, whatever was corrected."""
        return [
            {**teacher, "pool": chain_of(number, fold, without[peers.trained_on(number, fold)])}
            for fold, without in enumerate(given_without)
        ]

    chains = own_chains(1)
    loss, records, alone = loss_of(weigh([said])[0]), list[RoundRecord](), list[Scores]()
    for number in range(0 if options.alone else 1, options.most + 1):
        scores = peers.scored(number, chains, [record.number for record in records if record.taken])
        heard = {**scores.judged, "pool": scores.pool}
        both, fitted = weigh([said, *({**each.judged, "pool": each.pool} for each in alone), heard])
        gain = loss - loss_of(both)
        taken = helps(gain, options.standard_errors)
        corrected = {role: replace(teacher[role], answers=teacher[role].answers.saying(both[role])) for role in teacher}
        records.append(
            RoundRecord(
                number=number,
                before=loss.mean().item(),
                peer=loss_of(weigh([heard])[0]).mean().item(),
                both=loss_of(both).mean().item(),
                standard_error=gain.std().item() / len(gain) ** 0.5,
                taken=taken,
                stacking=fitted.summary(),
                **_drift(current["pool"].answers, corrected["pool"].answers, teacher["labelled"].label),
            )
        )
        if not taken and number > 0:
            break
        if not taken:
            continue
        current, loss = corrected, loss_of(both)
        chains = []
        for fold, own in enumerate(scores.chains):
            rows = peers.trained_on(number + 1, fold)
            parts = [said_without[fold][rows], *(each.chains[fold][rows] for each in alone)]
            parts.append(own if number else own[rows])
            chains.append({**corrected, "pool": chain_of(number + 1, fold, fitted(parts))})
        alone += [] if number else [scores]
    found = CorrectedAnswers(answered=current, records=tuple(records))
    if not (peers.hears_names_only and found.taken):
        return found
    after = [record.number for record in records if record.taken]
    number = after[-1] + 1
    # On the same halves, from the same weights and in the same order: the answers are all that differs.
    own, theirs = (
        loss_of(weigh([{**scores.judged, "pool": scores.pool}])[0])
        for scores in (peers.scored(number, own_chains(number), ()), peers.scored(number, chains, after))
    )
    students = StudentRecord(
        own=own.mean().item(),
        corrected=theirs.mean().item(),
        standard_error=(own - theirs).std().item() / len(own) ** 0.5,
        taken=helps(own - theirs, options.standard_errors),
    )
    return replace(found, answered=current if students.taken else teacher, students=students)


def _heard(
    peers: Peers, label: Mapping[str, Tensor], given_without: Sequence[Tensor]
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """What the stack hears of the teacher: by role, and for every fold of the pool what owes nothing to its labels."""
    said = {role: each.answers.probs() for role, each in peers.answered.items()}
    if not peers.hears_names_only:
        return said, list(given_without)

    def posterior_without(_: int, labelled_rows: Tensor) -> Tensor:
        rest = {role: labelled_rows if role == "labelled" else slice(None) for role in label}
        known = torch.cat([each[rest[role]] for role, each in label.items()])
        return named_posterior(known, torch.cat([said[role][rows] for role, rows in rest.items()]))

    posteriors = FoldModels(fold=peers.fold, fit=posterior_without)
    without = [posteriors[fold][given.argmax(dim=1)].float() for fold, given in enumerate(given_without)]
    heard = named_posterior_by_role(said, label, seed=derived_seed(peers.seed, "posterior"))
    return {role: probs.float() for role, probs in heard.items()}, without


def helps(gain: Float[Tensor, "V"], standard_errors: float) -> bool:
    """Whether a mean gain is above so many of its own standard errors.

    Example:
        >>> helps(torch.tensor([1.0, 1.0, 0.0, 0.0]), 1.0), helps(torch.tensor([1.0, 1.0, 0.0, 0.0]), 2.0)
        (True, False)
    """
    return gain.mean().item() > standard_errors * gain.std().item() / len(gain) ** 0.5


def _drift(before: Answers, after: Answers, label: Tensor) -> dict[str, float]:
    def shares(classes: Tensor) -> Tensor:
        return torch.bincount(classes, minlength=before.num_classes).double() / len(classes)

    def distance(one: Tensor, other: Tensor) -> float:
        return (one - other).abs().sum().item() / 2

    old, new = shares(before.pseudo_label), shares(after.pseudo_label)
    return {
        "moved": (before.pseudo_label != after.pseudo_label).double().mean().item(),
        "drift": distance(old, new),
        "distance_before": distance(old, shares(label)),
        "distance_after": distance(new, shares(label)),
    }
