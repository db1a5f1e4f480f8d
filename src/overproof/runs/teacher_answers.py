"""The teacher's answers to every role of a seed, opened once and kept: of one scorer, or of a stack of several."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from overproof.answers.files import vote_counts
from overproof.answers.predictions import Answers, compress
from overproof.data import concatenate, group_words, repeats_in
from overproof.data.wording import told_apart
from overproof.errors import InputError
from overproof.evaluation.findings.run_facts import VoteFacts
from overproof.functional import margin
from overproof.functional.repeats import joined
from overproof.models import load_student
from overproof.noise import combined_by_role, log_loss, stack_by_role
from overproof.processes import leads
from overproof.runs.experiment import Experiment, ScorerOptions
from overproof.runs.given_labels import GivenLabels
from overproof.runs.roles import Roles, SeedRoles
from overproof.runs.scorer_answers import ScorerAnswers
from overproof.seeds import derived_seed
from overproof.storage import checked
from overproof.synthetic import random_flips
from overproof.teachers import SavedTeacher, remarks_of, remarks_on, short_name
from overproof.training.options import TrainOptions
from overproof.training.teacher_source import STORED, OnlineTeacher, TeacherSource

WEIGHTS, LEFT_OUT = "weights.json", "left_out"
STACK = ("weights", "log_loss_alone", "log_loss")
"""Members of the file of a stack's weights, in all versions."""
"""The file, in a seed's folder of answers, with the weight of each scorer of a stack; and which were left out."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TeacherAnswers:
    """The teacher of a run.

    Args:
        scorers: Computes or reads the answers of one scorer; also holds the experiment and its roles.
        given: The labels that trained scorers and the weights of a stack see.
    """

    scorers: ScorerAnswers
    given: GivenLabels
    _kept: dict[int, Mapping[str, Answers]] = field(default_factory=dict)
    _alone: dict[int, Mapping[str, Answers]] = field(default_factory=dict)

    @property
    def experiment(self) -> Experiment:
        """All of the run."""
        return self.scorers.experiment

    @property
    def roles(self) -> Roles:
        """The run's examples."""
        return self.scorers.roles

    def for_seed(self, seed: int) -> Mapping[str, Answers]:
        """Every role's answers, computed where they are not stored yet.

        They are opened and verified once, however many steps of the run need them. Answers on disk are kept for one
        seed at a time: each open file takes a handle, and to map a verified store again takes no time. So are those of
        a fold, of which there are several in memory.
        """
        if seed not in self._kept:
            if self.roles.on_disk or self.roles.held_fold is not None:
                self._kept.clear()
                self._alone.clear()
            answers = self._opened(seed)
            self._kept[seed] = answers
        return self._kept[seed]

    def alone(self, seed: int) -> Mapping[str, Answers]:
        """The answers to the test of each scorer of a stack that is trained on the labels, by what its row is called.

        With one scorer, and where answers are changed for an experiment, there are none: the teacher's row shows all.
        A run of an earlier version keeps its table.
        """
        self.for_seed(seed)
        return self._alone.get(seed, {})

    def network_weights(self, seed: int) -> dict[str, Tensor]:
        """The weights of the one network that was trained on all the labelled examples."""
        return load_student(self.scorers.home(seed) / "fold-0").module.state_dict()

    def source(self, options: TrainOptions) -> TeacherSource:
        """What answers for the batches of a student trained by these options: the store, or the teacher itself.

        Raises:
            InputError: The teacher cannot answer batches, or the data are not augmented.
        """
        if options.teacher_answers == "stored":
            return STORED
        if not self.experiment.teacher.can_be_online:
            raise InputError(
                f"Option 'train.teacher_answers' is 'online', but {self.experiment.teacher.model!r} cannot be asked in "
                f"a batch; a saved student or a torch module with 'teacher.weights' can."
            )
        teacher = self.scorers.opened(self.experiment.teacher)
        assert isinstance(teacher, SavedTeacher), "its kind can be online"
        if teacher.kind != "image":
            raise InputError(
                f"Option 'train.teacher_answers' is 'online', but the data are of kind {teacher.kind!r}; only images "
                f"are augmented, so 'stored' answers are the same and fast."
            )
        return OnlineTeacher(module=teacher.student.module, order=teacher.order)

    def votes(self) -> tuple[VoteFacts, ...]:
        """What files of votes hold, one entry a file; empty where no file holds votes."""
        found = []
        for scorer in map(self.scorers.caches.in_files, self._scorers):
            for path in scorer.answers:
                files = self.scorers.caches.answers_of(scorer, self.experiment.data)
                counts = vote_counts(path, self.roles.class_names, parsed=files)
                if counts is not None:
                    found.append(
                        VoteFacts(file=Path(path).name, per_example=counts[0], agreement=counts[1], vote=scorer.vote)
                    )
        return tuple(found)

    def remarks(self, seed: int) -> tuple[str, ...]:
        """Sentences about the examples of a seed, and about what pretrained models do not read of them."""
        parties = [each for each in self.given.for_seed(seed).by_role().values() if len(each)]
        opened = [self.scorers.opened(each, parties[0]) for each in self._scorers if each.brought and not each.asks]
        trained = [each for each in self._scorers if each.trained_here]
        # Texts alone may be cut; other examples are not copied for it.
        everyone = concatenate(parties) if (opened or trained) and parties[0].kind == "text" else parties[0]
        said = [*(remarks_of(model, everyone) for model in opened), *(remarks_on(each, everyone) for each in trained)]
        return (*self.roles.remarks_for(seed), *(each for some in said for each in some))

    def stacks(self) -> tuple[Mapping[str, Any], ...]:
        """What each scorer of the stack counts, seed by seed, as stored; empty with one scorer."""
        if len(self._scorers) == 1:
            return ()
        return tuple(_stored_weights(self._weights_file(seed)) or {} for seed in self.experiment.seeds)

    @property
    def _scorers(self) -> tuple[ScorerOptions, ...]:
        return self.experiment.scorers

    def _weights_file(self, seed: int) -> Path:
        return self.scorers.home(seed) / WEIGHTS

    def _opened(self, seed: int) -> dict[str, Answers]:
        roles, home = self.given.for_seed(seed), self.scorers.home(seed)
        by_scorer: list[dict[str, Answers]] = []
        for number, scorer in enumerate(self._scorers):
            folder, first = home / f"teacher-{number}" if number else home, by_scorer[0] if number else None
            by_scorer.append(self.scorers.of(scorer, roles, seed, folder, first))
        changed = self.experiment.teacher.flip_share or self.experiment.teacher.spoil.changes_answers
        if len(by_scorer) > 1 and not changed and not self._is_whole_stack(seed):
            names = told_apart([short_name(each.called, roles.labelled.kind) for each in self._scorers])
            self._alone[seed] = {
                f"{name} alone": each["test"]
                for scorer, name, each in zip(self._scorers, names, by_scorer, strict=True)
                if scorer.trained_here and "test" in each
            }
        answers = by_scorer[0] if len(by_scorer) == 1 else self._stacked(by_scorer, roles, seed)
        # Roles that the run does not have are empty.
        nothing = compress(torch.empty(0, len(self.roles.class_names)))
        return self._changed({"labelled": nothing, "pool": nothing, **answers}, seed)

    def _changed(self, answers: dict[str, Answers], seed: int) -> dict[str, Answers]:
        """The answers after flips and other corruption, in experiments that ask for it."""
        options, names = self.experiment.teacher, self.roles.class_names

        def changed(word: str, change: Callable[[Tensor, int], Tensor]) -> dict[str, Answers]:
            # The answers of one fold's model are changed as those of the whole teacher are.
            draws = {role: derived_seed(seed, word, role.partition("-without")[0]) for role in answers}
            return {
                role: each.with_probs(change(each.probs(), draws[role])).without(~each.answered)
                for role, each in answers.items()
            }

        if options.flip_share:
            answers = changed("flips", lambda probs, draw: _flipped(probs, options.flip_share, draw))
        if options.spoil.changes_answers:
            answers = changed("spoil", lambda probs, draw: options.spoil.corrupted(probs, names, draw))
        return answers

    def _stacked(self, by_scorer: list[dict[str, Answers]], roles: SeedRoles, seed: int) -> dict[str, Answers]:
        """The stack of all scorers, out of fold on the examples that its weights are fitted on; writes the weights."""
        # A scorer is weighed where all have an answer.
        everyone = [each["labelled"].answered for each in by_scorer if "labelled" in each]
        known_to_all = torch.stack(everyone).all(dim=0) if everyone else torch.empty(0, dtype=torch.bool)
        if not known_to_all.all():
            rows, whole = known_to_all.nonzero()[:, 0], by_scorer[0]["labelled"]
            answered_by_all = replace(roles, labelled=roles.labelled.take(rows))
            parts = [{**each, "labelled": each["labelled"].take(rows)} for each in by_scorer]
            stacked_answers = self._stacked(parts, answered_by_all, seed)
            return {**stacked_answers, "labelled": whole.without(~known_to_all).put(stacked_answers["labelled"])}
        judges = {"labelled": roles.labelled} if self.experiment.answers_out_of_sample else {}
        judges |= {} if roles.validation is None else {"validation": roles.validation}
        label = {role: examples.label for role, examples in judges.items() if len(examples)}
        if not label:
            raise InputError("Option 'teacher' holds several scorers; there are no labelled examples to weigh them on.")
        answered = {role: None for answers in by_scorer for role in answers}
        if not all("test" in answers for answers in by_scorer):
            # Files of one scorer have no answers to the test: the stack is not judged there.
            answered.pop("test", None)
        # A scorer that was not trained on the labels gives the same answers without a fold of them.
        by_scorer = [
            {role: each.get(role, each.get("pool", each["labelled"])) for role in answered} for each in by_scorer
        ]
        probs = [{role: each.probs() for role, each in answers.items()} for answers in by_scorer]
        draw = derived_seed(seed, "teachers")
        known = [judges[role] for role in label]
        repeats = joined([repeats_in(each) for each in known], [group_words(each) for each in known])
        combined = stack_by_role if self._is_whole_stack(seed) else combined_by_role
        stacked, fitted = combined(probs, label, seed=draw, repeats=repeats)
        truth = torch.cat(list(label.values()))

        def loss(answers: Tensor) -> float:
            return log_loss(answers, truth)[repeats.once].mean().item()

        if leads():
            alone = [combined([each], label, seed=draw, repeats=repeats)[0] for each in probs]
            facts: dict[str, Any] = {
                **fitted.summary(),
                "log_loss_alone": [loss(torch.cat([each[role] for role in label])) for each in alone],
                "log_loss": loss(torch.cat([stacked[role] for role in label])),
            }
            checked.write_json(self._weights_file(seed), facts)
        return {role: by_scorer[0][role].with_probs(each) for role, each in stacked.items()}

    def _is_whole_stack(self, seed: int) -> bool:
        """Whether an earlier version stacked all scorers of this seed: its students were trained by that stack."""
        stored = _stored_weights(self._weights_file(seed))
        return stored is not None and LEFT_OUT not in stored


def _stored_weights(path: Path) -> Mapping[str, Any] | None:
    """What the scorers of a stack counted; None where there is no file.

    Raises:
        InputError: It is damaged.
    """
    try:
        try:
            return checked.read_json(path, STACK)
        except checked.WithoutChecksum:
            # Of an earlier version; a flipped bit in the name of the checksum leaves the rest, which is computed again.
            found: Mapping[str, Any] = json.loads(path.read_bytes())
            checked.check_members(found, STACK)
            return found
    except FileNotFoundError:
        return None
    except checked.Damaged as error:
        raise InputError(
            f"{path} is damaged: {error}. It is computed again if you delete it and give the command again."
        ) from None


def _flipped(probs: Tensor, share: float, seed: int) -> Tensor:
    uncertain = (margin(probs) < 1).double().mean().item()
    if share > uncertain:
        raise InputError(
            f"Option 'teacher.flip_share' is {share:g}, but answers are flipped in proportion to one minus their "
            f"margin, and only {uncertain:.3g} of them have a margin below 1 (hard labels never do); set it to 0 and "
            f"use 'teacher.spoil={{kind: class_conditional, share: {share:g}}}', which does not depend on the margin."
        )
    return random_flips(probs, share, seed)[0]
