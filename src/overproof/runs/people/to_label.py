"""The file of rows that people label: written with an empty column `label`, read back with their classes."""

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Int64
from torch import Tensor

from overproof.answers import names
from overproof.answers.tables import read_table
from overproof.answers.words import counted_words, readings
from overproof.data import Examples
from overproof.data.wording import counted, listed
from overproof.errors import InputError
from overproof.seeds import derived_seed
from overproof.storage.atomic import check_output, write_bytes
from overproof.storage.id_index import IdIndex
from overproof.storage.one_writer import writing_file
from overproof.storage.shard import Ids

CONTENT, LABEL, PURPOSE, INCLUSION = "content", "label", "purpose", "inclusion"
"""The columns by which rows are found again, for the labels of people, for what the rows were chosen for, and for the
probability with which they were drawn."""
VERDICT = "verdict "
"""How the purpose of rows begins on which two students disagree; their names follow, with a comma between."""
RANDOM = "random"
"""The purpose of a simple random sample of the pool."""

_OURS = frozenset((CONTENT, "id", LABEL, PURPOSE, INCLUSION, "by", "probability", names.INCLUSION, names.DRAWN))


def shuffled(rows: Int64[Tensor, "N"], seed: int, *words: str) -> Int64[Tensor, "N"]:
    """The rows in random order: the first n of them are a random sample.

    Args:
        rows: [N].
        seed: Of the run.
        words: What the rows are drawn for.
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, *words))
    return rows[torch.randperm(len(rows), generator=generator)]


def columns_to_show(examples: Examples) -> dict[str, pa.Array | pa.ChunkedArray]:
    """Examples as columns for people: `content`, `id` where the data have one, and the inputs.

    A column of a table that has the name of one of ours gets `input.` before it.

    Raises:
        InputError: Images without ids, which nobody could find again.
    """
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        CONTENT: pa.array([each.hex() for each in examples.ids.tolist()], pa.string())
    }
    if examples.keys is not None:
        columns["id"] = examples.keys
    if examples.kind == "image":
        if examples.keys is None:
            raise InputError(
                f"{examples.origin}: the images have no ids by which people could find them; name their id column in "
                f"'data.files', as `id: path`."
            )
    elif examples.kind == "text":
        columns["text"] = examples.inputs
    else:
        table = examples.inputs
        assert isinstance(table, pa.Table)
        columns |= {f"input.{each}" if each in _OURS else each: table.column(each) for each in table.column_names}
    return columns


def table_to_label(examples: Examples, purpose: str) -> pa.Table:
    """Examples with an empty `label`, and without what a model predicts, so that nobody is led by it.

    Args:
        examples: The rows in the order in which they are to be labelled.
        purpose: What they were chosen for; it is a column too.

    Raises:
        InputError: Images without ids.
    """
    ours = {LABEL: "", PURPOSE: purpose}
    more = {name: pa.array([value] * len(examples), pa.string()) for name, value in ours.items()}
    return pa.table({**columns_to_show(examples), **more})


def check_to_label(file: Path, *, option: str = "--out") -> None:
    """Refuse a file that is no CSV or that exists, and may hold labels.

    Raises:
        InputError: It is one of these.
    """
    if file.suffix != ".csv":
        raise InputError(f"{option} {str(file)!r} must end in .csv, not {file.suffix!r}.")
    check_output(file, folder=False)
    if file.exists():
        raise InputError(f"{file} exists, and may hold labels; name another file in {option}.")


def write_to_label(table: pa.Table, file: Path) -> None:
    """Write rows to be labelled as CSV, atomically; never over a file that is there.

    Raises:
        InputError: The file's name does not fit, or it exists.
    """
    check_to_label(file)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    with writing_file(file):
        write_bytes(file, text.getvalue().encode())


def read_labels(file: Path) -> dict[str, str]:
    """The labels of a file that `write_to_label` wrote and people filled in: the class by content.

    Args:
        file: CSV, TSV, JSON lines, Parquet or Arrow with the columns `content` and `label`.

    Raises:
        InputError: A column is missing, or one content has two labels.
    """
    table = read_table(file, CONTENT)
    if missing := [each for each in (CONTENT, LABEL) if each not in table.column_names]:
        raise InputError(
            f"{file} has no column {missing[0]!r}, only {listed(table.column_names)}; give the file that `overproof "
            f"next` or `overproof disagreements` wrote, saved as CSV with commas, with the class in its column "
            f"`{LABEL}`."
        )
    labels: dict[str, str] = {}
    for content, label in zip(*(table.column(each).to_pylist() for each in (CONTENT, LABEL)), strict=True):
        name = "" if label is None else str(label).strip()
        if labels.get(content, name) != name:
            raise InputError(f"{file} has two labels for {content}: {labels[content]!r} and {name!r}; leave one.")
        labels[content] = name
    return labels


def purposes_of(file: Path) -> set[str]:
    """What the rows of a file were chosen for; empty where it does not say.

    Args:
        file: As of `read_labels`.
    """
    table = read_table(file, CONTENT)
    words = table.column(PURPOSE).to_pylist() if PURPOSE in table.column_names else []
    return {str(each) for each in words if each is not None}


def check_pair(file: Path, names: tuple[str, str] | None) -> None:
    """Check that rows that were drawn for the verdict between two rows of the table are used for these.

    Args:
        file: As of `read_labels`.
        names: The two that are compared; None where accuracies are estimated.

    Raises:
        InputError: They were drawn for two others.
    """
    drawn = [each.removeprefix(VERDICT) for each in sorted(purposes_of(file)) if each.startswith(VERDICT)]
    if other := [each for each in drawn if names is None or set(each.split(",")) != set(names)]:
        raise InputError(
            f"{file} holds rows on which {other[0].replace(',', ' and ')} disagree, drawn for the verdict on them, "
            f"and no sample for {'accuracies' if names is None else ' and '.join(names)}; write --between {other[0]}."
        )


def read_inclusion(file: Path) -> dict[str, float]:
    """The probability with which each row was drawn, by content; empty where the file has none.

    Args:
        file: As of `read_labels`.

    Raises:
        InputError: A value that is no probability.
    """
    table = read_table(file, CONTENT)
    if INCLUSION not in table.column_names or CONTENT not in table.column_names:
        return {}
    found = dict[str, float]()
    for content, value in zip(*(table.column(each).to_pylist() for each in (CONTENT, INCLUSION)), strict=True):
        try:
            found[content] = float(value)
        except (TypeError, ValueError):
            found[content] = math.nan
        if not 0 < found[content] <= 1:
            raise InputError(
                f"{file}: column {INCLUSION!r} holds {value!r} for {content}; it is the probability with which "
                f"`overproof next` drew the row, and must stay as it was written."
            )
    return found


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Labelled:
    """The labels of people for rows that were drawn in random order.

    Args:
        place: [n], ascending, where in that order the labelled rows are.
        label: [n], the index of their class.
        reading: A sentence on labels that spell a class otherwise; empty without any.
    """

    place: Int64[Tensor, "n"]
    label: Int64[Tensor, "n"]
    reading: str = ""

    @property
    def num_left_out(self) -> int:
        """How many rows without a label stand before a labelled one."""
        return int(self.place[-1]) + 1 - len(self.place)


def ids_of(contents: Iterable[str]) -> Ids:
    """[n], the content ids of words in hex, as files for people have them; zeros for a word that is none.

    Args:
        contents: n words.

    Example:
        >>> ids_of(["00" * 15 + "07", "seven"]).tolist() == [b"\\0" * 15 + b"\\7", b"\\0" * 16]
        True
    """

    def id_of(word: str) -> bytes:
        try:
            found = bytes.fromhex(word)
        except (TypeError, ValueError):
            return bytes(16)
        return found if len(found) == 16 else bytes(16)

    return np.frombuffer(b"".join(map(id_of, contents)), "V16")


def as_classes(
    labels: Mapping[str, str], class_names: Sequence[str], what: str, aliases: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """People's labels as names of classes: case, blanks, and quotes and full stops around a name do not matter.

    Args:
        labels: What people wrote, by content; an empty one is not labelled yet.
        class_names: K names.
        what: Where the labels are, for the error message.
        aliases: Classes by the words that mean them (`overproof.runs.experiment.Experiment.aliases`).

    Returns:
        The same labels, and a sentence on those that were spelled otherwise; empty without any.

    Raises:
        InputError: A label is no class.

    Example:
        >>> as_classes({"a": "Billing.", "b": "login", "c": ""}, ["billing", "login"], "column `label`", {})
        ({'a': 'billing', 'b': 'login', 'c': ''}, "1 label spells a class otherwise and is read as it: 'Billing.' (1).")
    """
    meant, none = readings(sorted({name for name in labels.values() if name}), class_names, aliases)
    if none:
        raise InputError(
            f"{listed(sorted(none))} {'are' if len(none) > 1 else 'is'} no class, in {what}; the classes are "
            f"{listed(list(class_names))}."
        )
    taken = Counter(name for name in labels.values() if name and meant[name] != name)
    num, many = taken.total(), taken.total() > 1
    said = f"{num} label{'s spell' if many else ' spells'} a class otherwise and {'are' if many else 'is'} read as it"
    return {key: meant.get(name, "") for key, name in labels.items()}, f"{said}: {counted_words(taken)}." if num else ""


def labels_of(
    drawn: Int64[Tensor, "D"],
    pool: Examples,
    labels: Mapping[str, str],
    *,
    what: str,
    aliases: Mapping[str, str],
) -> Labelled:
    """The labels of people for the rows they were asked for.

    Args:
        drawn: [D], rows of the pool in the order in which they were asked for.
        pool: N examples.
        labels: The name of the class by content; an empty one is not labelled yet.
        what: What the rows are, for errors: `are no ...`.
        aliases: As of `as_classes`.

    Raises:
        InputError: A content that was not asked for, a name that is no class, or no label at all.
    """
    names = {name: number for number, name in enumerate(pool.class_names)}
    row, there = IdIndex(pool.ids[drawn.numpy()]).find(ids_of(labels))
    if not there.all():
        unknown = list(labels)[int(there.argmin())]
        raise InputError(
            f"{int((~there).sum())} of {counted(len(labels), 'row')} {what}, the first of them {unknown!r}."
        )
    named, reading = as_classes(labels, pool.class_names, f"column `{LABEL}`", aliases)
    known = {place: name for place, name in zip(row.tolist(), named.values(), strict=True) if name}
    if not known:
        raise InputError(
            f"None of {counted(len(labels), 'row')} has a label yet; write the class into the column `{LABEL}`."
        )
    places = np.array(sorted(known))
    return Labelled(
        place=torch.from_numpy(places),
        label=torch.tensor([names[known[each]] for each in places.tolist()]),
        reading=reading,
    )
