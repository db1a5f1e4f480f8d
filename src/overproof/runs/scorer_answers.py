"""The answers of one scorer to every role of a seed: read from files, computed by a brought model, or by a trained one.

Several scorers are combined in `overproof.runs.teacher_answers`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch

from overproof.answers.predictions import Answers
from overproof.data import Examples
from overproof.models import Student, resolved
from overproof.progress import Progress
from overproof.runs.asking.teacher import without_keys
from overproof.runs.caches import Caches
from overproof.runs.experiment import Experiment, ScorerOptions
from overproof.runs.roles import Roles, SeedRoles
from overproof.storage.id_index import IdIndex
from overproof.teachers import (
    AnswersByContent,
    Asker,
    Brought,
    SharedPool,
    Trainable,
    ask_once,
    check_roles,
    cross_fitted,
    from_files,
    opened_elsewhere,
    trainable,
)
from overproof.training.one_student import train_on_labels
from overproof.training.options import TrainOptions

LABELS = "labels"
"""The folder, in a run's, of all stored answers."""

ALL_SEEDS = "all-seeds"
"""Where a brought teacher's answers to the examples that every seed draws from are stored."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ScorerAnswers:
    """Computes the answers of one scorer, or reads those that are stored already.

    Args:
        experiment: All of the run.
        roles: Its examples.
        folder: The run's.
        progress: Shows how far long work is.
        caches: What the run shares with other runs.
        whole: For a fold of the labelled rows the scorers of the whole run; None for these.
    """

    experiment: Experiment
    roles: Roles
    folder: Path
    progress: Progress
    caches: Caches
    whole: "ScorerAnswers | None" = None

    def home(self, seed: int) -> Path:
        """The folder of a seed's answers."""
        return self.folder / LABELS / f"seed-{seed}"

    def of(
        self,
        scorer: ScorerOptions,
        roles: SeedRoles,
        seed: int,
        home: Path,
        first: Mapping[str, Answers] | None = None,
    ) -> dict[str, Answers]:
        """The answers of one scorer to all roles that have examples.

        Args:
            scorer: A teacher, or one of several.
            roles: The examples of a seed, with the labels that a trained scorer sees.
            seed: Decides the folds and the training of a trained scorer.
            home: Where its answers are stored.
            first: The answers of the first teacher, for one that corrects them: it answers the same roles.

        Raises:
            InputError: A file or a model does not fit, or a store belongs to other examples or to another teacher.
        """
        named, scorer = scorer, self.caches.in_files(scorer)
        if scorer.answers:
            parties = roles.by_role()
            return from_files(
                scorer.answers,
                {role: without_keys(each) for role, each in parties.items()} if named.asks else parties,
                self.roles.class_names,
                classes=scorer.classes,
                vote=scorer.vote,
                answer_from=scorer.answer_from,
                unanswered=scorer.unanswered,
                # Whether the teacher is judged is decided on all folds together.
                any_test=self.roles.held_fold is not None,
                parsed=self.caches.answers_of(scorer, self.experiment.data),
            )
        if scorer.brought and self.whole is not None:
            return self._of_whole(self.whole, scorer, roles, seed, home)
        if scorer.brought:
            some, engine = next(iter(roles.by_role().values())), self.caches.engine
            teacher, names = self.opened(scorer, some), self.roles.class_names
            elsewhere = partial(opened_elsewhere, teacher, scorer, names, some)
            answers = ask_once(
                teacher,
                roles.by_role(),
                names,
                folder=home,
                other_stores=self._other_stores(home),
                shared_pool=self._shared_pool(roles, home),
                asker=Asker(engine=engine, elsewhere=elsewhere) if engine.remote else None,
                progress=self.progress.counter(f"teacher, seed {seed}"),
            )
            if scorer.classes:
                check_roles(answers, roles.by_role(), self.roles.class_names, scorer.classes, scorer.model)
            return answers
        others = roles.others()
        if scorer.corrects_first:
            assert first is not None, "it is not the first"
            others = {role: each for role, each in others.items() if role in first}
        else:
            first = None
        apart = scorer.folds > 1 and len(roles.pool) > 0
        with self.progress.task(f"teacher, seed {seed}", None) as advance:
            return cross_fitted(
                self._trainable(scorer, roles, first),
                roles.labelled,
                others,
                num_folds=scorer.folds,
                seed=seed,
                folder=home,
                apart=("pool",) if self.experiment.has_rounds and apart else (),
                halves=("pool",) if self.experiment.has_search and apart else (),
                progress=lambda done, total: advance(done, f"of {total}"),
            )

    def _of_whole(
        self, whole: "ScorerAnswers", scorer: ScorerOptions, roles: SeedRoles, seed: int, home: Path
    ) -> dict[str, Answers]:
        """The answers of a model that saw no label here: those of the whole run, in the roles of a fold."""
        everyone = whole.roles.for_seed(seed)
        answers = whole.of(scorer, everyone, seed, whole.home(seed) / home.relative_to(self.home(seed)))
        index = IdIndex(everyone.labelled.ids)
        drawn = {role: each for role, each in roles.by_role().items() if role in ("labelled", "test")}
        taken = {
            role: answers["labelled"].take(torch.from_numpy(index.find(each.ids)[0])) for role, each in drawn.items()
        }
        return {**answers, **taken}

    def opened(self, scorer: ScorerOptions, examples: Examples | None = None) -> Brought:
        """A brought model, opened once.

        Args:
            scorer: Brought as a model.
            examples: Some of those it will answer; None stands for all of the run's.

        Raises:
            InputError: There is no such model, or it does not fit the examples or the classes.
        """
        return self.caches.opened(scorer, self.roles.class_names, self._all_examples if examples is None else examples)

    @cached_property
    def _all_examples(self) -> Examples:
        return self.roles.all_examples(self.experiment.seeds)

    def _other_stores(self, home: Path, pattern: str = "seed-*") -> list[Path]:
        """Where the same scorer may have answered the same examples: under other seeds, and in other runs."""
        _, *below = home.relative_to(self.folder / LABELS).parts
        runs = dict.fromkeys((self.folder, *self.caches.runs))
        homes = [each for run in runs for each in sorted(run.glob(f"{LABELS}/{pattern}"))]
        return [each.joinpath(*below) for each in homes if each.joinpath(*below) != home]

    def _shared_pool(self, roles: SeedRoles, home: Path) -> SharedPool | None:
        """What the labelled examples and the pool of every seed are drawn from, where they are all of it."""
        train, several = self.roles.fixed.get("train"), len(self.experiment.seeds) > 1
        if train is None or not several or len(roles.labelled) + len(roles.pool) != len(train):
            return None
        _, *below = home.relative_to(self.folder / LABELS).parts
        folder = (self.folder / LABELS / ALL_SEEDS).joinpath(*below)
        stores = self._other_stores(folder, ALL_SEEDS)
        return SharedPool(examples=train, roles=("labelled", "pool"), folder=folder, other_stores=stores)

    def _trainable(self, scorer: ScorerOptions, roles: SeedRoles, first: Mapping[str, Answers] | None) -> Trainable:
        own = scorer.model == "student"
        parties = roles.by_role()
        train = self.experiment.train if own else scorer.train
        return trainable(
            scorer.model,
            scorer.options,
            everyone=lambda: self._all_examples,
            fitting=(roles.labelled, roles.pool),
            folder=Path(scorer.features) if scorer.features else (self.caches.folder or self.folder) / "features",
            train=_training_on_labels(train),
            recipe=train,
            student=resolved(self.experiment.student.spec, roles.labelled) if own else None,
            first=None
            if first is None
            else AnswersByContent.of([(parties[role], each) for role, each in first.items() if role in parties]),
            progress=self.progress.counter("teacher's features"),
        )


def _training_on_labels(options: TrainOptions) -> Callable[[Student, Examples, int, Path], None]:
    """The function that trains a network on labelled examples alone."""

    def train_network(student: Student, labelled: Examples, seed: int, checkpoint: Path) -> None:
        inputs = student.encode(labelled)
        train_on_labels(student, inputs, labelled.label, options=options, seed=seed, checkpoint=checkpoint)

    return train_network
