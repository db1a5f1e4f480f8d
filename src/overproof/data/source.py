"""The options of one data source: its files, and which of their columns are inputs, labels and ids."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from overproof.data.wording import listed
from overproof.errors import InputError

Kind = Literal["image", "text", "table"]
"""What an example is."""

Format = Literal[
    "csv",
    "jsonl",
    "parquet",
    "arrow",
    "arff",
    "svmlight",
    "database",
    "tar",
    "mds",
    "npz",
    "npy",
    "idx",
    "cifar",
    "stl",
    "mat",
    "h5ad",
    "picture",
]
"""The format of a file."""

LABELS_APART: tuple[Format, ...] = ("idx", "npy", "stl")
"""Formats of arrays whose labels are another file."""

Fit = Literal["crop", "pad", "stretch"]
Channels = Literal["auto", "grey", "rgb"]

COMPRESSED = (".gz", ".zst")
"""Extensions of compressed files, after that of their format."""
MAX_UNPACKED_GB = 8.0
"""Gigabytes to which a compressed file may unpack by default."""
FLAG = "in `predict` and `tune-xi`: --max-unpacked-gb"
"""How that option is called where no file has options."""

_BY_ENDING: Mapping[str, Format] = {
    **dict.fromkeys((".csv", ".tsv", ".dat"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), "arrow"),
    **dict.fromkeys(("-ubyte", ".idx", ".idx1", ".idx3", ".idx4"), "idx"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"), "picture"),
    ".arff": "arff",
    **dict.fromkeys((".svm", ".svmlight", ".libsvm"), "svmlight"),
    **dict.fromkeys((".sqlite", ".sqlite3", ".db", ".duckdb"), "database"),
    **dict.fromkeys((".tar", ".tgz"), "tar"),
    ".npz": "npz",
    ".npy": "npy",
    "_x.bin": "stl",
    ".bin": "cifar",
    ".mat": "mat",
    ".h5ad": "h5ad",
}
_MAY_BE_COMPRESSED = ("csv", "jsonl", "arff", "svmlight", "idx", "tar")
_FORMATS = (
    "CSV (.csv, .tsv, .dat), JSON (.jsonl, .ndjson, .json), .arff, LIBSVM (.svm, .libsvm) or IDX (-idx3-ubyte), each "
    "also .gz or .zst, .parquet, Arrow (.arrow, .feather), .sqlite, .duckdb, WebDataset (.tar), MDS (.mds), .npz, "
    ".npy, .mat, .h5ad, CIFAR or STL-10 (.bin), or an image (.png, .jpg, .webp, .bmp, .gif, .tiff)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageOptions:
    """How every image is resized and converted when it is read.

    Args:
        size: Height and width in pixels, or one number for both; without it all images must have the same size.
        fit: How an image of another aspect ratio is fitted: `crop` its centre, `pad` it with black, or `stretch` it.
        crop_share: With `crop`, the share of the largest central crop that is kept, in (0, 1]; 0.875 keeps 224 of 256.
        channels: `grey` or `rgb` converts; `auto` keeps grey images grey, reads all others as RGB, and rejects a
            mixture.

    Example:
        >>> ImageOptions(size=64).shape
        (64, 64)

    Raises:
        InputError: If an option has a value that is not one of those above.
    """

    size: int | tuple[int, int] | None = None
    fit: Fit = "crop"
    crop_share: float = 1.0
    channels: Channels = "auto"

    def __post_init__(self) -> None:
        for option, value, allowed in (
            ("fit", self.fit, get_args(Fit)),
            ("channels", self.channels, get_args(Channels)),
        ):
            if value not in allowed:
                raise InputError(f"Option image.{option} is {value!r}; it must be one of {listed(allowed)}.")
        if self.shape is not None and not all(1 <= side <= 2**14 for side in self.shape):
            raise InputError(f"Option image.size is {self.size!r}; sides of 1 to 16384 pixels are allowed.")
        if not 0 < self.crop_share <= 1:
            raise InputError(f"Option image.crop_share is {self.crop_share!r}; it must be in (0, 1].")
        if self.crop_share < 1 and (self.shape is None or self.fit != "crop"):
            raise InputError(
                f"Option image.crop_share is {self.crop_share!r}, which needs image.size and image.fit 'crop'."
            )

    @property
    def shape(self) -> tuple[int, int] | None:
        """Height and width, or None for those that the images have."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size


