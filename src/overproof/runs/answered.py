"""Examples without an answer in a teacher's files: counted for every role, and left out where the options say so."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overproof.answers.unanswered import Lacking, lacking
from overproof.data import Examples, by_content, duplicates, num_distinct, repeats_in
from overproof.data.options import DataOptions, FileRole
from overproof.data.wording import listed
from overproof.errors import InputError
from overproof.methods.published import reads_labelled_answers
from overproof.models import load_student
from overproof.models.student import ABOUT
from overproof.progress import Progress
from overproof.runs.asking.draws import draws_of
from overproof.runs.asking.teacher import ask_teacher, without_keys
from overproof.runs.caches import Caches
from overproof.runs.experiment import Experiment, ScorerOptions
from overproof.runs.read_roles import read_roles
from overproof.runs.roles import Roles
from overproof.teachers import enough_answered, from_files, joined_by, judged_on, spoken

_CALLED = {"train": "labelled and pool"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """That teachers at addresses are asked now.

    Args:
        folder: Where their answers are kept.
        progress: Shows how far they are.
        runs: Other runs, whose raw answers of the same model are copied.
    """

    folder: Path
    progress: Progress
    runs: Sequence[Path] = ()


def read_answered(experiment: Experiment, folder: Path | None, caches: Caches, asking: Asking | None = None) -> Roles:
    """Read the files of an experiment and draw its roles, without the examples that are left out for their answers.

    Args:
        experiment: All of a run.
        folder: Where the inputs of large files are kept; None holds everything in memory.
        caches: What was read before; knows which teachers were asked.
        asking: Teachers at addresses are asked, where they were not yet; None leaves them out.

    Raises:
        InputError: As `overproof.runs.read_roles.read_roles`, `overproof.runs.asking.teacher.ask_teacher` and
            `answered_roles`.
    """
    roles = read_roles(
        experiment.data, folder, caches.read, _classes_of_teacher(experiment), aliases=experiment.aliases
    )
    _check_unseen(roles, experiment)
    for scorer in experiment.scorers if asking is not None else ():
        if scorer.asks and scorer.key not in caches.asked:
            assert asking is not None
            asked = ask_teacher(scorer, roles, asking.folder, asking.progress, asking.runs)
            caches.asked[scorer.key] = asked.in_file(scorer), asked.sentence()
    return answered_roles(roles, experiment, caches)


def _classes_of_teacher(experiment: Experiment) -> tuple[str, ...]:
    """The classes of a pretrained teacher that names them or is a saved student, where no label may show them."""
    teacher, data = experiment.teacher, experiment.data
    if not data.without("labelled") or teacher.classes:
        return teacher.classes
    folder = Path(teacher.model).expanduser()
    return load_student(folder).class_names if teacher.brought and (folder / ABOUT).is_file() else ()


def _check_unseen(roles: Roles, experiment: Experiment) -> None:
    """Refuse to cross-validate rows whose labels a saved student was trained on that is the teacher, or first weights.

    Raises:
        InputError: Some are on its list.
    """
    if not experiment.data.cross_validated:
        return
    labelled = roles.for_seed(experiment.data.draw_seed).labelled
    started = experiment.student.start
    given = [(Path(each.model).expanduser(), "teacher") for each in experiment.scorers if each.brought]
    given += [(Path(started).parent, "first weights")] if started else []
    for folder, what in given:
        student = load_student(folder) if (folder / ABOUT).is_file() else None
        if student is None or student.seen is None or student.kind != labelled.kind:
            continue
        seen = student.seen.roles(student.encoder, labelled)
        with_labels = [mask for role, mask in seen.items() if not role.endswith("pool")]
        if with_labels and (num := int(np.any(with_labels, axis=0).sum())):
            raise InputError(
                f"{num} of {len(labelled)} labelled rows cannot judge by cross-validation: the {what} {str(folder)!r} "
                f"was trained on them or chosen by them. Give other labelled rows as a test, or set "
                f"'data.rows.test: 0' to train without an estimate."
            )


def without_answers(experiment: Experiment, folder: Path | None, caches: Caches) -> tuple[Examples, bool]:
    """The rows of the pool that a teacher with files of answers has not answered.

    Where labelled and pool rows are drawn from one file, rows with a label are not among them: a label serves there.

    Args:
        experiment: All of a run.
        folder: Where the inputs of large files are kept; None holds everything in memory.
        caches: Keeps files that were read.

    Returns:
        These rows, and whether those that are answered are just the first ones of the file.

    Raises:
        InputError: The teacher is not one with files of answers, or it has answered everything.
    """
    scorer = experiment.teacher
    if not scorer.answers or experiment.teacher.others:
        raise InputError(
            "What to ask next is about one teacher whose answers are in files ('teacher.answers'), of which some of "
            "the pool has none; the teacher of this run answers every example itself, or is one of several."
        )
    roles = read_roles(
        experiment.data, folder, caches.read, _classes_of_teacher(experiment), aliases=experiment.aliases
    )
    role = "train" if "train" in roles.fixed else "pool"
    examples, files = roles.fixed[role], caches.answers_of(scorer, experiment.data)

    def unanswered(some: Examples) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which of some examples count, and which of these have no answer."""
        counting = np.asarray(some.label < 0) if role == "train" else np.ones(len(some), bool)
        lacks = lacking(scorer.answers, joined_by(some), roles.class_names, parsed=files).mask
        return counting, counting & lacks

    left = np.flatnonzero(unanswered(examples)[1])
    if not len(left):
        raise InputError(
            f"{listed(scorer.answers)} answers all {len(examples)} rows of {examples.origin}"
            f"{' that have no label' if role == 'train' else ''}; there is nothing left to ask."
        )
    file: FileRole = "pool" if "pool" in experiment.data.files else "all"
    if experiment.data.is_on_disk(file):
        return examples.take(left), False
    # In the order of the file, which drawn roles have not.
    counting, lacks = unanswered(caches.read(experiment.data.files[file], role=file))
    answered = np.flatnonzero(counting & ~lacks)
    return examples.take(left), len(answered) > 0 and not lacks[: answered[-1]].any()


