"""Reads the layout of a Hugging Face data set saved on disk: its Arrow files and its class names."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from overproof.data.wording import reason
from overproof.errors import InputError


def files_of(folder: Path, name: str) -> list[Path]:
    """The Arrow files of a data set that `datasets.Dataset.save_to_disk` wrote, in the order of its rows.

    Args:
        folder: Contains `state.json`.
        name: Name of the data set in error messages.

    Raises:
        InputError: If `state.json` is damaged, names a missing file or one outside of the folder, or rows were selected
            without `flatten_indices()`.
    """
    state = _object(folder / "state.json", name)
    entries = state.get("_data_files")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries) or not entries:
        raise InputError(f"{name} names no data files in state.json; a data set saved by save_to_disk is needed.")
    if state.get("_indices_data_files"):
        raise InputError(f"{name} has a separate selection of rows; save it again after flatten_indices().")
    files = []
    for entry in entries:
        word = entry.get("filename")
        if not isinstance(word, str) or Path(word).name != word or not word.endswith(".arrow"):
            raise InputError(f"{name} names the data file {word!r} in state.json; a .arrow file beside it is allowed.")
        if not (folder / word).is_file():
            raise InputError(f"{name} has no file {word!r}, which its state.json names; a whole data set is needed.")
        files.append(folder / word)
    return files


def class_names_of(folder: Path, name: str) -> dict[str, tuple[str, ...]]:
    """The class names of each column of class numbers, from `dataset_info.json`.

    Raises:
        InputError: If the file exists and is damaged.
    """
    path = folder / "dataset_info.json"
    if not path.is_file():
        return {}
    features = _object(path, name).get("features")
    named: dict[str, tuple[str, ...]] = {}
    for column, feature in features.items() if isinstance(features, Mapping) else ():
        if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel":
            words = feature.get("names")
            if not isinstance(words, list) or not words or len(set(map(str, words))) < len(words):
                raise InputError(f"{name} has no list of different class names for {column!r} in dataset_info.json.")
            named[column] = tuple(map(str, words))
    return named


def _object(path: Path, name: str) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{name}: {path.name} is damaged ({reason(error)}); a whole data set is needed.") from None
    if not isinstance(content, dict):
        raise InputError(f"{name}: {path.name} holds no object of options; a whole data set is needed.")
    return content
