"""The files that an experiment reads, by option: data, answers, model files with all their parts, first weights."""

import glob
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overproof.data import Source
from overproof.data.find_files import find_files, label_files
from overproof.data.source import format_of
from overproof.runs.experiment import Experiment, ScorerOptions
from overproof.teachers import kind_of


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFiles:
    """The files behind one option.

    Args:
        option: Such as `data.files.pool`, or `teacher.answers`.
        path: Its value, as the user wrote it.
        files: Name and path of each, in the order in which they are read. The name of one file is its own; names of
            several are relative to the folder that holds all of them.
        more: Whether more of them may be added later, as beside a table that names images.
        renamed: How many of the first files may have any name, because nothing follows from it.
    """

    option: str
    path: str
    files: tuple[tuple[str, Path], ...]
    more: bool = False
    renamed: int = 0


def input_files(experiment: Experiment, *, data_only: bool = False) -> list[InputFiles]:
    """The files of every option of an experiment that names some.

    Args:
        experiment: All of a run.
        data_only: Leave out all but the files of examples.

    Raises:
        InputError: A file is missing.
    """
    found = [each for role, source in experiment.data.files.items() for each in _of_source(role, source)]
    found += [_of_files("data.labels", path, [Path(path).expanduser()]) for path in experiment.data.labels]
    if data_only:
        return found
    for number, scorer in enumerate(experiment.scorers):
        found += _of_scorer(f"teacher.others.{number - 1}" if number else "teacher", scorer)
    if experiment.student.start:
        found.append(_of_files("student.start", experiment.student.start, [Path(experiment.student.start)]))
    found += _in_options("student.options", experiment.student.options)
    return found


def without_paths(experiment: Experiment) -> Any:
    """The options of an experiment without the paths of its files, for comparison: the files may have moved.

    Args:
        experiment: All of a run.
    """
    content = json.loads(experiment.model_dump_json())
    for source in content["data"]["files"].values():
        source["path"] = ""
        source["folder"] = source["folder"] and "a folder"
        if source["label"] is not None and format_of(Path(source["label"])) is not None:
            source["label"] = "a file"
    content["data"]["labels"] = len(content["data"]["labels"])
    for scorer in (content["teacher"], *content["teacher"]["others"]):
        scorer["answers"] = len(scorer["answers"])
        scorer["draws"] = len(scorer["draws"])
        scorer["weights"] = scorer["weights"] and "a file"
        if _is_path(scorer["model"]):
            scorer["model"] = f"a path{Path(scorer['model']).suffix if not Path(scorer['model']).is_dir() else ''}"
        scorer["options"] = _blank(scorer["options"])
    content["student"]["start"] = content["student"]["start"] and "a file"
    content["student"]["options"] = _blank(content["student"]["options"])
    return content


def _of_source(role: str, source: Source) -> Iterator[InputFiles]:
    place = find_files(source.paths, role)
    files = list(place.files)
    if place.data_set is not None:
        about = (place.data_set / name for name in ("state.json", "dataset_info.json"))
        files += [path for path in about if path.is_file()]
    files += label_files(place, source.label, role)
    if place.roots:
        # The folder of an image may be its label.
        names = map(os.path.relpath, place.files, place.roots)
        pictures = tuple(zip(names, place.files, strict=True))
        yield InputFiles(option=f"data.files.{role}", path=source.called, files=pictures)
        return
    yield _of_files(f"data.files.{role}", source.called, files, renamed=0 if place.data_set else len(files))
    if source.kind == "image" and place.family == "columns":
        # Images that the table may name.
        beside = files[0].parent if source.folder is None else Path(source.folder).expanduser()
        images = sorted(path for path in beside.rglob("*") if format_of(path) == "picture" and path.is_file())
        yield _of_files(f"data.files.{role}.folder", str(beside), images, more=True)


def _of_scorer(option: str, scorer: ScorerOptions) -> Iterator[InputFiles]:
    for path in scorer.answers:
        yield _of_files(f"{option}.answers", path, [Path(path).expanduser()])
    for path in scorer.draws:
        yield _of_files(f"{option}.draws", path, [Path(path).expanduser()])
    files = [path for path in kind_of(scorer).files(scorer) if path.is_file()]
    if scorer.brought or files:
        what = "weights" if scorer.weights else "model"
        own = Path(scorer.weights or scorer.model).expanduser()
        yield _of_files(f"{option}.{what}", scorer.weights or scorer.model, files, renamed=int(own.is_file()))
    yield from _in_options(f"{option}.options", scorer.options)


def _in_options(option: str, options: Mapping[str, Any]) -> Iterator[InputFiles]:
    """Files that the options of a model name, such as a configuration or a tokenizer."""
    for name, value in options.items():
        if _names_file(name, value) and (path := Path(value).expanduser()).exists():
            yield _of_files(f"{option}.{name}", value, _below(path) if path.is_dir() else [path])


def _of_files(option: str, path: str, files: Iterable[Path], *, more: bool = False, renamed: int = 0) -> InputFiles:
    paths = list(files)
    above = os.path.commonpath([each.parent for each in paths]) if len(paths) > 1 else ""
    names = [os.path.relpath(each, above) if above else each.name for each in paths]
    named = tuple(zip(names, paths, strict=True))
    return InputFiles(option=option, path=path, files=named, more=more, renamed=renamed)


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _is_path(value: str) -> bool:
    return not glob.has_magic(value) and "\0" not in value and ("/" in value or Path(value).suffix in _SUFFIXES)


_SUFFIXES = (".onnx", ".skops", ".safetensors", ".json", ".txt", ".model")


def _blank(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "a path" if _names_file(name, each) else each for name, each in options.items()}


def _names_file(option: str, value: Any) -> bool:
    """Whether a model's option may name a file or a folder."""
    if not isinstance(value, str) or "://" in value:
        return False
    return option in ("config", "tokenizer", "prompt") or _is_path(value)
