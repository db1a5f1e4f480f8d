"""The students of a run: each built from a seed's inputs, trained by one method, and saved, row.json last."""

import logging
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import safetensors.torch
import torch

from overproof.data import Examples, group_words
from overproof.evaluation.verdict import Role as RowRole
from overproof.models import Inputs, Student, build, join
from overproof.models.encoding_cache import EncodingCache
from overproof.models.saved.data_columns import DataColumns, with_columns
from overproof.models.saved.seen_rows import SeenList
from overproof.processes import leads
from overproof.runs.caches import Caches
from overproof.runs.experiment import Experiment, MethodOptions
from overproof.runs.folder.resume import ROW
from overproof.runs.folder.run_log import RunLog
from overproof.runs.folder.seen import rows_brought, rows_seen_by
from overproof.runs.folder.student_facts import facts_of, learned_parts, shown
from overproof.runs.given_labels import GivenLabels
from overproof.runs.roles import knows_truth
from overproof.runs.seed_inputs import SeedInputs
from overproof.runs.teacher_answers import TeacherAnswers
from overproof.storage import atomic
from overproof.storage.manifest import write_folder
from overproof.teachers import joined_by
from overproof.training.checkpoint import Resume
from overproof.training.examples import AnsweredExamples, TrainingData
from overproof.training.one_student import PeerRounds, train_student


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
        called: What the log calls them beside row and seed, such as the fold they are trained without.
    """

    experiment: Experiment
    given: GivenLabels
    teacher: TeacherAnswers
    caches: Caches
    folder: Path
    log: RunLog
    called: str = ""

    def rows(self, seed: int) -> list[MethodOptions]:
        """The students of a seed: every method, and the oracle where the truth is known.

        That is the truth of (nearly) all of the pool; without a pool, of corrupted labels.
        """
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
        # Only `evaluate` opens the test.
        trained_on = {"labelled": roles.labelled, "pool": roles.pool, **held}
        trained_on.pop("test", None)
        answered, start, draws = {}, 0, self.teacher.roles.draws
        for role, examples in trained_on.items():
            place = torch.arange(start, start + len(examples))
            answered[role] = AnsweredExamples(
                place=place,
                label=examples.label,
                answers=answers[role],
                group=group_words(examples),
                draw_weight=draws.of(joined_by(examples)) if role == "pool" and draws is not None else None,
            )
            start += len(examples)
        return SeedInputs(
            seed=seed,
            first=first,
            inputs=join([encode(first.encoder, examples) for examples in trained_on.values()]),
            answered=answered,
            ids={role: examples.ids for role, examples in trained_on.items()},
            without_fold=tuple(each for role, each in answers.items() if role.startswith("pool-without-fold-")),
            without_half=tuple(each for role, each in answers.items() if role.startswith("pool-without-half-")),
            truth=self.given.truth(seed),
            trust_labelled_answers=self.experiment.answers_out_of_sample,
        )

    def train(self, seed_inputs: SeedInputs, each: MethodOptions, folder: Path) -> None:
        """Train one student and save it, `row.json` last."""
        pool = seed_inputs.answered[each.pool]
        options = self.experiment.train_options(each)
        if each.row == "oracle":
            pool = pool.take((pool.label >= 0).nonzero()[:, 0])
            truth = torch.nn.functional.one_hot(pool.label, pool.answers.num_classes).float()
            pool = replace(pool, answers=pool.answers.with_probs(truth))
        answered = {**seed_inputs.answered, **(seed_inputs.with_truth() if each.row == "oracle" else {})}
        built = self.experiment.method_of(each)
        result, corrected = train_student(
            seed_inputs.fresh(),
            TrainingData(
                inputs=seed_inputs.inputs,
                labelled=answered["labelled"],
                # The method must not see the pool's truth.
                pool=replace(pool, label=pool.label.new_full((1,), -1).expand(len(pool))),
                validation=answered.get("validation"),
                trust_labelled_answers=seed_inputs.trust_labelled_answers,
                held_out_share=self.experiment.held_out_share,
            ),
            method=built,
            options=options,
            seed=seed_inputs.seed,
            rounds=PeerRounds(
                options=each.rounds,
                ids=seed_inputs.ids,
                folder=self.folder / "labels" / f"seed-{seed_inputs.seed}" / "peers",
                without_fold=seed_inputs.without_fold if built.search is None else seed_inputs.without_half,
            ),
            teacher=self.teacher.source(options),
            teacher_weights=self.teacher.network_weights(seed_inputs.seed) if built.initial == "teacher" else None,
            examples_per_epoch=len(seed_inputs.answered["pool"]),
            resume=Resume(checkpoint=folder / "checkpoint.pt"),
        )
        assert result.method is not None, "train_student sets it"
        built = result.method
        for sentence in () if result.search is None else result.search.sentences():
            self.log.write("search", f"{each.row}, seed {seed_inputs.seed}{self.called}, {sentence}")
        for sentence in corrected.sentences():
            self.log.write("peers", f"{each.row}, seed {seed_inputs.seed}{self.called}, {sentence}")
        pool = replace(pool, answers=corrected.answered["pool"].answers)
        if not leads():
            return
        seen = rows_seen_by(self.experiment, each, seed_inputs, self._rows_brought)
        files = with_columns(replace(result.student, seen=seen).files(), self._columns)
        facts = facts_of(seed_inputs, pool, built, result, unknown_is_foreign=self.experiment.data.unknown_is_foreign)
        if learned := learned_parts(built, result):
            files["learned.safetensors"] = safetensors.torch.save(learned)
            facts["learned"] = {name: shown(matrix) for name, matrix in learned.items()}
            facts["accuracy_by_class"] = seed_inputs.accuracy_by_class
        if each.rounds.most or corrected.records:
            facts["rounds"] = corrected.facts()
        write_folder(folder, {**files, ROW: atomic.json_bytes(facts)}, kind="student")
        if facts.get("classes_vanish"):
            self.log.write(
                "warning",
                f"{each.row}, seed {seed_inputs.seed}{self.called}: {facts['classes_vanish']}",
                logging.WARNING,
            )

    def encoded(self, student: Student, test: Examples, saved: list[float]) -> Inputs | Examples:
        """The test as a student reads it, encoded once for all students; examples on disk are returned as they are.

        Args:
            student: A trained student.
            test: The test examples.
            saved: Gets the seconds that the encoding took, where it was computed before.
        """
        return test if test.mapped else self.caches.encode(self._encodings, student.encoder, test, saved)

    @cached_property
    def _rows_brought(self) -> tuple[list[SeenList], list[str]]:
        return rows_brought(self.experiment)

    @property
    def _columns(self) -> DataColumns:
        """The columns that new data will have too."""
        files = self.experiment.data.files
        source = next(files[role] for role in ("labelled", "all", "pool", "test") if role in files)
        return DataColumns(input=source.input, id=source.id, gaps=source.missing == "allow")

    @property
    def _encodings(self) -> EncodingCache:
        return EncodingCache(folder=(self.caches.folder or self.folder) / "encoded")

    def role(self, each: MethodOptions) -> RowRole:
        """The role of a row in the table."""
        if each.row == "oracle" or each.pool == "original":
            return "reference"
        plain = self.experiment.plain(each)
        if not plain:
            return "method"
        alone = plain.removesuffix("_tuned") == "labelled_only"
        return "reference" if alone and not self.experiment.data.without("pool") else "conventional"
