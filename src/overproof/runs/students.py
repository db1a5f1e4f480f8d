"""The students of a run: each made from a seed's inputs, trained by one method, and written down, its row last."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import safetensors.torch
import torch

from overproof.cross_fitting import folds
from overproof.data import Examples
from overproof.evaluation.verdict import Role as RowRole
from overproof.methods.published import CONVENTIONAL, CONVENTIONAL_WITHOUT_POOL
from overproof.models import Inputs, Student, Unpadded, as_read, build, join
from overproof.models.encoding_cache import EncodingCache
from overproof.processes import leads, place
from overproof.runs.caches import Caches
from overproof.runs.experiment import Experiment, MethodOptions
from overproof.runs.given_labels import GivenLabels
from overproof.runs.roles import knows_truth
from overproof.runs.run_log import RunLog
from overproof.runs.seed_inputs import SeedInputs
from overproof.runs.student_facts import facts_of, learned_parts, shown
from overproof.runs.teacher_answers import TeacherAnswers
from overproof.seeds import derived_seed
from overproof.storage import atomic
from overproof.training.distillation import distilling
from overproof.training.examples import Answered
from overproof.training.interleaved import Training
from overproof.training.peer_rounds.peers import Peers
from overproof.training.peer_rounds.rounds import Corrected, run_rounds

MOST_TOGETHER, MOST_NUMBERS = 8, 2**26
"""Students trained side by side, at most, and the numbers that may be trained in all of them (256 MiB, four times that
with what moves them)."""

SHARED_SHARE = 0.1
"""A batch is worth sharing where it has at least this many n-grams for every number of the table: with .44 it was
measured to save a quarter of the steps' time, with .04 and less nothing (docs/results_costs.md)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Students:
    """The students of a run.

    Args:
        experiment: All of the run.
        given: Its examples, with the labels they are given.
        teacher: The teacher's answers.
        caches: What the run shares with other runs.
        folder: The run's.
        log: The run's log.
    """

    experiment: Experiment
    given: GivenLabels
    teacher: TeacherAnswers
    caches: Caches
    folder: Path
    log: RunLog

    def rows(self, seed: int) -> list[MethodOptions]:
        """The students of a seed: every method, and the oracle where the truth is known: (nearly) all of the pool's, or
        without a pool that of corrupted labels."""
        if self.experiment.data.without("pool"):
            known, trained_like = self.experiment.data.label_noise.corrupts("labelled"), "labelled_only"
        else:
            known, trained_like = knows_truth(self.given.for_seed(seed).pool.label), "hard"
        return [*self.experiment.rows(), *([MethodOptions(method=trained_like, name="oracle")] if known else [])]

    def inputs_of(self, seed: int) -> SeedInputs:
        """What every student of a seed is made from."""
        roles, answers, options = self.given.for_seed(seed), self.teacher.for_seed(seed), self.experiment.student
        fitting = [roles.labelled, roles.pool]
        names = self.teacher.roles.class_names
        encode = partial(self.caches.encode, self._encodings)
        first = build(options.spec, fitting, class_names=names, seed=seed, encode=encode)
        held = {"labelled": roles.labelled, **roles.others()}
        # The test is opened by `evaluate` alone.
        trained_on = {"labelled": roles.labelled, "pool": roles.pool, **held}
        del trained_on["test"]
        answered, start = {}, 0
        for role, examples in trained_on.items():
            place = torch.arange(start, start + len(examples))
            answered[role] = Answered(place=place, label=examples.label, answers=answers[role])
            start += len(examples)
        return SeedInputs(
            seed=seed,
            first=first,
            inputs=join([encode(first.encoder, examples) for examples in trained_on.values()]),
            answered=answered,
            ids={role: examples.ids for role, examples in trained_on.items()},
            without_fold=tuple(each for role, each in answers.items() if role.startswith("pool-without-fold-")),
            truth=self.given.truth(seed),
            trust_labelled_answers=self.experiment.answers_out_of_sample,
        )

    def training(self, seed_inputs: SeedInputs, each: MethodOptions, folder: Path) -> Training[None]:
        """Train one student, step by step, and write it down, `row.json` last."""
        pool = seed_inputs.answered[each.pool]
        options = self.experiment.train_options(each)
        if each.row == "oracle":
            pool = pool.take((pool.label >= 0).nonzero()[:, 0])
            truth = torch.nn.functional.one_hot(pool.label, pool.answers.num_classes).float()
            pool = replace(pool, answers=pool.answers.saying(truth))
        # The method must not see the pool's truth.
        answered: Mapping[str, Answered] = {
            **seed_inputs.answered,
            **(seed_inputs.with_truth() if each.row == "oracle" else {}),
            "pool": replace(pool, label=torch.full_like(pool.label, -1)),
        }
        corrected = self._corrected(seed_inputs, each, answered)
        answered, pool = corrected.answered, replace(pool, answers=corrected.answered["pool"].answers)
        built = self.experiment.method_of(each)
        result = yield from distilling(
            seed_inputs.fresh(),
            seed_inputs.inputs,
            answered["labelled"],
            answered["pool"],
            method=built,
            options=options,
            seed=derived_seed(seed_inputs.seed, "student"),
            validation=answered.get("validation"),
            trust_labelled_answers=seed_inputs.trust_labelled_answers,
            held_out_share=self.experiment.held_out_share,
            teacher=self.teacher.source(options),
            examples_per_epoch=len(seed_inputs.answered["pool"]),
            teacher_weights=self.teacher.network_weights(seed_inputs.seed) if built.initial == "teacher" else None,
            checkpoint=folder / "checkpoint.pt",
        )
        if not leads():
            return
        result.student.save(folder)
        facts = facts_of(seed_inputs, pool, built, result, unknown_is_foreign=self.experiment.data.unknown_is_foreign)
        if learned := learned_parts(built, result):
            atomic.write_bytes(folder / "learned.safetensors", safetensors.torch.save(learned))
            facts["learned"] = {name: shown(matrix) for name, matrix in learned.items()}
            facts["accuracy_by_class"] = seed_inputs.accuracy_by_class
        if each.rounds.most:
            facts["rounds"] = corrected.facts()
        atomic.write_json(folder / "row.json", facts)
        if facts.get("classes_vanish"):
            self.log.write(
                "warning", f"{each.row}, seed {seed_inputs.seed}: {facts['classes_vanish']}", logging.WARNING
            )

    def groups(self, seed_inputs: SeedInputs, rows: Sequence[MethodOptions]) -> list[list[MethodOptions]]:
        """Which students are trained side by side: bags of n-grams of long texts, where a shared batch saves more than
        several tables in the processor's caches cost; as many as memory is light.

        Args:
            seed_inputs: Of their seed.
            rows: Of one seed, none finished.
        """
        numbers, size = seed_inputs.first.num_parameters, 1
        inputs = as_read(seed_inputs.first.module, seed_inputs.inputs)
        if isinstance(inputs, Unpadded) and place()[1] == 1:
            some = inputs.take(torch.arange(min(256, len(inputs))))
            batch = self.experiment.train.batch_size * len(some.values) / len(some)
            if batch >= SHARED_SHARE * numbers:
                size = max(1, min(MOST_TOGETHER, MOST_NUMBERS // numbers))
        return [list(rows[start : start + size]) for start in range(0, len(rows), size)]

    def _corrected(self, seed_inputs: SeedInputs, each: MethodOptions, answered: Mapping[str, Answered]) -> Corrected:
        """The answers after the rounds of peers that the row asks for."""
        if not each.rounds.most:
            return Corrected(answered=answered, records=())
        label, pool = answered["labelled"].label, answered["pool"].answers
        # The folds of a teacher that was trained on the labels, with what it says of the pool without each of them.
        own = seed_inputs.without_fold
        num_folds = len(own) or (2 if each.rounds.folds == "auto" else each.rounds.folds)
        peers = Peers(
            fresh=seed_inputs.fresh,
            inputs=seed_inputs.inputs,
            answered=answered,
            ids=seed_inputs.ids,
            method=self.experiment.method_of(each),
            train=self.experiment.train_options(each),
            options=each.rounds,
            seed=derived_seed(seed_inputs.seed, "rounds"),
            fold=folds(label, num_folds, seed_inputs.seed),
            without_fold=own or [pool] * num_folds,
            folder=self.folder / "labels" / f"seed-{seed_inputs.seed}" / "peers",
            trust_labelled_answers=seed_inputs.trust_labelled_answers,
            held_out_share=self.experiment.held_out_share,
        )
        corrected = run_rounds(peers)
        for sentence in corrected.sentences():
            self.log.write("peers", f"{each.row}, seed {seed_inputs.seed}, {sentence}")
        return corrected

    def encoded(self, student: Student, test: Examples, saved: list[float]) -> Inputs | Examples:
        """The test as a student reads it, encoded once for all of them; where it lies on disk, as it is.

        Args:
            student: A trained one.
            test: What it shall answer for.
            saved: Gets the seconds that the encoding took when it was made, where it is made already.
        """
        return test if test.mapped else self.caches.encode(self._encodings, student.encoder, test, saved)

    @property
    def _encodings(self) -> EncodingCache:
        return EncodingCache(folder=(self.caches.folder or self.folder) / "encoded")

    def role(self, each: MethodOptions) -> RowRole:
        """What a row is in the table."""
        if each.row == "oracle" or each.pool == "original":
            return "reference"
        if self.experiment.data.without("pool"):
            return "conventional" if each.method in CONVENTIONAL_WITHOUT_POOL and not each.options else "method"
        if each.method == "labelled_only":
            return "reference"
        return "conventional" if each.method in CONVENTIONAL else "method"