def answered_roles(roles: Roles, experiment: Experiment, caches: Caches) -> Roles:
    """Roles without the examples that no file answers, where `teacher.unanswered` is `drop`, and with remarks on them.

    The test keeps all its examples. So do labelled examples, on whose label students are trained, unless a number of
    them is drawn and as many have an answer.

    Args:
        roles: As they were read.
        experiment: All of a run.
        caches: Keeps parsed files of answers.

    Raises:
        InputError: A file cannot be read, or a role is left without examples.
    """
    named_scorers = [each for each in experiment.scorers if caches.in_files(each).answers]
    trained = _trained(roles, experiment)
    if not named_scorers:
        return replace(roles, remarks=(*trained, *roles.remarks)) if trained else roles
    fixed, remarks = dict(roles.fixed), [*trained, *roles.remarks]
    scorers = [caches.in_files(each) for each in named_scorers]
    for named, scorer in zip(named_scorers, scorers, strict=True):
        if named.asks:
            remarks.append(caches.asked[named.key][1])
        files = caches.answers_of(scorer, experiment.data)
        for path in map(Path, scorer.answers):
            remarks += files.reading(path, "id", roles.class_names).sentences(str(path))
            remarks += files.spelling(path, "id", roles.class_names).sentences(str(path), scorer.vote)
        for role, examples in fixed.items():
            if not len(examples):
                continue
            lacks = lacking(
                scorer.answers,
                joined_by(without_keys(examples) if named.asks else examples),
                roles.class_names,
                parsed=files,
            )
            if not lacks.num or (role != "test" and scorer.unanswered == "refuse"):
                # What is refused is refused with a sentence of its own.
                continue
            if role != "test" and scorer.unanswered == "drop":
                kept = _kept(role, examples, lacks, roles.options)
                remarks.append(_remark_on_dropped(role, examples, lacks, kept, scorer, experiment, roles))
                fixed[role] = examples.take(np.flatnonzero(kept))
                if lacks.mask.all():
                    hint = (
                        f"the classes are {listed(roles.class_names)}; `teacher.aliases` says what words mean."
                        if lacks.words
                        else "are their ids those of the data's id column?"
                    )
                    raise InputError(
                        f"{' and '.join(scorer.answers)} answers none of the {len(examples)} {_CALLED.get(role, role)} "
                        f"examples{lacks.reasons()}; {hint}"
                    )
                if role == "train":
                    _need_pool_left(int(kept.sum()), examples, lacks, scorer.answers, roles)
                if not roles.options.without("labelled"):
                    _need_labels_left(role, examples, lacks, scorer.answers)
            else:
                remarks.append(_remark(role, examples, lacks, scorer, len(roles.class_names)))
    draws = [
        draws_of(experiment, each, caches.answers_of(each, experiment.data), roles.class_names) for each in scorers
    ]
    drawn = next((each for each in draws if each is not None), None)
    if drawn is not None:
        pool = fixed["train" if "train" in fixed else "pool"]
        remarks.append(drawn.sentence(pool, joined_by(pool), experiment))
    return replace(roles, fixed=fixed, remarks=tuple(dict.fromkeys(remarks)), draws=drawn)


