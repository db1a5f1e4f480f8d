"""Finds the files on disk that the paths of a `Source` mean: paths, globs, folders, files in installed packages."""

import glob
import importlib.util
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from overproof.data.source import LABELS_APART, Format, check_format, format_of
from overproof.data.wording import listed, nearest
from overproof.errors import InputError

_PACKAGE = "package:"
_ARRAYS = ("npz", "npy", "idx", "cifar", "stl", "mat", "h5ad")

Family = Literal["columns", "arrays", "pictures"]
"""How files are read: as columns of rows, as whole arrays, or one image a file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The files of a source, in order.

    Args:
        name: Name of all files in error messages: "pool (reviews.parquet)".
        files: At least one; all of one family, each once.
        family: How they are read.
        roots: For images: the folder that each file's name is relative to.
        data_set: The folder of a Hugging Face data set, or None where there is none.
    """

    name: str
    files: tuple[Path, ...]
    family: Family
    roots: tuple[Path, ...] = ()
    data_set: Path | None = None

    @property
    def names_each(self) -> bool:
        """Whether an error about a row must name its file, because `name` does not."""
        return len(self.files) > 1 or self.files[0].name not in self.name

    def named(self, index: int) -> str:
        """Name of one of the files in error messages, with its role."""
        role = self.name.partition(" (")[0]
        return f"{role} ({self.files[index].name})" if self.names_each else self.name


def find_files(paths: Sequence[str], role: str) -> Place:
    """All files that the paths match.

    Args:
        paths: Files, globs and folders; files within a glob or a folder are sorted by name, hidden ones left out.
        role: Role of the files, for error messages.

    Raises:
        InputError: If a path does not exist, a glob matches nothing, a folder has no readable file, a link is
            circular, a file is named twice, or files of different families are mixed.
    """
    files: list[Path] = []
    roots: list[Path] = []
    data_set = None
    for path in paths:
        name = f"{role} ({path})"
        found, root = _expanded(path, name, role)
        if root.is_dir() and (root / "state.json").is_file():
            data_set = root
        files += found
        roots += [root] * len(found)
    first = f"{role} ({_short(paths[0], files[0])}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''})"
    _check_once(files, first)
    families = [_family(check_format(file, f"{role} ({file.name})")) for file in files]
    if odd := next((index for index, family in enumerate(families) if family != families[0]), None):
        raise InputError(
            f"{first} mixes {files[0].name} and {files[odd].name}; files of columns, of arrays and of images cannot be "
            f"read as one."
        )
    if data_set is not None and len(paths) > 1:
        raise InputError(f"{first} names the data set folder {data_set.name} beside other files; name it alone.")
    pictures = families[0] == "pictures"
    return Place(
        name=first,
        files=tuple(files),
        family=families[0],
        roots=tuple(roots) if pictures else (),
        data_set=data_set,
    )


def label_files(place: Place, label: str | None, role: str) -> tuple[Path, ...]:
    """The files of labels that belong to files of arrays, where these hold none; () for all other files.

    Args:
        place: The files.
        label: The source's `label`, which names them.
        role: Role of the files, for error messages.

    Raises:
        InputError: There is no such file.
    """
    if place.family != "arrays" or label is None or format_of(place.files[0]) not in LABELS_APART:
        return ()
    return find_files((label,), role).files


def locate(path: str, role: str) -> Path:
    """Find one file by its path, or inside an installed package, which is not imported.

    Args:
        path: A path, or "package:MODULE/relative/file".
        role: Role of the file, for error messages.

    Raises:
        InputError: If there is no such file; the message names the most similar one in the same folder.
    """
    found = _somewhere(path, role)
    if found.is_dir():
        raise InputError(f"{role} ({path}) is a folder; one file is allowed.")
    _check_file(found, f"{role} ({path})")
    return found


def _expanded(path: str, name: str, role: str) -> tuple[list[Path], Path]:
    """The files of one path, and their folder."""
    found = _somewhere(path, role)
    if found.is_dir():
        return _in_folder(found, name), found
    if not found.exists() and glob.has_magic(path):
        matches = [Path(match) for match in sorted(glob.glob(str(found), recursive=True))]
        matches = [match for match in matches if match.is_file()]
        if not matches:
            raise InputError(f"{name} matches no file; a glob must match at least one.")
        parts = found.parts
        fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
        return matches, Path(*parts[:fixed])
    _check_file(found, name)
    return [found], found.parent


