"""The Python front door for arrays: `overproof.distill` and `overproof.self_distill`.

Both call the same functions as the command line.
"""

import copy
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from overproof.answers.predictions import compress
from overproof.cross_fitting import held_out_rows
from overproof.data import Examples, remarks_on_copies, remarks_on_labels, repeats_in
from overproof.data.ids import digest_of_sets
from overproof.data.remarks import remarks_on_frames
from overproof.errors import InputError
from overproof.evaluation.cross_validated import cross_validated
from overproof.evaluation.of_training import findings_of_training
from overproof.methods.composition import Method
from overproof.methods.published import method_given, reads_labelled_answers
from overproof.models import Inputs, ModelSpec, Placed, build, join
from overproof.models.importing import as_paths
from overproof.processes import HERE, Engine
from overproof.progress import Progress, Silent
from overproof.report import write_report
from overproof.runs.experiment import Experiment
from overproof.runs.folder.neighbours import caches_beside
from overproof.runs.folder.result_file import RunResult
from overproof.runs.folder.resume import grown
from overproof.runs.folder.run_log import LOGGER
from overproof.runs.pipeline import Run
from overproof.seeds import derived_seed
from overproof.teachers.from_arrays import CrossFittedAnswers, given_arrays, known_examples, pool_weights
from overproof.teachers.student_of_arrays import ArraysToStudent
from overproof.training.checkpoint import EpochRecord, Resume
from overproof.training.distillation import Distilled
from overproof.training.examples import AnsweredExamples, TrainingData
from overproof.training.one_student import train_on_labels, train_student
from overproof.training.options import TrainOptions, train_options
from overproof.training.peer_rounds.peers import MAX_ROUNDS, PeerOptions
from overproof.training.trainable import check_trainable


def run(
    experiment: Experiment,
    folder: Path | str,
    *,
    report: bool = False,
    progress: Progress | None = None,
    allow_import: Iterable[str] | str = (),
    cache: Path | str | None = None,
    engine: Engine = HERE,
) -> RunResult:
    """Run an experiment: label, distill, evaluate, and report where asked for.

    Args:
        experiment: All of the run.
        folder: Output folder. If it already holds this run, the run resumes; so it does with the methods and seeds that
            were added to it since.
        report: Whether to write report.html too, as the command line does.
        progress: Shows how far it is.
        allow_import: Import paths `package.module:name` in the experiment whose code may be run.
        cache: A folder of runs. What a teacher that is not trained here answered in one of them to the same examples is
            copied; None for the folder that holds the run's.
        engine: Where shards are answered and students are trained: `overproof.scale.engine_on`.

    Raises:
        InputError: A file, an option or the folder's content does not fit; nothing half-written is left.
    """
    experiment, more = grown(Path(folder), experiment)
    progress = progress or Silent()
    if more:
        progress.note(lambda: more)
    work = Run(
        experiment=experiment,
        folder=Path(folder),
        caches=caches_beside(Path(folder), None if cache is None else Path(cache), engine),
        progress=progress,
        allow_import=as_paths(allow_import),
    )
    result = work.all_steps()
    if report:
        write_report(work)
    return result


