"""Where a resumed run finds its place: whether a folder belongs to the experiment, and which students are finished.

Every step skips what is finished, so the command that was stopped is simply given again:

* answers: `overproof.storage.store` computes the shards that are missing from `labels/`;
* students: one is finished when its `row.json` is there, which is written last;
* a student half trained: `overproof.training.checkpoint` resumes from `checkpoint.pt` beside it;
* the result: `result.json` is written again from finished students.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from overproof.data.wording import counted, listed
from overproof.errors import InputError
from overproof.models.student import ABOUT
from overproof.processes import leads, wait_for_all
from overproof.runs.experiment import Experiment, load
from overproof.runs.inputs.files import without_paths
from overproof.runs.inputs.record import FILE as INPUTS
from overproof.runs.inputs.record import has_record
from overproof.storage import atomic
from overproof.storage.one_writer import LOCK

EXPERIMENT, STUDENTS, STAGED, ROW, COMPARISON = "experiment.yaml", "students", "staged", "row.json", "compare.yaml"


def holds_run(folder: Path) -> bool:
    """Whether a folder holds a run, finished or not. An export, also a damaged one, holds an experiment and is none.

    Args:
        folder: Any.
    """
    return (folder / EXPERIMENT).is_file() and not any((folder / each).is_file() for each in (ABOUT, "model.onnx"))


def experiment_in(folder: Path) -> Experiment:
    """The experiment of a run, from its folder.

    Args:
        folder: The run's.

    Raises:
        InputError: `experiment.yaml` is missing or damaged; the sentence names it beside the option.
    """
    path = folder / EXPERIMENT
    try:
        return load(path)
    except InputError as error:
        raise InputError(str(error) if repr(str(path)) in str(error) else f"{path}: {error}") from None


def check_folder(folder: Path, experiment: Experiment) -> bool:
    """Make sure that a folder is empty or holds this very experiment; remove what a kill left half written.

    Args:
        folder: The run's.
        experiment: All of the run.

    Returns:
        Whether a step of this very run has left something there.

    Raises:
        InputError: It holds something else. An experiment that failed before its first student was trained may be
            replaced, so that its command can be given again with other options; one may get more methods and seeds.
    """
    if not holds_run(folder):
        atomic.check_output(folder, folder=True)
    wait_for_all()
    if leads():
        atomic.remove_leftovers(folder)
    wait_for_all()
    return check_belongs(folder, experiment)


def check_belongs(folder: Path, experiment: Experiment) -> bool:
    """As `check_folder`, but for what a kill left, which stays: for a plan.

    Args:
        folder: The run's.
        experiment: All of the run.

    Returns:
        Whether a step of this very run has left something there.

    Raises:
        InputError: It holds something else.
    """
    if holds_run(folder):
        # Compared as options, not as text: a file written before an option was added means its default.
        earlier = experiment_in(folder)
        # Files that have moved are compared by content (`overproof.runs.inputs`).
        same = earlier == experiment or (has_record(folder) and without_paths(earlier) == without_paths(experiment))
        if not same and not may_be_replaced(folder, earlier, experiment) and not extends(earlier, experiment):
            raise InputError(
                f"{str(folder)!r} holds another experiment: {_differences(earlier, experiment)}; choose another "
                f"folder, or give the options of the first (only methods and seeds may be added to it)."
            )
        # Nothing was made yet of a run that failed before its first step ended: its files may have been mended.
        return same and holds_work(folder)
    # A kill may have come before experiment.yaml was written.
    if folder.exists() and {each.name for each in folder.iterdir()} - {STAGED, INPUTS, LOCK}:
        raise InputError(f"{str(folder)!r} is not empty and holds no run{_instead(folder)}; choose another folder.")
    return False


def _differences(earlier: Experiment, experiment: Experiment) -> str:
    """The first options that differ, with both values."""
    before, now = _by_path(earlier), _by_path(experiment)
    both = {f"methods.{each.row}" for each in earlier.methods} & {f"methods.{each.row}" for each in experiment.methods}
    differ = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    # A row that one of them lacks is in the list of names.
    differ = [key for key in differ if not key.startswith("methods.") or key in both]
    shown = [f"{key} is {_shown(before.get(key))} there and {_shown(now.get(key))} here" for key in differ[:4]]
    return "; ".join(shown) + (f"; and {len(differ) - 4} more" if len(differ) > 4 else "")


def _by_path(experiment: Experiment) -> dict[str, Any]:
    """Options by path; of the methods their names, and what each has beside its name."""
    content = json.loads(experiment.model_dump_json(exclude={"methods"}))
    rows = {
        f"methods.{each.row}": json.loads(each.model_dump_json(exclude={"method", "name"}, exclude_defaults=True))
        for each in experiment.methods
    }
    return {**dict(_flat(content, "")), "methods": [each.row for each in experiment.methods], **rows}


def _flat(content: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, content


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"


def may_be_replaced(folder: Path, earlier: Experiment, experiment: Experiment) -> bool:
    """Whether a folder holds no work of its experiment that another one could not use: no student, trained or half
    trained, and no answers, unless data and teacher are the same.

    Args:
        folder: Of a run.
        earlier: Its experiment.
        experiment: The other one.
    """
    if _files_in(folder / STUDENTS) or (folder / "result.json").exists():
        return False
    return not has_answers(folder) or (earlier.data, earlier.teacher) == (experiment.data, experiment.teacher)


def extends(earlier: Experiment, experiment: Experiment) -> bool:
    """Whether an experiment has all rows and seeds of an earlier one and more, and is the same otherwise.

    Args:
        earlier: Of a run, finished or not.
        experiment: The other one.
    """
    rows, num = experiment.rows(), len(earlier.seeds)
    same = {"methods": earlier.methods, "seeds": earlier.seeds, "name": earlier.name}
    return (
        experiment.seeds[:num] == earlier.seeds
        and all(each in rows for each in earlier.rows())
        and without_paths(experiment.model_copy(update=same)) == without_paths(earlier)
    )


def grown(folder: Path, experiment: Experiment) -> tuple[Experiment, str]:
    """The experiment that a folder goes on with, where methods or seeds were added since its first command.

    Args:
        folder: Of a run, begun or not.
        experiment: That of the command.

    Returns:
        The experiment with the rows and seeds that the folder's has more, and a sentence on them; the experiment of
        the command and no words where it has none.
    """
    if not holds_run(folder):
        return experiment, ""
    earlier = experiment_in(folder)
    if earlier == experiment or not extends(experiment, earlier):
        return experiment, ""
    known = {each.row for each in experiment.rows()}
    rows = [each.row for each in earlier.rows() if each.row not in known]
    seeds = [str(each) for each in earlier.seeds[len(experiment.seeds) :]]
    added = [*([f"methods {', '.join(rows)}"] if rows else []), *([f"seeds {', '.join(seeds)}"] if seeds else [])]
    if not added:
        return experiment, ""
    more = experiment.model_copy(update={"methods": earlier.methods, "seeds": earlier.seeds})
    return more, f"{str(folder)!r} holds this experiment with more ({' and '.join(added)}), and goes on with them."


def trained_already(done: int, left: int) -> str:
    """How many students of a run there are, as a sentence.

    Args:
        done: Trained before; at least one.
        left: To be trained.

    Example:
        >>> trained_already(2, 1)
        'Of these students 2 are trained already; 1 is left to train.'
    """
    if not left:
        return "All students are trained already; nothing is left to train."
    return (
        f"Of these students {counted(done, 'is', 'are')} trained already; {counted(left, 'is', 'are')} left to train."
    )


def same_teacher(earlier: Experiment, experiment: Experiment) -> bool:
    """Whether an experiment assesses the same answers as an earlier one: methods and training do not matter to it.

    Args:
        earlier: Of a run, finished or not.
        experiment: The other one.
    """
    same = earlier.model_copy(update={"data": experiment.data, "teacher": experiment.teacher})
    return experiment.seeds[:1] == earlier.seeds[:1] and without_paths(same) == without_paths(earlier)


def groups_in_use(folder: Path) -> tuple[str, ...]:
    """The groups of options whose files the work in a run's folder was made from, where another experiment goes on.

    Args:
        folder: The run's.
    """
    if _files_in(folder / STUDENTS):
        return ("data", "teacher", "student")
    return ("data", "teacher") if has_answers(folder) else ()


def holds_work(folder: Path) -> bool:
    """Whether a step of a run has left something that was made from its input files.

    Args:
        folder: The run's.
    """
    made = (folder / each for each in ("result.json", "log.txt"))
    return any(each.exists() for each in made) or has_answers(folder) or _files_in(folder / STUDENTS)


def has_answers(folder: Path) -> bool:
    """Whether a run has stored answers.

    Args:
        folder: The run's.
    """
    return _files_in(folder / "labels")


def _files_in(folder: Path) -> bool:
    return any(each.is_file() and each.name != ".lock" for each in folder.rglob("*"))


def no_run(folder: Path) -> str:
    """What a folder holds in place of a run, and what to name, as a sentence.

    Args:
        folder: One for which `holds_run` is false.
    """
    if (folder / COMPARISON).is_file():
        runs = sorted(each.parent.name for each in folder.glob(f"*/{EXPERIMENT}"))
        names = f": {listed(runs)}" if runs else ", which are not begun yet"
        return f"{str(folder)!r} holds a comparison; name the folder of one of its runs{names}."
    if not folder.exists():
        return f"There is no folder {str(folder)!r}."
    if instead := _instead(folder):
        return f"{str(folder)!r} holds no run{instead}; name the folder of a run, as given to `overproof run --out`."
    return f"{str(folder)!r} holds no run: there is no experiment.yaml in it."


def _instead(folder: Path) -> str:
    if (folder / "model.onnx").is_file() and (folder / ABOUT).is_file():
        return " but an exported student"
    return " but a student" if (folder / ABOUT).is_file() else ""


def student_folder(folder: Path, seed: int, row: str) -> Path:
    """The folder of one student.

    Args:
        folder: The run's.
        seed: One of the run's.
        row: Of the table.
    """
    return folder / STUDENTS / f"seed-{seed}" / row


def is_finished(student: Path) -> bool:
    """Whether a student is trained: `row.json` is the last file written to its folder.

    Args:
        student: The student's folder.
    """
    return (student / ROW).exists()


def remove_checkpoints(student: Path) -> None:
    """Remove the checkpoints of a finished student; a kill may have left them there after `row.json` was written.

    Args:
        student: The student's folder.
    """
    if leads():
        (student / "checkpoint.pt").unlink(missing_ok=True)
        shutil.rmtree(student / "checkpoint", ignore_errors=True)
