"""`inputs.json` in the folder of a run: the content of every input file when the run began, verified by every step.

Files are compared by content, wherever they are now: one that was moved is the same, one that was replaced is refused
by its name, with what changed and what to do.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from overproof.answers.files import ParsedFiles
from overproof.data import Examples
from overproof.data.options import FileRole
from overproof.data.wording import listed
from overproof.errors import InputError
from overproof.runs.experiment import Experiment
from overproof.runs.inputs.files import InputFiles, input_files
from overproof.runs.inputs.rows import InputRows, difference, rows_from, rows_of_answers, rows_of_examples
from overproof.seeds import digest
from overproof.storage import checked
from overproof.storage.digests import content_digest

FILE = "inputs.json"
FORMAT = 1

MOST_FILES = 20_000
"""Files of an input that are recorded one by one; of more of them each folder has one digest."""

_Digests = list[tuple[str, int, str]]
"""For each file its name, size and digest."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Reading:
    """How the steps of a run read files, for the errors about single rows.

    Args:
        examples: Role -> the examples of its file, read where they have not been; None where they are on disk.
        answers: Parsed files of answers.
    """

    examples: Callable[[FileRole], Examples | None]
    answers: ParsedFiles


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class InputRecord:
    """The inputs of a run at one moment.

    Args:
        files: The files by option.
        digests: For each option its files' names, sizes and digests.
    """

    files: list[InputFiles]
    digests: list[_Digests]

    def only(self, groups: Sequence[str]) -> "InputRecord":
        """The inputs of some groups of options, such as `data`; all without any."""
        kept = [n for n, each in enumerate(self.files) if not groups or each.option.partition(".")[0] in groups]
        return InputRecord(files=[self.files[n] for n in kept], digests=[self.digests[n] for n in kept])


def record_of(experiment: Experiment, *, data_only: bool = False) -> InputRecord:
    """Read every input file and compute its digest.

    Args:
        experiment: All of a run.
        data_only: Leave out all but the files of examples.

    Raises:
        InputError: A file is missing or cannot be read.
    """
    files = input_files(experiment, data_only=data_only)
    return InputRecord(files=files, digests=[_digests(each) for each in files])


def write_record(folder: Path, experiment: bytes, found: InputRecord, reading: Reading) -> None:
    """Write `inputs.json`.

    Args:
        folder: The run's.
        experiment: The content of its experiment.yaml, which is verified as well.
        found: Its inputs.
        reading: What was read of them.
    """
    inputs = []
    for each, digests in zip(found.files, found.digests, strict=True):
        rows = _rows(each, reading)
        about: dict[str, Any] = {"option": each.option, "path": each.path, "files": digests}
        inputs.append(about | ({} if rows is None else rows.as_text()))
    try:
        former = _read(folder)
    except InputError:
        former = None  # of a run that has left nothing else
    # The former one too, for a kill between this file and experiment.yaml.
    experiments = [*({} if former is None else dict.fromkeys(former["experiments"])), digest(experiment)]
    content = {"format": FORMAT, "experiments": list(dict.fromkeys(experiments)), "inputs": inputs}
    checked.write_json(folder / FILE, content)


def verify(folder: Path, experiment: Path | None, found: InputRecord, reading: Reading) -> None:
    """Raise an error if an input is not what the run was begun with; a run of an earlier version has no record.

    Args:
        folder: The run's.
        experiment: Its experiment.yaml; None where it is not compared.
        found: Its inputs as they are now.
        reading: How to read them, for what changed.

    Raises:
        InputError: A file was replaced, added or removed; `inputs.json` or experiment.yaml is damaged.
    """
    known = _read(folder)
    if known is None:
        return
    if experiment is not None and digest(experiment.read_bytes()) not in known["experiments"]:
        raise InputError(
            f"{experiment} is not as the run wrote it, and what is in this folder was made from its former options: "
            "put it back as it was, or give another --out folder."
        )
    recorded: dict[str, list[Mapping[str, Any]]] = {}
    for each in known["inputs"]:
        recorded.setdefault(each["option"], []).append(each)
    for each, digests in zip(found.files, found.digests, strict=True):
        # Options that hold several paths, such as `teacher.answers`, are compared one by one in order.
        if before := recorded.get(each.option):
            _compare(each, digests, before.pop(0), reading)