AS_THEY_ARE = ImageOptions()
"""No conversion: all images have the same size and channels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Files of examples and the names of what to read in them.

    Args:
        path: A file; a glob such as `shards/*.csv.gz` (`**` for any depth); a folder of such files, of images or of a
            Hugging Face data set saved on disk; or a list of these. Several files are read as one, sorted by name
            within a glob or folder. "package:MODULE/relative/file" is a data file inside an installed package, found
            without importing the package.
        kind: "image", "text" or "table"; "auto" reads images where there are image files, arrays of bytes or a column
            of encoded images, one named column of strings as text, and everything else as a table.
        input: The column (or array of an .npz) of the inputs. The default for a table is every column without another
            use, for images the only column of images. With `kind: image` a column of strings is read as file names. A
            list of columns of strings is read as one text: what they hold, in this order, with an empty line between.
        label: The column or array of the labels; for IDX and .npy the path of the label file; for a folder of images
            `folder`, the subfolder of the image. Without it, all labels are unknown. A null or an empty cell is
            an unknown label.
        id: The column of the user's own ids, which must be unique. A folder of images has the column `file`.
        group: The column of what several rows may come from, such as a patient, an author or a thread. Rows of one
            group are never both trained on and judged (`overproof.functional.repeats`). It is not a feature. A row with
            an empty cell is a group of its own.
        ignore: Columns of a table that are not features.
        categories: Columns of a table whose numbers are categories, such as a postcode; they are read as strings.
        where: Keep only the rows whose column equals the value, for example `{"split": "train"}`. These columns are
            not features either.
        classes: The class names in the order of their indices; any other label is then an error. The default is the
            sorted labels (integers by value).
        missing: What to do if an input is missing (null, NaN, a blank text): "refuse" raises an error, "drop" drops the
            row, "allow" keeps it (a table keeps the missing value, a null text is read as an empty one).
        unlabelled: Values of the label column that mean "no label", such as -1 or ["?", "NA"]; [] says that none does.
            Without it, a value that often means that (-1, ?, NA, null, None, ...) is an error that shows both readings.
        aliases: Other spellings of a class in the label column, each with the one that is kept, such as
            {"Billing": "billing"}.
        missing_words: Cells of a table in CSV or JSON lines that mean a missing value: ["?", "NA"].
        decimal: The decimal mark of the numbers of a CSV table, and of those that are text in JSON lines.
        thousands: The mark between groups of three digits in these.
        query: Of a SQLite or DuckDB file: the SELECT whose rows are read, in its order. It can do nothing but read.
        num_features: Of files of LIBSVM: the largest number of a feature in all files of the data; by default that of
            the widest of them, in a run of all roles. A file with a larger one is refused.
        header: Whether a CSV file starts with column names; without it they are c0, c1, ..., and leading lines that
            start with "@" are skipped.
        image: How images are resized and converted.
        folder: The folder of the image files that a column names; by default the folder of the table. All of them must
            be below it; links out of it are followed only where this option names the folder.
        max_unpacked_gb: Gigabytes to which a compressed file (.gz, .zst, arrays of an .npz, columns of a Parquet file
            that is read whole, batches of an Arrow file) may unpack; a larger one is an error. Where rows are read in
            pieces, as by `predict`, the pieces of text and Parquet files are small and one batch of an Arrow file is
            limited.

    Example:
        >>> Source(path="reviews.csv", input="Review Text", label="Department Name", missing="drop").kind
        'auto'

    Raises:
        InputError: If an option has a value that is not one of those above.
    """

    path: str | tuple[str, ...]
    kind: Kind | Literal["auto"] = "auto"
    input: str | tuple[str, ...] | None = None
    label: str | None = None
    id: str | None = None
    group: str | None = None
    ignore: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    where: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    missing: Literal["refuse", "drop", "allow"] = "refuse"
    unlabelled: str | int | tuple[str | int, ...] | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    missing_words: tuple[str, ...] = ()
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'", "_"] = ""
    query: str | None = None
    num_features: int | None = None
    header: bool = True
    image: ImageOptions = AS_THEY_ARE
    folder: str | None = None
    max_unpacked_gb: float = MAX_UNPACKED_GB

    def __post_init__(self) -> None:
        choices = {
            "kind": (self.kind, ("auto", *get_args(Kind))),
            "missing": (self.missing, ("refuse", "drop", "allow")),
            "decimal": (self.decimal, (".", ",")),
            "thousands": (self.thousands, ("", ",", ".", " ", "'", "_")),
        }
        for option, (value, allowed) in choices.items():
            if value not in allowed:
                raise InputError(f"{self.called}: {option} is {value!r}; it must be one of {listed(allowed)}.")
        if not self.max_unpacked_gb > 0:
            raise InputError(f"{self.called}: max_unpacked_gb is {self.max_unpacked_gb!r}; it must be above 0.")
        if self.num_features is not None and self.num_features < 1:
            raise InputError(f"{self.called}: num_features is {self.num_features!r}; it must be 1 or more.")
        if self.thousands == self.decimal:
            raise InputError(f"{self.called}: decimal and thousands are both {self.decimal!r}; they must differ.")
        lists = {
            "missing_words": self.missing_words,
            "ignore": self.ignore,
            "categories": self.categories,
            "classes": self.classes,
        }
        for option, names in lists.items():
            if isinstance(names, str):
                raise InputError(f"{self.called}: {option} is the string {names!r}; it must be a list of names.")
            if repeated := sorted({name for name in names if names.count(name) > 1}):
                raise InputError(f"{self.called}: {option} names {listed(repeated)} twice; once each is allowed.")
        if chained := sorted(set(self.aliases) & set(self.aliases.values())):
            raise InputError(
                f"{self.called}: aliases has {chained[0]!r} both as a spelling and as what one is read as; write the "
                f"class that is kept."
            )
        if not isinstance(self.input, str | None):
            # A list of one is that one, so that both have the same keys.
            object.__setattr__(self, "input", self.input[0] if len(self.input) == 1 else tuple(self.input))
            if not self.input or self.kind not in ("auto", "text"):
                raise InputError(
                    f"{self.called}: input is a list, which is read as one text, and must name columns of a text; kind "
                    f"is {self.kind!r}."
                )
        used = [name for name in (*self.inputs, self.label, self.id, self.group) if name is not None]
        if len(set(used)) < len(used):
            raise InputError(
                f"{self.called}: input, label, id and group are {listed(used)}; they must be different columns."
            )
        if not self.paths:
            raise InputError("Option path is an empty list; at least one file is needed.")

    @property
    def paths(self) -> tuple[str, ...]:
        """Its files, globs and folders."""
        return (self.path,) if isinstance(self.path, str) else tuple(self.path)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns of the inputs that the options name; empty where they name none."""
        return (self.input,) if isinstance(self.input, str) else self.input or ()

    @property
    def only_input(self) -> str | None:
        """The array of the inputs, for files whose inputs are one.

        Raises:
            InputError: The options name several.
        """
        if len(self.inputs) > 1:
            raise InputError(f"{self.called}: input names {listed(self.inputs)}; only columns of texts are joined.")
        return next(iter(self.inputs), None)

    @property
    def unlabelled_words(self) -> tuple[str, ...]:
        """The values of the label column that mean "no label", as text."""
        values = () if self.unlabelled is None else self.unlabelled
        return tuple(str(value) for value in (values if isinstance(values, tuple | list) else (values,)))

    @property
    def named(self) -> tuple[str, ...]:
        """The columns that the options name."""
        used = (*self.inputs, self.label, self.id, self.group, *self.ignore, *self.categories, *self.where)
        return tuple(name for name in used if name is not None)

    @property
    def called(self) -> str:
        """A short name for all of its paths."""
        more = f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else ""
        return (self.paths[0] if self.paths else "no file") + more


def format_of(path: Path) -> Format | None:
    """The format of a file, from its name; None if the extension is unknown.

    Example:
        >>> format_of(Path("reviews.csv.gz")), format_of(Path("notes.md"))
        ('csv', None)
    """
    name = path.name.lower()
    if ".parquet" in name:
        return "parquet"
    if name.endswith(".mds") or ".mds." in name:
        return "mds"
    plain = name
    for ending in COMPRESSED:
        plain = plain.removesuffix(ending)
    found = next((format for ending, format in _BY_ENDING.items() if plain.endswith(ending)), None)
    return None if plain != name and found not in _MAY_BE_COMPRESSED else found


def check_format(path: Path, name: str) -> Format:
    """The format of a file that must have one.

    Raises:
        InputError: If the extension is unknown.
    """
    found = format_of(path)
    if found is None:
        raise InputError(f"{name} has an unknown extension {path.suffix!r}; allowed is {_FORMATS}.")
    return found