def _trained(roles: Roles, experiment: Experiment) -> list[str]:
    """What the scorers are that are trained on the labels."""
    kind = next(iter(roles.fixed.values())).kind
    num = roles.options.number_of("labelled") or (len(roles.fixed["labelled"]) if "labelled" in roles.fixed else None)
    found = [spoken(each.model, each.folds, kind, num) for each in experiment.scorers if each.trained_here]
    if not found:
        return []
    several = len(experiment.scorers) > 1
    return [f"{'Among the teachers' if several else 'The teacher'}: {'; '.join(found)}."]


def check_answers(roles: Roles, experiment: Experiment, caches: Caches) -> None:
    """Read all answers in files that a run will read, so that what it would refuse is refused at once.

    Args:
        roles: As `answered_roles` returns them.
        experiment: All of a run.
        caches: Keeps parsed files of answers.

    Raises:
        InputError: As `overproof.teachers.from_files`.
    """
    for scorer in experiment.scorers:
        for seed in experiment.seeds if scorer.answers else ():
            from_files(
                scorer.answers,
                roles.for_seed(seed).by_role(),
                roles.class_names,
                classes=scorer.classes,
                vote=scorer.vote,
                answer_from=scorer.answer_from,
                unanswered=scorer.unanswered,
                parsed=caches.answers_of(scorer, experiment.data),
            )


def _need_pool_left(kept: int, examples: Examples, lacks: Lacking, answers: Sequence[str], roles: Roles) -> None:
    labelled = roles.options.number_of("labelled") or 0
    if kept > labelled or not labelled:
        return
    with_label = int((~np.asarray(lacks.mask) & np.asarray(examples.label >= 0)).sum())
    raise InputError(
        f"{' and '.join(answers)} answers none of the {len(examples) - labelled} pool examples (and {with_label} with "
        f"a label): ask the teacher for those without a label too, or leave the answers out, and a teacher is trained "
        f"on the labels."
    )


def _need_labels_left(role: str, examples: Examples, lacks: Lacking, answers: Sequence[str]) -> None:
    """Raise where no labelled example has an answer: nothing could show where the teacher errs."""
    known = np.asarray(examples.label >= 0)
    if role in ("train", "labelled") and known.any() and not (known & ~lacks.mask).any():
        raise InputError(
            f"{' and '.join(answers)} answers none of the {int(known.sum())} labelled examples, which show where the "
            f"teacher errs: add answers to these, or leave out `answers`, and the teacher is trained on the labels."
        )


