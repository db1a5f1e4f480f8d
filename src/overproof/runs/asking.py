"""What is given and who is asked: the labels of a seed, and the answers of one scorer or the stack of several."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from overproof.answers.predictions import Answers, compress
from overproof.data import Examples
from overproof.errors import InputError
from overproof.evaluation.findings.hard_labels import votes_found
from overproof.methods.published import method
from overproof.models import Student, is_estimator, load_student, resolved
from overproof.models.importing import imported
from overproof.noise import log_loss, stack_by_role, stacked_out_of_fold
from overproof.processes import leads
from overproof.progress import Progress
from overproof.runs.caches import Shared
from overproof.runs.experiment import Experiment, ScorerOptions
from overproof.runs.roles import Cast, Parties
from overproof.seeds import derived_seed
from overproof.storage import atomic
from overproof.synthetic import random_flips
from overproof.teachers import (
    Network,
    SavedTeacher,
    Trainable,
    Whole,
    asked_once,
    cross_fitted,
    from_files,
    trainable,
)
from overproof.training.distillation import distilled
from overproof.training.estimators import check_fittable
from overproof.training.examples import Answered
from overproof.training.options import TrainOptions
from overproof.training.teacher_source import STORED, Answering, Online

ALL_SEEDS = "all-seeds"
"""Where a brought teacher's answers to what every seed draws from are kept."""