def has_record(folder: Path) -> bool:
    """Whether a run has recorded its inputs; earlier versions did not.

    Args:
        folder: The run's.
    """
    return (folder / FILE).exists()


def verify_data(folder: Path, found: InputRecord) -> None:
    """As `verify`, for the data files alone: what reads examples of a run from elsewhere calls it first.

    Args:
        folder: The run's.
        found: `record_of(experiment, data_only=True)`.

    Raises:
        InputError: As `verify`.
    """
    verify(folder, None, found, Reading(examples=lambda role: None, answers=ParsedFiles()))


def _compare(each: InputFiles, now: _Digests, before: Mapping[str, Any], reading: Reading) -> None:
    then = [(str(name), str(found)) for name, _, found in before["files"]]
    here = [(name, found) for name, _, found in now]
    for place in range(min(each.renamed, len(then), len(here))):
        if then[place][1] == here[place][1]:
            then[place] = here[place]
    if len(then) == len(here) == 1 and not each.more:
        # One file may have another name.
        if then[0][1] == here[0][1]:
            return
        changed, what = str(each.files[0][1]), _what_changed(each, before, reading)
    else:
        changed, what = each.path, _files_changed(dict(then), dict(here), each.more)
    if what:
        raise InputError(
            f"{changed} (option '{each.option}') has changed since this run was begun: {what}; put it back as it was, "
            "or give another --out folder."
        )


def _files_changed(old: Mapping[str, str], new: Mapping[str, str], more: bool) -> str:
    """What is different between the files of a folder, in words; empty where nothing is."""
    differing = [name for name, found in new.items() if name in old and old[name] != found]
    added, gone = [name for name in new if name not in old], [name for name in old if name not in new]
    parts = [f"the content of {_some(differing)} differs"] if differing else []
    parts += [f"new: {_some(added)}"] if added and not more else []
    parts += [f"gone: {_some(gone)}"] if gone else []
    if not parts and not more and list(old) != list(new):
        parts = ["its files are in another order"]
    return "; ".join(parts)


def _some(names: list[str]) -> str:
    return listed(names[:3]) + (f" and {len(names) - 3} more files" if len(names) > 3 else "")


def _what_changed(each: InputFiles, before: Mapping[str, Any], reading: Reading) -> str:
    """What is different in one file, in words."""
    now = _rows(each, reading) if "rows" in before else None
    if now is None:
        return "its content differs"
    known = rows_from({"noun": before["noun"], "rows": before["rows"]})
    return difference(known, now) or "its bytes differ, though its rows are the same"


def _rows(each: InputFiles, reading: Reading) -> InputRows | None:
    group, _, name = each.option.rpartition(".")
    try:
        if name == "answers":
            return rows_of_answers(each.files[0][1], reading.answers)
        examples = reading.examples(cast(FileRole, name)) if group == "data.files" else None
    except InputError:
        return None
    return None if examples is None else rows_of_examples(examples)


def _digests(each: InputFiles) -> _Digests:
    found: _Digests = []
    for name, path in each.files:
        try:
            found.append((name, path.stat().st_size, content_digest(path)))
        except OSError as error:
            raise InputError(f"{path} ({each.option}) cannot be read: {error.strerror}.") from None
    if len(found) <= MOST_FILES:
        return found
    folders: dict[str, list[tuple[str, int, str]]] = {}
    for name, size, content in found:
        folders.setdefault(f"{Path(name).parent}/", []).append((name, size, content))
    return [
        (folder, sum(size for _, size, _ in files), digest(repr(files).encode("utf-8", "surrogatepass")))
        for folder, files in folders.items()
    ]


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / FILE
    if not path.exists():
        return None
    try:
        content = checked.read_json(path, ("format", "experiments", "inputs"))
    except (checked.Damaged, OSError) as error:
        raise InputError(
            f"{path} is damaged ({error}), so nothing shows what this run was made from: delete it if you are sure "
            "that no input was changed since, or give another --out folder."
        ) from None
    if content["format"] != FORMAT:
        raise InputError(f"{path} has format {content['format']}, and this overproof reads format {FORMAT} only.")
    return content