def _kept(role: str, examples: Examples, lacks: Lacking, options: DataOptions) -> NDArray[np.bool_]:
    """[N], which examples are not left out: those with an answer, and labelled ones without where these are needed."""
    answered = ~lacks.mask
    if role not in ("train", "labelled"):
        return answered
    known = np.asarray(examples.label >= 0)
    wanted = options.number_of("labelled")
    if not wanted:
        return answered | (known & (role == "labelled"))
    labelled = examples.take(np.flatnonzero(known & answered))
    missing = wanted - num_distinct(labelled)
    if missing <= 0:
        return answered
    silent = np.flatnonzero(known & lacks.mask)
    silent = np.delete(silent, duplicates(examples.take(silent), labelled))
    # As many as are asked for, in an order that the file does not decide.
    ordered = by_content(examples.take(silent))
    chosen = ordered.take(repeats_in(ordered).once[:missing])
    kept = np.isin(np.arange(len(examples)), silent[duplicates(examples.take(silent), chosen)])
    return answered | kept


def _remark_on_dropped(
    role: str,
    examples: Examples,
    lacks: Lacking,
    kept: NDArray[np.bool_],
    scorer: ScorerOptions,
    experiment: Experiment,
    roles: Roles,
) -> str:
    """What becomes of examples without an answer where the options leave them out."""
    labelled = int((kept & lacks.mask).sum())
    known = int((np.asarray(examples.label >= 0) & ~kept).sum()) if role in ("train", "labelled") else 0
    left_out = int((~kept).sum())
    them = "they" if not labelled else f"{left_out} without a label"
    what = [f"{them} are left out (`teacher.unanswered: drop`)"] if left_out else []
    if known:
        what[-1] += f", and with them {known} labels that are not drawn"
    if labelled:
        judged = int((np.asarray(examples.label >= 0) & ~lacks.mask).sum())
        what.append(
            f"{labelled} keep their label, which students are trained on, and the teacher's errors are estimated on "
            f"the other {judged} with a label"
        )
        reading = [each.row for each in experiment.rows() if reads_labelled_answers(experiment.method_of(each))]
        if reading:
            verb = "learns" if len(reading) == 1 else "learn"
            what.append(
                f"{listed(reading)} {verb} from the teacher's answers to labelled examples, and so from the others "
                f"alone"
            )
        # As `runs/scoring.py` has it: by the labelled rows, however many of the pool have an answer.
        judging = int((np.asarray(examples.label >= 0) & kept).sum())
        if roles.options.cross_validated and not enough_answered(judged, judging):
            what.append("the teacher is not judged, and has no row in the table")
    return f"{_no_answer(role, examples, lacks, scorer)}; {'; '.join(what)}."


def _remark(role: str, examples: Examples, lacks: Lacking, scorer: ScorerOptions, num_classes: int) -> str:
    if role == "test":
        what = (
            f"each counts as a guess in the teacher's row, as 1/{num_classes} of a right answer, and in no confusion, "
            f"disagreement or agreement with it"
            if judged_on(lacks)
            else "the teacher is not judged on the test, and has no row in the table"
        )
    else:
        what = (
            "every class is given the same probability there (`teacher.unanswered: uniform`), in rows of soft targets; "
            "rows that go by the likeliest class leave these pool examples out"
        )
        if known := int((np.asarray(examples.label >= 0) & lacks.mask).sum()) if role != "pool" else 0:
            what += f"; {known} have a label, and say nothing of the teacher's errors"
    return f"{_no_answer(role, examples, lacks, scorer)}; {what}."


def _no_answer(role: str, examples: Examples, lacks: Lacking, scorer: ScorerOptions) -> str:
    return (
        f"{' and '.join(scorer.answers)}: no answer to {lacks.num} of {len(examples)} {_CALLED.get(role, role)} "
        f"examples{lacks.reasons()}"
    )