ADVERSARY_FOLDS = 2
"""Folds of the teacher that says which wrong class is likeliest, where given labels are corrupted adversarially."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Asking:
    """The given labels and the teacher of a run.

    Args:
        experiment: All of the run.
        cast: Its roles.
        folder: Where answers are kept.
        progress: Shows how far it is.
        shared: What the run has in common with others.
    """

    experiment: Experiment
    cast: Cast
    folder: Path
    progress: Progress
    shared: Shared = field(default_factory=Shared)
    _given: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    @property
    def scorers(self) -> tuple[ScorerOptions, ...]:
        """Everybody who is asked."""
        return (self.experiment.teacher, *self.experiment.teacher.others)

    def check(self) -> None:
        """Everything a user can get wrong in the data shows here, before any work is done.

        Raises:
            InputError: It does.
        """
        self.cast.parties(self.experiment.seeds[0])
        self.experiment.data.label_noise.check(self.cast.class_names)
        self.experiment.teacher.spoil.check(self.cast.class_names)
        name = self.experiment.student.name
        if ":" in name and is_estimator(imported(name, what="student")):
            for row in self.experiment.rows():
                check_fittable(name, self.experiment.method_of(row), self.experiment.train_options(row))

    def parties(self, seed: int) -> Parties:
        """The roles as one seed sees them, with the labels they are given."""
        parties = self.cast.parties(seed)
        given = self._given_labels(seed, parties)
        relabelled: Any = {role: replace(getattr(parties, role), label=label) for role, label in given.items()}
        return replace(parties, **relabelled)

    def truth(self, seed: int) -> dict[str, Tensor]:
        """The true labels of the roles whose given ones were corrupted: for findings and the oracle alone."""
        parties = self.cast.parties(seed)
        return {role: getattr(parties, role).label for role in self._given_labels(seed, parties)}

    def teacher_weights(self, seed: int) -> dict[str, Tensor]:
        """The weights of the one network that was trained on all the labelled examples."""
        return load_student(self._home(seed) / "fold-0").module.state_dict()

    def answers(self, seed: int) -> dict[str, Answers]:
        """Every role's answers, asked where they are not in the store yet."""
        options, parties, home = self.experiment.teacher, self.parties(seed), self._home(seed)
        said = [
            self._said(scorer, parties, seed, home / f"teacher-{number}" if number else home)
            for number, scorer in enumerate(self.scorers)
        ]
        answers = said[0] if len(said) == 1 else self._stacked(said, parties, seed)
        # Nobody is asked about a role that the run does not have.
        nothing = compress(torch.empty(0, len(self.cast.class_names)))
        answers = {"labelled": nothing, "pool": nothing, **answers}

        def changed(word: str, change: Callable[[Tensor, int], Tensor]) -> dict[str, Answers]:
            # The parts of a teacher are changed as the whole of it is.
            draws = {role: derived_seed(seed, word, role.partition("-without")[0]) for role in answers}
            return {role: each.saying(change(each.probs(), draws[role])) for role, each in answers.items()}

        if options.flip_share:
            answers = changed("flips", lambda probs, draw: random_flips(probs, options.flip_share, draw)[0])
        if options.spoil.changes_answers:
            names = self.cast.class_names
            answers = changed("spoil", lambda probs, draw: options.spoil.corrupted(probs, names, draw))
        return answers

    def answering(self, options: TrainOptions) -> Answering:
        """Who answers for the batches of a student trained by these options."""
        if options.teacher_answers == "stored":
            return STORED
        teacher = self.shared.opened(self.experiment.teacher, self.cast.class_names, self._everyone)
        if not isinstance(teacher, SavedTeacher):
            raise InputError(
                f"Option 'train.teacher_answers' is 'online', but {self.experiment.teacher.model!r} cannot be asked in "
                f"a batch; a saved student or a torch module with 'teacher.weights' can."
            )
        if teacher.kind != "image":
            raise InputError(
                f"Option 'train.teacher_answers' is 'online', but the data are of kind {teacher.kind!r}; only images "
                f"are augmented, so 'stored' answers are the same and fast."
            )
        return Online(module=teacher.student.module, order=teacher.order)

    def findings(self) -> list[str]:
        """How votes were counted; what became of several scorers: their weights, and the labelled log-loss of each
        alone and of all."""
        counted = votes_found(self.scorers, self.cast.class_names, self.shared.answer_files)
        if len(self.scorers) == 1:
            return counted
        names = [scorer.model for scorer in self.scorers]
        kept = [json.loads(self._weights(seed).read_text()) for seed in self.experiment.seeds]
        parts = [
            f"{name} {fmean(each['weights'][number]['weight'] for each in kept):.2f} (one seed's 95 % interval "
            f"{kept[0]['weights'][number]['low']:.2f} to {kept[0]['weights'][number]['high']:.2f}; log-loss alone "
            f"{fmean(each['log_loss_alone'][number] for each in kept):.3f})"
            for number, name in enumerate(names)
        ]
        together = fmean(each["log_loss"] for each in kept)
        return [
            *counted,
            f"The teacher is a stack of {len(names)} scorers, weighed on labelled examples out of sample: "
            f"{', '.join(parts)}; together {together:.3f}.",
        ]

    def _elsewhere(self, home: Path, pattern: str = "seed-*") -> list[Path]:
        """Where the same scorer may have answered for the same examples: under other seeds, and in other runs."""
        _, *below = home.relative_to(self.folder / "labels").parts
        runs = dict.fromkeys((self.folder, *self.shared.runs))
        homes = [each for run in runs for each in sorted(run.glob(f"labels/{pattern}"))]
        return [each.joinpath(*below) for each in homes if each.joinpath(*below) != home]

    def _whole(self, parties: Parties, home: Path) -> Whole | None:
        """What the labelled examples and the pool of every seed are drawn from, where they are all of it."""
        train, several = self.cast.fixed.get("train"), len(self.experiment.seeds) > 1
        if train is None or not several or len(parties.labelled) + len(parties.pool) != len(train):
            return None
        _, *below = home.relative_to(self.folder / "labels").parts
        folder = (self.folder / "labels" / ALL_SEEDS).joinpath(*below)
        elsewhere = self._elsewhere(folder, ALL_SEEDS)
        return Whole(examples=train, roles=("labelled", "pool"), folder=folder, elsewhere=elsewhere)

    def _home(self, seed: int) -> Path:
        return self.folder / "labels" / f"seed-{seed}"

    def _weights(self, seed: int) -> Path:
        return self._home(seed) / "weights.json"

    def _given_labels(self, seed: int, parties: Parties) -> dict[str, Tensor]:
        """The corrupted labels by role; empty where none are."""
        if seed not in self._given:
            noise, names = self.experiment.data.label_noise, self.cast.class_names
            clean = {"labelled": parties.labelled, "validation": parties.validation}
            corrupted = {role: each for role, each in clean.items() if each is not None and noise.corrupts(role)}
            scores: dict[str, Answers] = {}
            if corrupted and noise.kind == "adversarial":
                nobody = parties.test.take(torch.arange(0))
                asked, draw = replace(parties, pool=nobody, test=nobody), derived_seed(seed, "adversary")
                adversary = self.experiment.teacher.model_copy(update={"folds": ADVERSARY_FOLDS})
                scores = self._said(adversary, asked, draw, self._home(seed) / "adversary")
            self._given[seed] = {
                role: noise.corrupted(
                    each.label,
                    names,
                    derived_seed(seed, "label noise", role),
                    scores[role].probs() if role in scores else None,
                ).label
                for role, each in corrupted.items()
            }
        return self._given[seed]

    def _stacked(self, said: list[dict[str, Answers]], parties: Parties, seed: int) -> dict[str, Answers]:
        """The stack of all scorers, out of fold on the examples it is weighed on, and a note of the weights."""
        judges = {"labelled": parties.labelled} if self.experiment.answers_out_of_sample else {}
        judges |= {} if parties.validation is None else {"validation": parties.validation}
        label = {role: examples.label for role, examples in judges.items() if len(examples)}
        if not label:
            raise InputError("Option 'teacher' holds several scorers; there are no labelled examples to weigh them on.")
        asked = {role: None for answers in said for role in answers}
        # Who was not trained on the labels says the same without a fold of them.
        said = [{role: each.get(role, each.get("pool", each["labelled"])) for role in asked} for each in said]
        probs = [{role: each.probs() for role, each in answers.items()} for answers in said]
        draw = derived_seed(seed, "teachers")
        stacked, fitted = stack_by_role(probs, label, seed=draw)
        truth = torch.cat(list(label.values()))

        def loss(answers: Tensor) -> float:
            return log_loss(answers, truth).mean().item()

        if leads():
            alone = [
                stacked_out_of_fold([torch.cat([each[role] for role in label])], truth, seed=draw) for each in probs
            ]
            facts: dict[str, Any] = {
                **fitted.summary(),
                "log_loss_alone": [loss(each) for each in alone],
                "log_loss": loss(torch.cat([stacked[role] for role in label])),
            }
            atomic.write_json(self._weights(seed), facts)
        return {role: said[0][role].saying(each) for role, each in stacked.items()}

    def _said(self, scorer: ScorerOptions, parties: Parties, seed: int, home: Path) -> dict[str, Answers]:
        """One scorer's answers."""
        asked = {"labelled": parties.labelled, **parties.others()}
        asked = {role: examples for role, examples in asked.items() if len(examples)}
        if scorer.answers:
            return from_files(
                scorer.answers,
                asked,
                self.cast.class_names,
                classes=scorer.classes,
                vote=scorer.vote,
                parsed=self.shared.answer_files,
            )
        if scorer.brought:
            teacher, counter = (
                self.shared.opened(scorer, self.cast.class_names, next(iter(asked.values()))),
                self.progress.counter(f"teacher, seed {seed}"),
            )
            return asked_once(
                teacher,
                asked,
                self.cast.class_names,
                folder=home,
                elsewhere=self._elsewhere(home),
                whole=self._whole(parties, home),
                progress=counter,
            )
        trained = self._trainable(scorer, parties)
        with self.progress.task(f"teacher, seed {seed}", None) as advance:
            return cross_fitted(
                trained,
                parties.labelled,
                parties.others(),
                num_folds=scorer.folds,
                seed=seed,
                folder=home,
                apart=("pool",) if self.experiment.has_rounds and scorer.folds > 1 and len(parties.pool) else (),
                progress=lambda done, total: advance(done, f"of {total}"),
            )

    @cached_property
    def _everyone(self) -> Examples:
        return self.cast.everyone(self.experiment.seeds)

    def _trainable(self, scorer: ScorerOptions, parties: Parties) -> Trainable:
        own = scorer.model == "student"
        train = self.experiment.train if own else scorer.train

        def train_network(student: Student, labelled: Examples, seed: int, checkpoint: Path) -> None:
            num_classes = len(self.cast.class_names)
            empty = torch.full((len(labelled), num_classes), 1 / num_classes)
            distilled(
                student,
                student.encode(labelled),
                Answered(place=torch.arange(len(labelled)), label=labelled.label, answers=compress(empty)),
                Answered(place=torch.arange(0), label=labelled.label[:0], answers=compress(empty[:0])),
                method=method("labelled_only"),
                options=train,
                seed=seed,
                checkpoint=checkpoint,
            )

        fitting = (parties.labelled, parties.pool)
        if own:
            spec = resolved(self.experiment.student.spec, parties.labelled)
            return Network(spec=spec, examples=fitting, train=train_network, recipe=train)
        return trainable(
            scorer.model,
            scorer.options,
            everyone=self._everyone,
            fitting=fitting,
            folder=Path(scorer.features) if scorer.features else (self.shared.folder or self.folder) / "features",
            train=train_network,
            recipe=train,
            progress=self.progress.counter("teacher's features"),
        )
