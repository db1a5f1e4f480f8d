"""The class `Examples`: images, texts or table rows with their ids and, where known, their labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from overproof.data import ids as content
from overproof.data.columns import UNKNOWN, Frame, unique_keys, whole
from overproof.data.frames import is_frame, table_of_frame
from overproof.data.inputs import Missing, features, image_tensor
from overproof.data.labels import array_labels
from overproof.data.mapped import ChainedInputs, InMemory, MappedInputs
from overproof.data.source import AS_THEY_ARE, ImageOptions, Kind
from overproof.data.wording import at_row, features_said, listed
from overproof.errors import InputError

Array = np.ndarray | Tensor | Sequence[Any]

_ALLOWED = (
    "allowed are images (uint8, [N, H, W], [N, H, W, C] or [N, C, H, W] with C 1 or 3), numbers [N, D] for a table, or "
    "a list of strings, or a data frame"
)


_WITH_GAPS = "give a data frame, whose columns may have gaps, or overproof.data.from_arrays(…, missing='allow')"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Examples:
    """N examples of one kind.

    Args:
        kind: "image", "text" or "table".
        held: Images: uint8 [N, C, H, W]; texts: large_string [N] without nulls; table: N rows of feature columns; or
            any of these on disk.
        label: [N], index into `class_names`; -1 where unknown.
        class_names: One name per class; () when no label is known and no classes were given.
        keys: [N], the user's own ids as strings, or None where there are none.
        origin: Where these examples come from, for error messages: "pool (reviews.parquet)".
        ids: [N], dtype V16: the hash of each row's content (`overproof.data.ids`), without the label.
        image: How images were resized and converted when read; a student applies the same to new ones.
        group: [N], the name of each example's group (`Source.group`), null where it has none; None without groups.
        dropped: How many rows of the files that were read in memory lacked an input and were left out.
    """

    kind: Kind
    held: UInt8[Tensor, "N C H W"] | pa.Array | pa.Table | MappedInputs | ChainedInputs
    label: Int64[Tensor, "N"]
    class_names: tuple[str, ...]
    keys: pa.Array | None
    origin: str
    ids: np.ndarray
    image: ImageOptions = AS_THEY_ARE
    group: pa.Array | None = None
    dropped: int = 0

    def __post_init__(self) -> None:
        keys = self.ids if self.keys is None else self.keys
        assert len(self.held) == len(self.label) == len(self.ids) == len(keys)
        assert self.ids.dtype == content.ID

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def inputs(self) -> InMemory:
        """All inputs in memory. Inputs on disk are read completely; use `parts` for large data."""
        return self.held.read() if isinstance(self.held, MappedInputs | ChainedInputs) else self.held

    @property
    def mapped(self) -> MappedInputs | None:
        """The inputs if they are on disk, else None."""
        return self.held if isinstance(self.held, MappedInputs) else None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of images."""
        assert self.kind == "image"
        channels, height, width = (self.held.pixels if isinstance(self.held, MappedInputs) else self.inputs).shape[1:]
        return channels, height, width

    @property
    def column_names(self) -> list[str]:
        """The columns of a table."""
        return list(self.held.types if isinstance(self.held, MappedInputs) else self._table.column_names)

    def only(self, names: Sequence[str]) -> "Examples":
        """The same rows of a table with some of its columns; ids do not change."""
        held = self.held.only(list(names)) if isinstance(self.held, MappedInputs) else self._table.select(list(names))
        return replace(self, held=held)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column of a table."""
        return (self.only([name]) if self.mapped else self)._table.column(name)

    @property
    def _table(self) -> pa.Table:
        table = self.inputs
        assert isinstance(table, pa.Table)
        return table

    def parts(self, num_rows: int = 2**14) -> Iterator["Examples"]:
        """The examples in order: in parts of `num_rows` if they are on disk, in one part if they are in memory.

        Args:
            num_rows: Rows of each part but the last.
        """
        if not isinstance(self.held, MappedInputs):
            yield self
            return
        for number, start in enumerate(range(0, len(self), num_rows)):
            part = self.take(np.arange(start, min(start + num_rows, len(self))))
            yield replace(part, held=part.inputs)
            if number % 16 == 15:
                self.held.release()
        self.held.release()

    def in_memory(self) -> "Examples":
        """The same examples; inputs on disk are read."""
        return replace(self, held=self.inputs)

    def settled(self) -> "Examples":
        """The same examples; if they are on disk, they become all that the run uses of their file."""
        return replace(self, held=self.held.settled()) if isinstance(self.held, MappedInputs) else self

    def used(self, rows: slice) -> "Examples":
        """A slice of the rows that the run uses of a file on disk, in file order, read into memory, without labels.

        Args:
            rows: The slice, among all used rows.
        """
        assert isinstance(self.held, MappedInputs)
        some = replace(self.held, rows=np.arange(rows.start, rows.stop))
        unknown = torch.full((len(some),), UNKNOWN)
        return replace(self, held=some.read(), label=unknown, keys=None, group=None, ids=self.held.used_ids(rows))

    def take(self, rows: Tensor | NDArray[np.generic]) -> "Examples":
        """The examples at these rows, in this order; class names and ids do not change.

        Args:
            rows: [M] integers in 0..N-1, or [N] booleans.
        """
        picked = np.asarray(rows.cpu() if isinstance(rows, Tensor) else rows)
        if picked.dtype == bool:
            assert len(picked) == len(self)
            picked = np.flatnonzero(picked)
        picked = picked.astype(np.int64)
        index, held = torch.from_numpy(picked), self.held
        return replace(
            self,
            held=held[index]
            if isinstance(held, Tensor)
            else held.take(picked if isinstance(held, MappedInputs | ChainedInputs) else pa.array(picked)),
            label=self.label[index],
            keys=None if self.keys is None else self.keys.take(pa.array(picked)),
            group=None if self.group is None else self.group.take(pa.array(picked)),
            ids=self.ids[picked],
        )

    def digest(self) -> str:
        """Hash of this data set, in hex: of its kind and of its ids in order.

        Two sets have the same digest exactly when they hold the same content in the same order; labels do not count.
        """
        return content.digest(self.kind, self.ids)


def build(
    *,
    inputs: UInt8[Tensor, "N C H W"] | pa.Array | pa.Table,
    label: Int64[Tensor, "N"],
    class_names: tuple[str, ...],
    keys: pa.Array | None,
    origin: str,
) -> Examples:
    """Examples from checked inputs: the kind follows from their type, the ids from their content.

    Args:
        inputs: Images uint8 [N, C, H, W], texts as strings without nulls, or a table of numbers, booleans and strings.
        label: [N], index into `class_names`; -1 where unknown.
        class_names: One name per class.
        keys: [N] strings, or None.
        origin: Where these examples come from, for error messages.
    """
    kind: Kind
    if isinstance(inputs, Tensor):
        kind, ids = "image", content.image_ids(inputs)
    elif isinstance(inputs, pa.Table):
        kind, ids = "table", content.table_ids(inputs)
    else:
        kind, ids = "text", content.text_ids(inputs)
    return Examples(kind=kind, held=inputs, label=label, class_names=class_names, keys=keys, origin=origin, ids=ids)


def from_arrays(
    inputs: Any,
    label: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    keys: Array | None = None,
    origin: str = "array",
    missing: Literal["refuse", "allow"] = "refuse",
) -> Examples:
    """Examples from arrays, tensors, lists or data frames.

    Args:
        inputs: Images: uint8 [N, H, W], [N, H, W, C] or [N, C, H, W] with C 1 or 3; table: finite numbers [N, D]
            (columns f0 to f<D-1>), or a data frame of pandas, Polars or Arrow, whose columns may also hold categories,
            strings, booleans and dates (a pandas index is left out); text: N strings.
        label: [N] integers (indices into `class_names`, -1 where unknown), or [N] class names as strings; None where
            unknown.
        class_names: One name per class. Without them, integers 0..max are named by their digits and strings are
            sorted.
        keys: [N] own ids, strings or integers, unique.
        origin: Where these examples come from, for error messages.
        missing: Whether a table may have missing values.

    Example:
        >>> reviews = from_arrays(["good", "bad", "fine"], [1, 0, -1], class_names=["no", "yes"])
        >>> reviews.kind, reviews.class_names, reviews.label.tolist()
        ('text', ('no', 'yes'), [1, 0, -1])
        >>> from_arrays(torch.zeros(2, 28, 28, dtype=torch.uint8)).inputs.shape
        torch.Size([2, 1, 28, 28])

    Raises:
        InputError: If the inputs have another rank or type, a label is out of range, or lengths differ.
    """
    checked = _inputs(inputs, origin, missing)
    num_rows = len(checked)
    if num_rows == 0:
        raise InputError(f"{origin} has no rows; at least one is needed.")
    for word, values in (("labels", label), ("keys", keys)):
        if values is not None and len(values) != num_rows:
            raise InputError(f"{origin} has {num_rows} inputs but {len(values)} {word}; both must have one per row.")
    names = tuple(class_names or ())
    if len(set(names)) < len(names):
        raise InputError(f"{origin} has the class names {listed(names)}; each name may occur once.")
    indices, names = (torch.full((num_rows,), UNKNOWN), names) if label is None else array_labels(label, names, origin)
    frame = Frame(name=origin, table=pa.table({}), rows=np.arange(num_rows))
    return build(
        inputs=checked,
        label=indices,
        class_names=names,
        keys=None if keys is None else unique_keys(_key_column(keys, origin), frame, "keys"),
        origin=origin,
    )


def check_same_columns(parts: Sequence[Examples]) -> None:
    """Refuse tables of different columns.

    Raises:
        InputError: One has a column that the first has not, or lacks one.
    """
    first = parts[0]
    for part in parts:
        if odd := sorted(set(first.column_names) ^ set(part.column_names)):
            raise InputError(
                f"{part.origin} and {first.origin} do not have the same columns; {listed(odd)} are in only one of "
                f"them and must be in both{features_said([part.origin, first.origin], odd)}."
            )


def concatenate(parts: Sequence[Examples]) -> Examples:
    """All examples of the parts, in order.

    Parts without class names (no label known) get those of the others. The user's own ids are kept when every part
    has them. Table columns are matched by name, and number types are widened where the parts differ.

    Args:
        parts: At least one.

    Raises:
        InputError: If the parts differ in kind, class names, image shape or table columns.
    """
    assert len(parts) > 0
    first = parts[0]
    named = next((part for part in parts if part.class_names), first)
    for part in parts[1:]:
        if part.kind != first.kind:
            raise InputError(
                f"{part.origin} holds examples of kind {part.kind}, {first.origin} of kind {first.kind}; "
                f"only examples of one kind can be concatenated."
            )
    for part in parts:
        if part.class_names and part.class_names != named.class_names:
            raise InputError(
                f"{part.origin} has the classes {listed(part.class_names)}, {named.origin} has "
                f"{listed(named.class_names)}; align them first."
            )
    return Examples(
        kind=first.kind,
        held=_joined(parts),
        label=torch.cat([part.label for part in parts]),
        class_names=named.class_names,
        keys=None if any(part.keys is None for part in parts) else pa.concat_arrays([part.keys for part in parts]),
        origin=" + ".join(dict.fromkeys(part.origin for part in parts)),
        ids=np.concatenate([part.ids for part in parts]),
        image=first.image,
        group=None if any(part.group is None for part in parts) else pa.concat_arrays([part.group for part in parts]),
    )


def _inputs(inputs: Any, origin: str, missing: Missing) -> Tensor | pa.Array | pa.Table:
    if is_frame(inputs):
        return _table(table_of_frame(inputs, origin), origin, missing)
    array: np.ndarray
    if isinstance(inputs, Tensor):
        tensor = inputs.detach().cpu()
        array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    elif isinstance(inputs, np.ndarray):
        array = inputs
    elif isinstance(inputs, str):
        raise InputError(f"{origin} is one string; {_ALLOWED}.")
    elif isinstance(inputs, list | tuple) and inputs and isinstance(inputs[0], list | tuple | np.ndarray):
        try:
            array = np.asarray(inputs)
        except ValueError:
            raise InputError(f"{origin} is a list of lists of several lengths; {_ALLOWED}.") from None
    else:
        return _texts(inputs, origin)
    if array.ndim == 1 and array.dtype.kind in "UO":
        return _texts(array.tolist(), origin)
    if array.dtype == np.uint8 and array.ndim in (3, 4):
        return image_tensor(array, origin)
    if array.ndim == 2 and array.dtype.kind in "fiu" and array.dtype != np.uint8:
        wide = array.astype(np.float32) if array.dtype == np.float16 else array
        native = np.ascontiguousarray(wide.T, dtype=wide.dtype.newbyteorder("="))
        return _table(pa.table({f"f{column}": values for column, values in enumerate(native)}), origin, missing)
    raise InputError(f"{origin} is an array of type {array.dtype} and shape {array.shape}; {_ALLOWED}.")


def _texts(values: Any, origin: str) -> pa.Array:
    if hasattr(values, "tocsr"):
        raise InputError(f"{origin} is a sparse matrix; give {origin}.toarray(), or the texts that it was made from.")
    if isinstance(values, pa.Array | pa.ChunkedArray):
        values = values.to_pylist()
    for row, value in enumerate(values):
        if value is None or value != value:
            raise InputError(f"{origin} has no text in {at_row(row)}; leave the row out, or give an empty string.")
        if not isinstance(value, str):
            raise InputError(f"{origin} holds a {type(value).__name__} in {at_row(row)} of a list; {_ALLOWED}.")
    return pa.array(values, pa.large_string())


def _key_column(keys: Array, origin: str) -> pa.Array:
    try:
        return pa.array(list(keys))
    except pa.ArrowException:
        raise InputError(f"{origin} has keys of several types; all strings or all integers are allowed.") from None


def _table(table: pa.Table, origin: str, missing: Missing) -> pa.Table:
    frame = whole(origin, table)
    try:
        return features(frame, table.column_names, missing)[1]
    except InputError as error:
        # An array has no option of a file.
        sentence = str(error).replace("set `missing` to 'drop' or 'allow'", f"{_WITH_GAPS} of it")
        raise InputError(sentence.replace("(name others under `ignore`)", "(drop the column)")) from None


def _joined(parts: Sequence[Examples]) -> Tensor | pa.Array | pa.Table | ChainedInputs:
    first = parts[0]
    if any(isinstance(part.held, MappedInputs) for part in parts):
        return ChainedInputs(parts=tuple(part.held for part in parts), rows=np.arange(sum(len(part) for part in parts)))
    if first.kind == "text":
        return pa.concat_arrays([part.inputs for part in parts])
    if first.kind == "image":
        for part in parts:
            if part.inputs.shape[1:] != first.inputs.shape[1:]:
                raise InputError(
                    f"{part.origin} has images of shape {tuple(part.inputs.shape[1:])}, {first.origin} of "
                    f"{tuple(first.inputs.shape[1:])}; channels, height and width must agree."
                )
        return torch.cat([part.inputs for part in parts])
    check_same_columns(parts)
    tables: list[pa.Table] = [part.inputs for part in parts]
    columns = tables[0].column_names
    joined: dict[str, pa.ChunkedArray] = {}
    for name in columns:
        try:
            column = pa.concat_tables([table.select([name]) for table in tables], promote_options="permissive")
        except pa.ArrowException:
            kinds = sorted({str(table.schema.field(name).type) for table in tables})
            raise InputError(
                f"{', '.join(part.origin for part in parts)} hold column {name!r} as {listed(kinds)}; all must hold "
                f"numbers there, or all strings."
            ) from None
        joined[name] = column.column(0)
    return pa.table(joined)
