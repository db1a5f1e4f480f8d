"""Where a role's examples stand on disk, said as data."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from overproof.data.wording import listed, nearest
from overproof.errors import InputError

Kind = Literal["image", "text", "table"]
"""What an example is."""

Format = Literal["csv", "parquet", "npz", "idx"]
"""How a file is written."""

_PACKAGE = "package:"
_FORMATS = "CSV (.csv, .tsv, .dat, each also .gz), Parquet (.parquet, .parquet.brotli), .npz or IDX (-idx3-ubyte, .gz)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One file of examples and the names of what to read in it.

    Args:
        path: The file. "package:MODULE/relative/file" is a data file inside an installed package, found without
            importing the package.
        kind: "image", "text" or "table"; "auto" reads .npz, IDX and a Parquet column of bytes as images, one named
            column of strings as text, and everything else as a table.
        input: The column (CSV, Parquet) or array (.npz) that holds the inputs. A table without it takes every column
            that is named nowhere else; images without it take the only one there is.
        label: The column or array that holds the labels; for IDX the path of the labels file. Without it, all labels
            are unknown. A null, an empty cell or the integer -1 is an unknown label.
        id: The column that holds the user's own ids; they must be unique.
        ignore: Columns of a table that are not features.
        where: Keep only the rows whose column equals the value, for example `{"split": "train"}`. These columns are
            not features either.
        classes: The class names in the order of their indices; any other label is then an error. Without it the
            labels found are sorted (integers by value) and named by their words.
        missing: What to do where an input is missing (null, NaN, a blank text): "refuse" with an error, "drop" the
            row, or "allow" it (a table keeps the gap, a null text is read as an empty one).
        header: Whether a CSV file starts with column names; without it they are c0, c1, ..., and leading lines that
            start with "@" are skipped.

    Example:
        >>> Source(path="reviews.csv", input="Review Text", label="Department Name", missing="drop").kind
        'auto'

    Raises:
        InputError: If an option has a value that is not one of those above.
    """

    path: str
    kind: Kind | Literal["auto"] = "auto"
    input: str | None = None
    label: str | None = None
    id: str | None = None
    ignore: tuple[str, ...] = ()
    where: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    missing: Literal["refuse", "drop", "allow"] = "refuse"
    header: bool = True

    def __post_init__(self) -> None:
        choices = {
            "kind": (self.kind, ("auto", *get_args(Kind))),
            "missing": (self.missing, ("refuse", "drop", "allow")),
        }
        for option, (value, allowed) in choices.items():
            if value not in allowed:
                raise InputError(f"{self.path}: {option} is {value!r}; it must be one of {listed(allowed)}.")
        for option, names in (("ignore", self.ignore), ("classes", self.classes)):
            if isinstance(names, str):
                raise InputError(f"{self.path}: {option} is the single word {names!r}; it must be a list of names.")
            if repeated := sorted({name for name in names if names.count(name) > 1}):
                raise InputError(f"{self.path}: {option} names {listed(repeated)} twice; once each is allowed.")
        used = [name for name in (self.input, self.label, self.id) if name is not None]
        if len(set(used)) < len(used):
            raise InputError(
                f"{self.path}: input, label and id are {listed(used)}; they must be different, or the answer would "
                f"stand in the question."
            )


def locate(path: str, role: str) -> Path:
    """Find a file by its path, or inside an installed package, which is not imported.

    Args:
        path: A path, or "package:MODULE/relative/file".
        role: Who asks, for the error.

    Raises:
        InputError: If there is no such file; it names the nearest one in the same folder.
    """
    if not path.startswith(_PACKAGE):
        found = Path(path).expanduser()
        _check_file(found, f"{role} ({path})")
        return found
    module, _, inside = path.removeprefix(_PACKAGE).partition("/")
    if not module.isidentifier() or not inside:
        raise InputError(f"{role}: {path!r} names no file in a package; write package:MODULE/relative/file.")
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"{role}: {path!r} needs the package {module!r}, which is not installed here.")
    candidates = [Path(folder) / inside for folder in spec.submodule_search_locations]
    found = next((candidate for candidate in candidates if candidate.exists()), candidates[0])
    _check_file(found, f"{role} ({path})")
    return found


def format_of(path: Path, role: str) -> Format:
    """Tell a file's format by its name.

    Raises:
        InputError: If the name says nothing known.
    """
    name = path.name.lower()
    plain = name.removesuffix(".gz")
    if ".parquet" in name:
        return "parquet"
    if name.endswith(".npz"):
        return "npz"
    if plain.endswith((".csv", ".tsv", ".dat")):
        return "csv"
    if plain.endswith(("-ubyte", ".idx", ".idx1", ".idx3", ".idx4")):
        return "idx"
    raise InputError(f"{role} ({path.name}) has an unknown extension {path.suffix!r}; allowed is {_FORMATS}.")


def _check_file(path: Path, name: str) -> None:
    if path.is_dir():
        raise InputError(f"{name} is a folder; one file is allowed.")
    if not path.is_file():
        beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        missing = "no such file" if path.parent.is_dir() else f"no such folder as {str(path.parent)!r}"
        raise InputError(f"{name}: there is {missing}{nearest(path.name, beside)}.")
