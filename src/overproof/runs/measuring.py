"""Counts the examples of a run and measures speed and sizes on a few of them, before the run begins."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from overproof.answers.predictions import compress
from overproof.data import Examples, Kind, Preview, first_rows, num_bytes
from overproof.data.options import LARGE_BYTES
from overproof.methods.published import method
from overproof.models import Dense, Embedder, ModelSpec, Student, body_of, build, frozen_embedder, load_student
from overproof.runs.answered import check_answers, read_answered
from overproof.runs.caches import Caches
from overproof.runs.experiment import Experiment, ScorerOptions
from overproof.runs.roles import Roles, knows_truth
from overproof.training.distillation import distilled
from overproof.training.examples import AnsweredExamples, TrainingData
from overproof.training.options import TrainOptions, batch_sizes

ROLES = ("labelled", "pool", "test", "validation", "original")
NUM_SAMPLED = 2_000
"""Examples that are measured on."""
NUM_FEW = 32
"""Examples that are measured on first, and at least."""
NUM_ROWS = 8
"""Texts, and times each of them, that a frozen encoder is measured on."""
MEASURED_SECONDS = 0.3
"""About how long each thing is measured."""
LONG = 10_000
"""A frozen encoder is only measured for more examples than this: loading it takes seconds."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sizes:
    """The numbers of examples and classes.

    Args:
        counts: Examples by role.
        exact: Whether they were counted; otherwise they are estimated from the length of the files' first lines.
        class_names: The classes, as far as they have been read.
        sample: A few examples to measure on.
        on_disk: Roles whose inputs are on disk.
        knows_truth: Whether the pool's labels are known, so that an oracle is trained.
    """

    counts: Mapping[str, int]
    exact: bool
    class_names: tuple[str, ...]
    sample: Examples
    on_disk: frozenset[str]
    knows_truth: bool


def sizes(experiment: Experiment, previews: Mapping[str, Preview]) -> Sizes:
    """Count the examples: by reading them where they are few, else from headers and schemas. Nothing is written.

    Args:
        experiment: All of a run.
        previews: The headers and schemas of its files, by role.

    Raises:
        InputError: The files, or their first rows, do not fit the options.
    """
    data = experiment.data
    if sum(num_bytes(source, role=role) for role, source in data.files.items()) <= LARGE_BYTES:
        caches = Caches()
        held = read_answered(experiment, None, caches)
        check_answers(held, experiment, caches)
        return replace(sizes_of(experiment, held), on_disk=_on_disk(experiment))
    rows = {str(role): count for role, count in data.rows.items() if isinstance(count, int)}
    counts = {role: rows.get(role, previews[role].num_rows) for role in ROLES if role in previews}
    if "all" in previews:
        drawn = {role: rows[role] for role in rows if role not in data.files}
        counts |= drawn
        if "pool" not in counts:
            counts["pool"] = max(previews["all"].num_rows - sum(drawn.values()), 0)
    shown = next(role for role in ("labelled", "all", "test", "validation", "original", "pool") if role in data.files)
    largest = max(data.files, key=lambda role: previews[role].num_rows)
    known = first_rows(data.files[shown], role=shown, num_rows=2**14)
    if data.rows.get("labelled") == "all":
        with_label = round((known.label >= 0).double().mean().item() * previews["all"].num_rows)
        counts["labelled"] = max(with_label - sum(counts.get(role, 0) for role in ("test", "validation")), 1)
        counts["pool"] = counts["pool"] if "pool" in rows else max(counts["pool"] - counts["labelled"], 0)
    pool = data.files["pool" if "pool" in data.files else "all" if "all" in data.files else largest]
    return Sizes(
        counts=counts,
        exact=False,
        class_names=known.class_names,
        sample=first_rows(data.files[largest], role=largest, num_rows=NUM_SAMPLED),
        on_disk=_on_disk(experiment),
        knows_truth=pool.label is not None,
    )