def _somewhere(path: str, role: str) -> Path:
    """The path on disk, whether it exists or not."""
    if "\0" in path:
        raise InputError(f"{role} ({path!r}) is not a path; it contains a null character.")
    if not path.startswith(_PACKAGE):
        return Path(path).expanduser()
    module, _, inside = path.removeprefix(_PACKAGE).partition("/")
    if not module.isidentifier() or not inside:
        raise InputError(f"{role}: {path!r} names no file in a package; write package:MODULE/relative/file.")
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"{role}: {path!r} needs the package {module!r}, which is not installed here.")
    candidates = [Path(folder) / inside for folder in spec.submodule_search_locations]
    return next((candidate for candidate in candidates if candidate.exists()), candidates[0])


def _in_folder(folder: Path, name: str) -> list[Path]:
    """The files of a folder that can be read, in order: those of a data set, else all of a known format."""
    if (folder / "dataset_dict.json").is_file():
        splits = sorted(entry.name for entry in folder.iterdir() if (entry / "state.json").is_file())
        raise InputError(
            f"{name} holds the splits {listed(splits)}; name the folder of one, such as {splits[0]!r} in it."
            if splits
            else f"{name} holds a data set without splits; it is incomplete."
        )
    if (folder / "state.json").is_file():
        from overproof.data.readers.data_set import files_of

        return files_of(folder, name)
    below = list(_below(folder, name, ()))
    shards_below = [file for file in below if format_of(file) == "mds"]
    if shards_below or _is_mds(folder):
        from overproof.data.readers.mds import INDEX, shards_of

        if not (folder / INDEX).is_file():
            raise InputError(f"{name} has no {INDEX} beside its MDS shards; name the folder that holds it.")
        return shards_of(folder, name)
    files = [file for file in below if format_of(file) is not None]
    shards = {str(file.with_suffix("")) for file in files if file.suffix == ".tar"}
    # Beside a shard, img2dataset writes what it did: a table that also has what could not be downloaded.
    about = {f"{shard}{ending}" for shard in shards for ending in (".parquet", "_stats.json")}
    files = [file for file in files if str(file) not in about]
    if not files:
        raise InputError(f"{name} is a folder without a readable file; at least one data file or image is needed.")
    return files


def _is_mds(folder: Path) -> bool:
    """Whether a folder has the index of MDS shards, of which none may be there."""
    index = folder / "index.json"
    if not index.is_file():
        return False
    try:
        shards = json.loads(index.read_bytes())["shards"]
        return any(each["format"] == "mds" for each in shards)
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return False


def _below(folder: Path, name: str, above: tuple[Path, ...]) -> Iterator[Path]:
    """All files at any depth, sorted by name level by level."""
    real = folder.resolve()
    if real in above:
        raise InputError(f"{name} holds the link {folder.name!r} to a folder above it; remove this circular link.")
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {folder.name!r}, {error.strerror}.") from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _below(entry, name, (*above, real))
        elif entry.is_file():
            yield entry
        elif format_of(entry) is not None:
            raise InputError(f"{name} holds {entry.name!r}, a broken link or not a regular file; remove it.")


def _check_file(path: Path, name: str) -> None:
    if path.is_file():
        return
    if path.is_symlink():
        raise InputError(f"{name} is a broken link; a file is needed.")
    if path.exists():
        raise InputError(f"{name} is neither a file nor a folder; one of them is needed.")
    beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    missing = "no such file" if path.parent.is_dir() else f"no such folder as {str(path.parent)!r}"
    raise InputError(f"{name}: there is {missing}{nearest(path.name, beside)}.")


def _check_once(files: Sequence[Path], name: str) -> None:
    seen: dict[Path, Path] = {}
    for file in files:
        real = file.resolve()
        if real in seen:
            raise InputError(f"{name} matches the file {file.name} twice; its rows would count twice.")
        seen[real] = file


def _short(path: str, first: Path) -> str:
    """The last part of a path; of a glob, all of it."""
    if glob.has_magic(path) and first.name != Path(path).name:
        return path
    return Path(path).name or path


def _family(form: Format) -> Family:
    if form == "picture":
        return "pictures"
    return "arrays" if form in _ARRAYS else "columns"