def distill(
    student: str | nn.Module | ModelSpec,
    pool: Any,
    teacher_probs: Any,
    labelled: Any = None,
    labels: Any = None,
    labelled_teacher_probs: Any = None,
    *,
    pool_weight: Any = None,
    method: str | Method = "auto",
    class_names: Sequence[str] | None = None,
    train: TrainOptions | Mapping[str, Any] | None = None,
    seed: int = 0,
    held_out_share: float = 1 / 3,
    labelled_group: Any = None,
    teacher: nn.Module | None = None,
    rounds: int | PeerOptions = 0,
    estimate: int = 0,
    checkpoint: Path | str | None = None,
    observe: Callable[[EpochRecord], None] = lambda record: None,
    allow_import: Iterable[str] | str = (),
) -> Distilled:
    """Distil a student from your own data: frames, arrays, tensors or lists of texts.

    Labelled examples and pool are two sets, or one of which some rows have no label (`labelled` is left out then):
    `distill("mlp", frame, teacher_probs=answers, labels="diagnosis")`.

    Args:
        student: A student by name (`linear`, `mlp`, `cnn`, `resnet`, `ngram`), a `torch.nn.Module` that maps a batch of
            the inputs to logits [B, K] (trained in place), or a `ModelSpec`.
        pool: N unlabelled examples: images (uint8), numbers [N, D], a list of texts, or a data frame of pandas, Polars
            or Arrow, read as a file of it would be (a pandas index is left out), whose columns may have gaps;
            `Examples` too. Without `labelled`, all examples, with and without a label.
        teacher_probs: [N, K], the teacher's probabilities on the pool; rows sum to one. The columns of a data frame are
            matched with the classes by name. Or [N], the class that it answers, None where there is none: such a row
            is trained on by its label, or left out without one; a finding counts them. Or a scikit-learn classifier: a
            fitted one predicts pool and labelled examples, which it must not have been trained on; an unfitted one is
            cross-fitted on the labelled examples.
        labelled: n labelled examples of the same kind. Left out where they are rows of `pool`.
        labels: [n], class indices 0..K-1, or class names; or the name of the data frame's column that holds them, which
            is no feature then. Without `labelled`: [N], None, NaN or -1 where the label is not known.
        labelled_teacher_probs: [n, K], the teacher's probabilities on the labelled examples **by a teacher that was not
            trained on them** (cross-fitted, or trained elsewhere): in sample, a teacher is almost never wrong. Left out
            if `teacher_probs` is a classifier, and without `labelled`: rows of `teacher_probs` are such answers then.
        pool_weight: [N], positive: what each pool example counts, with `labelled`; 1 by default. Where the teacher was
            asked about some examples more likely than about others: `overproof.evaluation.staged_draws.draw_weights`.
        method: By name (`overproof methods` lists them) or composed. With an un-normalised mix (`slam`) and predicted
            classes that are right too rarely for it, a `UserWarning` gives the number of such answers; another one says
            so where the student has not learned.
        class_names: K names in the order of the columns; by default the column names of `teacher_probs`, else 0..K-1;
            for a classifier the sorted labels.
        train: Training options, or a mapping with some of them: `{"epochs": 5}`.
        seed: Seeds everything random; the same seed gives the same student.
        held_out_share: Share of the labelled examples held out of training, for methods that need held-out labels.
        labelled_group: [n] (without `labelled` [N]), names or numbers of what labelled examples come from (patients,
            authors, threads; None for one that stands alone): no example is judged by a model that was trained on one
            of its group, and intervals count groups. Examples of one content are always treated like this.
        teacher: The teacher itself, for methods that start from its weights (a module of the student's kind then), and
            for `train.teacher_answers: online`: it maps the inputs of the student's module (images as uint8
            [B, C, H, W]) to logits [B, K].
        rounds: Rounds of peers at most, in 0..3, or options: students first correct the teacher, for as long as the
            log-loss on labelled examples falls. If the teacher was trained on these labels, its answers on the pool
            contain some of them, and the peers seem better than they are: use an experiment, which avoids that.
        estimate: Folds in which the labelled examples judge the student (5 is usual): for each, another one is trained
            without it, by the same method, choice and teacher, and answers it, as in a run without a test. It costs as
            many trainings as there are folds. 0, the default, trains without an estimate.
        checkpoint: File to resume from after a kill; the peers' answers, and the predictions of candidates, are stored
            beside it.
        observe: Called with an `EpochRecord` after every epoch.
        allow_import: Import paths `package.module:name` in a `ModelSpec` whose code may be run.

    Returns:
        The trained student (`.student.predict(x)`, `predict_proba`, `score`, `save(folder)`), how often it is right
        (`.estimate`; None without one), its history, the noise estimate, and what is remarkable in the examples and in
        the training (`.findings`: those of a run that need no test; the logger `overproof` has them too).

    Raises:
        InputError: Arrays that do not fit together, named with their shapes.

    Example:
        >>> from overproof.synthetic import blobs
        >>> world = blobs(num_examples=400, num_classes=3, seed=0)
        >>> x, y, probs = world.inputs, world.label, world.teacher_probs
        >>> options = TrainOptions(epochs=2)
        >>> result = distill("linear", x[100:], probs[100:], x[:100], y[:100], probs[:100], train=options)
        >>> result.student.probs(world.inputs[:5]).shape
        torch.Size([5, 3])
    """
    built_method = method_given(method)
    options = train_options(train)
    if isinstance(rounds, int) and not 0 <= rounds <= MAX_ROUNDS:
        raise InputError(f"rounds is {rounds}; 0 to {MAX_ROUNDS} are allowed.")
    if estimate < 0 or estimate == 1:
        raise InputError(f"estimate is {estimate}; 0 or a number of folds of 2 or more is allowed.")
    _check_share(held_out_share)
    given = given_arrays(
        pool,
        teacher_probs,
        labelled,
        labels,
        labelled_teacher_probs,
        class_names=class_names,
        labelled_group=labelled_group,
        seed=seed,
        halves=built_method.search is not None,
    )
    reads = bool(given.silent.any()) and reads_labelled_answers(built_method)
    findings = (
        *given.remarks,
        *(["The method learns from the teacher's answers to labelled examples, so from those alone."] if reads else []),
        *remarks_on_labels(given.labelled),
        *remarks_on_copies(given.labelled),
        *remarks_on_frames([given.labelled, given.pool]),
    )
    for finding in findings:
        LOGGER.warning(finding)
    distillation = ArraysToStudent(
        method=built_method,
        options=options,
        seed=seed,
        held_out_share=held_out_share,
        rounds=PeerOptions(most=rounds) if isinstance(rounds, int) else rounds,
        teacher=teacher,
        draw_weight=None if pool_weight is None else pool_weights(pool_weight, given, labelled is not None),
        allow_import=as_paths(allow_import),
    )
    file = None if checkpoint is None else Path(checkpoint)

    def answer_fold(number: int, kept: Tensor, held: Tensor) -> Tensor:
        # A module of one's own is trained in place.
        fresh = copy.deepcopy(student) if isinstance(student, nn.Module) else student
        own = None if file is None else file.with_name(f"{file.stem}-fold-{number}{file.suffix}")
        made, _, _ = distillation.of(fresh, given.of_labelled(kept), own)
        return made.student.probs(given.labelled.take(held))

    judged = None
    if estimate:
        judged = cross_validated(
            given.labelled, estimate, seed, answer_fold, teacher_probs=given.labelled_probs, silent=given.silent
        )
    result, inputs, roles = distillation.of(student, given, file, observe)
    if result.mixing is not None and (found := result.mixing.warning(given.labelled.class_names)):
        warnings.warn(found, stacklevel=2)
    name = method if isinstance(method, str) else "the method"
    trained = _found_in(result, name, seed, inputs, roles["labelled examples"][0], roles["pool"][0])
    cross_fitted = isinstance(teacher_probs, CrossFittedAnswers) or given.refitted is not None
    return replace(result, findings=(*findings, *trained), estimate=judged).made_from(
        inputs, roles, () if cross_fitted else ("the teacher",)
    )