def sizes_of(experiment: Experiment, drawn: Roles) -> Sizes:
    """Count examples that have been read.

    Args:
        experiment: All of a run.
        drawn: Its roles.
    """
    roles = drawn.for_seed(experiment.seeds[0])
    held = roles.by_role()
    largest = max(held.values(), key=len)
    return Sizes(
        counts={role: len(examples) for role, examples in held.items()},
        exact=True,
        class_names=drawn.class_names,
        sample=next(iter(largest.take(np.arange(min(NUM_SAMPLED, len(largest)))).parts(NUM_SAMPLED))),
        on_disk=frozenset(role for role, examples in held.items() if examples.mapped is not None),
        knows_truth=knows_truth(roles.pool.label),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """What was measured on a few examples.

    Args:
        raw_bytes: Of one example as it is read.
        encoded_bytes: Of one encoded example.
        encode_seconds: For one example.
        step_seconds: For one step of training; for a student fitted without steps, its share of a fit.
        fitted: Whether the student is fitted without steps, as estimators like scikit-learn's are.
        num_parameters: Of the student.
        answer_seconds: For one answer of the teacher, all its scorers together; None where the teacher would have to
            be trained to measure it.
        slowed: How many times as long a step took by the clock as the processor worked on it: above 1 where the machine
            has other work.
    """

    raw_bytes: float
    encoded_bytes: float
    encode_seconds: float
    step_seconds: float
    fitted: bool
    num_parameters: int
    answer_seconds: float | None
    slowed: float = 1.0


def measure(experiment: Experiment, found: Sizes) -> Rates:
    """Encode a few examples, train a student on them for less than a second, and time a teacher that is not trained.

    Args:
        experiment: All of a run.
        found: The numbers of examples, and the examples to measure on.
    """
    sample, names = found.sample, found.class_names if len(found.class_names) > 1 else ("0", "1")
    options = experiment.student
    student = build(ModelSpec(name=options.name, options=options.options), [sample], class_names=names, seed=0)
    few = sample.take(np.arange(min(NUM_FEW, len(sample))))
    # Tables that are made once, and a model's first pass, do not count.
    student.encode(sample.take(np.arange(1)))
    began = _now()
    student.encode(few)
    encode_seconds = _since(began) / len(few)
    # A student behind a frozen encoder reads some dozens a second.
    num = max(NUM_FEW, min(len(sample), round(MEASURED_SECONDS / max(encode_seconds, 1e-9))))
    sample = sample.take(np.arange(min(num, len(sample))))
    began = _now()
    inputs = student.encode(sample)
    encode_seconds = _since(began) / len(sample)
    step_seconds, slowed = _step_seconds(student, inputs, experiment.train, found.counts)
    held = [inputs.values] if isinstance(inputs, Dense) else [inputs.values, inputs.offsets]
    return Rates(
        raw_bytes=_num_bytes(sample.inputs) / len(sample),
        encoded_bytes=sum(each.numel() * each.element_size() for each in held) / len(sample),
        encode_seconds=encode_seconds,
        step_seconds=step_seconds,
        slowed=slowed,
        fitted=body_of(student.module) is not None,
        num_parameters=student.num_parameters,
        answer_seconds=_answer_seconds(experiment, sample, sum(found.counts.values())),
    )


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(began: tuple[float, float]) -> float:
    """Seconds since then, without those in which the processor worked for others, where it does all the work.

    Args:
        began: Of `_now`.
    """
    passed, worked = (now - then for now, then in zip(_now(), began, strict=True))
    return passed if torch.cuda.is_available() else min(passed, worked)


def _step_seconds(
    student: Student, inputs: Any, options: TrainOptions, counts: Mapping[str, int]
) -> tuple[float, float]:
    """Seconds of a step, and how many times as long it took by the clock."""
    num, num_classes = len(inputs), len(student.class_names)
    probs = torch.full((num, num_classes), 1 / num_classes)
    few = max(num // 8, 1)

    def part(rows: Tensor) -> AnsweredExamples:
        return AnsweredExamples(place=rows, label=rows % num_classes, answers=compress(probs[rows]))

    def trained(num_steps: int) -> tuple[float, float]:
        _, pool_size = batch_sizes(options, few, num - few)
        began = _now()
        distilled(
            student,
            TrainingData(inputs=inputs, labelled=part(torch.arange(few)), pool=part(torch.arange(few, num))),
            method=method("soft"),
            options=options.model_copy(update={"epochs": 1, "early_stop_epochs": 0, "teacher_answers": "stored"}),
            seed=0,
            examples_per_epoch=num_steps * pool_size,
        )
        seconds, passed = _since(began), time.perf_counter() - began[0]
        # A short wait is no load: not more than so many processes for each processor.
        share = (os.getloadavg()[0] + 1) / (os.cpu_count() or 1)
        return seconds / num_steps, max(1.0, min(passed / max(seconds, 1e-9), share))

    if body_of(student.module) is not None:
        # An estimator is fitted without steps: a batch of examples takes its share of the fit.
        seconds, slowed = trained(1)
        return seconds * options.batch_size / num, slowed
    # The first training includes imports and set-up.
    trained(1)
    first = trained(1)
    # Whatever else the machine does makes a step longer, never shorter.
    first = min(first, trained(1)) if first[0] > MEASURED_SECONDS else first
    return first if first[0] > MEASURED_SECONDS else trained(max(3, min(200, round(MEASURED_SECONDS / first[0]))))


def _answer_seconds(experiment: Experiment, sample: Examples, num_asked: int) -> float | None:
    total, some = 0.0, sample.take(np.arange(min(len(sample), 256)))
    for scorer in experiment.scorers:
        seconds = _seconds_of(scorer, some, sample.kind, num_asked)
        if seconds is None:
            return None
        total += seconds
    return total


def _seconds_of(scorer: ScorerOptions, some: Examples, kind: Kind, num_asked: int) -> float | None:
    if scorer.answers:
        return 0.0
    if scorer.asks:
        return None
    if scorer.brought and (Path(scorer.model) / "student.json").is_file():
        teacher = load_student(scorer.model)
        began = _now()
        teacher.probs(some)
        return _since(began) / len(some)
    if kind == "text" and scorer.model in ("auto", "minilm") and num_asked > LONG:
        inputs = some.take(np.arange(min(len(some), NUM_ROWS))).inputs
        assert isinstance(inputs, pa.Array)
        # Each text as often as a batch has rows: batches of a few texts of many lengths would mostly be padding.
        texts = [text for text in inputs.to_pylist() for _ in range(NUM_ROWS)]
        embedder = frozen_embedder("minilm", {**scorer.options, "batch_size": NUM_ROWS})
        assert isinstance(embedder, Embedder)
        began = _now()
        embedder.embed(texts)
        return _since(began) / len(texts)
    return None


def _on_disk(experiment: Experiment) -> frozenset[str]:
    held = {str(role) for role in experiment.data.files if experiment.data.is_on_disk(role)}
    drawn = {role for role in ROLES if role not in experiment.data.files}
    return frozenset(held - {"all"} | (drawn if "all" in held else set()))


def _num_bytes(inputs: Tensor | pa.Array | pa.Table) -> int:
    return inputs.numel() if isinstance(inputs, Tensor) else int(inputs.nbytes)