def self_distill(
    student: str | nn.Module | ModelSpec,
    inputs: Any,
    labels: Any,
    *,
    held_out: Any = None,
    held_out_labels: Any = None,
    held_out_share: float = 1 / 3,
    method: str | Method = "self_distilled",
    class_names: Sequence[str] | None = None,
    train: TrainOptions | Mapping[str, Any] | None = None,
    seed: int = 0,
    checkpoint: Path | str | None = None,
    observe: Callable[[EpochRecord], None] = lambda record: None,
    allow_import: Iterable[str] | str = (),
) -> Distilled:
    """Fit a network to noisy labels and let it teach one of its own kind on the same examples.

    Args:
        student: As for `overproof.distill`; a module of your own is copied for the teacher and trained in place.
        inputs: N examples: images (uint8), numbers [N, D], a list of texts, or a data frame; `Examples` too.
        labels: [N], class indices 0..K-1 or class names, some of them wrong; or the name of the frame's column.
        held_out: More examples, which neither teacher nor student is trained on: they choose ξ. Without any, a method
            that leaves it to them, as the default does, holds out `held_out_share` of the inputs.
        held_out_labels: Theirs; as noisy as the others will do.
        held_out_share: Of the inputs, by content and class.
        method: By name (`self_distilled`, `born_again`, `retrained`, `consensus`, `partial_label`) or composed.
        class_names: K names; by default 0 to the largest label.
        train: Training options, or a mapping with some of them, the same for teacher and student.
        seed: Seeds everything random; the same seed gives the same student.
        checkpoint: File to resume from after a kill; the teacher's is kept beside it.
        observe: Called with an `EpochRecord` after every epoch of the student.
        allow_import: Import paths `package.module:name` in a `ModelSpec` whose code may be run.

    Returns:
        The trained student, its history, and the ξ chosen with all that were tried (`.choices`).

    Raises:
        InputError: Arrays that do not fit together; an imitation beyond [0, 1] without weight decay.

    Example:
        >>> from overproof.methods.published import method
        >>> from overproof.methods.composition import override
        >>> from overproof.synthetic import blobs, symmetric_noise
        >>> world = blobs(num_examples=300, num_classes=3, seed=0)
        >>> noisy = symmetric_noise(world.label, 3, share=0.3, seed=0).label
        >>> twice = override(method("self_distilled"), "labelled.target.imitation", 2.0)
        >>> result = self_distill("linear", world.inputs, noisy, method=twice, train=TrainOptions(epochs=2))
        >>> result.student.probs(world.inputs[:5]).shape
        torch.Size([5, 3])

    Source: Das and Sanghavi (2023), arXiv 2301.13304, section 2.
    """
    built_method = method_given(method)
    options = train_options(train)
    if (held_out is None) != (held_out_labels is None):
        raise InputError("held_out and held_out_labels go together; give both or neither.")
    drawn = built_method.sought is not None and held_out is None
    check_trainable(built_method, options, unseen=False, validation=drawn or held_out is not None)
    given = [known_examples(inputs, labels, class_names, "inputs", "labels")]
    names = given[0].class_names
    if drawn:
        given = _parted(given[0], held_out_share, seed)
    elif held_out is not None:
        given.append(known_examples(held_out, held_out_labels, names, "held_out", "held_out_labels"))
    built = build(student, given[:1], class_names=names, seed=seed, allow_import=allow_import)
    encoded = join([built.encode(examples) for examples in given])
    path = None if checkpoint is None else Path(checkpoint)
    teacher_seed = derived_seed(seed, "teacher", 0)
    teacher = built.fresh(seed=teacher_seed)
    train_on_labels(
        teacher,
        encoded,
        given[0].label,
        options=options.model_copy(update={"early_stop_epochs": 0}),
        seed=teacher_seed,
        checkpoint=None if path is None else path.with_name(f"{path.stem}-teacher{path.suffix}"),
        content=digest_of_sets(*(each.ids for each in given)),
    )
    parts, start = [], 0
    for examples in given:
        place = torch.arange(start, start + len(examples))
        answers = compress(teacher.probs(Placed(inputs=encoded, place=place))).identified(examples.ids)
        parts.append(AnsweredExamples(place=place, label=examples.label, answers=answers))
        start += len(examples)
    findings = tuple(remarks_on_frames(given))
    for finding in findings:
        LOGGER.warning(finding)
    result, _ = train_student(
        built,
        TrainingData(
            inputs=encoded,
            labelled=parts[0],
            pool=parts[0].take(torch.arange(0)),
            validation=parts[1] if len(parts) > 1 else None,
            trust_labelled_answers=False,
        ),
        method=built_method,
        options=options,
        seed=seed,
        teacher_weights=teacher.module.state_dict(),
        resume=Resume(checkpoint=path, observe=observe, content=digest_of_sets(*(each.ids for each in given))),
    )
    roles = dict(zip(("labelled examples", "held-out examples"), zip(parts, given, strict=True), strict=False))
    name = method if isinstance(method, str) else "the method"
    found = _found_in(result, name, seed, encoded, parts[0], parts[0].take(torch.arange(0)))
    return replace(result, findings=(*findings, *found)).made_from(encoded, roles)


def _parted(examples: Examples, share: float, seed: int) -> list[Examples]:
    """Those to train on, and a share held out; all of one content and group are on one side."""
    _check_share(share)
    chosen = held_out_rows(examples.label, share, derived_seed(seed, "held out"), repeats_in(examples).group).numpy()
    return [examples.take(np.flatnonzero(each)) for each in (~chosen, chosen)]


def _check_share(held_out_share: float) -> None:
    if not 0 < held_out_share < 1:
        raise InputError(f"held_out_share is {held_out_share:g}; a share above 0 and below 1 is allowed.")


def _found_in(
    result: Distilled, name: str, seed: int, inputs: Inputs, labelled: AnsweredExamples, pool: AnsweredExamples
) -> list[str]:
    """What is remarkable in a training; a student that has not learned is warned of, for the caller of the caller."""
    wrong, others = findings_of_training(result, name, seed, inputs, labelled, pool)
    if wrong:
        warnings.warn(wrong, stacklevel=3)
    for each in others:
        LOGGER.info(each)
    return [*([wrong] if wrong else []), *others]
