"""The labels of a file of answers as names of classes: single ones, lists of them, and lists in one cell."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from overproof.answers.cells import classes_in_cells
from overproof.answers.formats import LIST_KINDS
from overproof.answers.votes import Vote
from overproof.answers.words import counted_words, first_of, ranked, readings
from overproof.data.wording import counted

_LISTED: Mapping[Vote, str] = {
    "set": "as the set of classes that may hold (`teacher.vote: set`)",
    "soft": "as votes that share the probability (`teacher.vote: soft`); for all classes that may hold write "
    "`vote: set`",
    "majority": "as votes of which the class with the most counts, of equals the first (`teacher.vote: majority`); for "
    "all classes that may hold write `vote: set`",
    "reliability": "as votes of annotators in this order (`teacher.vote: reliability`); for all classes that may hold "
    "write `vote: set`",
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Spelling:
    """How the words of a file of answers are read.

    Args:
        words: [N], where a row names no class what it names instead, "" for nothing; null where it names one. None for
            a file whose rows name no classes, or one vote each.
        taken: How many words are read as a class of another spelling, by (word, class).
        cast_out: How many votes that name no class are left out, by word.
        cells: How many cells list several classes, by cell.
    """

    words: pa.Array | None = None
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)
    cast_out: Counter[str] = field(default_factory=Counter)
    cells: Counter[str] = field(default_factory=Counter)

    def sentences(self, name: str, vote: Vote = "soft") -> list[str]:
        """What is to be known of a file.

        Args:
            name: What to call it.
            vote: How several answers are combined.
        """
        found = []
        if self.cells:
            found.append(
                f"{name}: {counted(self.cells.total(), 'answer lists', 'answers list')} several classes in one cell "
                f"and {'is' if self.cells.total() == 1 else 'are'} read {_LISTED[vote]}: {counted_words(self.cells)}."
            )
        if self.taken:
            listed = first_of(f"{word!r} as {each!r} ({num})" for (word, each), num in ranked(self.taken))
            found.append(
                f"{name}: {counted(self.taken.total(), 'answer spells', 'answers spell')} a class otherwise "
                f"and {'is' if self.taken.total() == 1 else 'are'} read as it: {listed}."
            )
        if self.cast_out:
            listed = counted_words(self.cast_out)
            found.append(
                f"{name}: {counted(self.cast_out.total(), 'vote names', 'votes name')} no class and "
                f"{'is' if self.cast_out.total() == 1 else 'are'} left out: {listed}."
            )
        return found


def spelled(table: pa.Table, class_names: tuple[str, ...], aliases: Mapping[str, str]) -> tuple[pa.Table, Spelling]:
    """A canonical table whose labels are class names, null where a row names none; votes that name none are left out.

    A cell that lists several classes makes `labels` of the column `label`. In lists a vote that names no class is null,
    so that the n-th vote of a list remains the n-th annotator's.

    Args:
        table: As `overproof.answers.shapes.canonical` makes it.
        class_names: K names; without any nothing is changed.
        aliases: Classes by the words that mean them.

    Raises:
        InputError: An alias means no class.
    """
    columns = set(table.column_names)
    # Aliases are checked in every file.
    readings((), class_names or tuple(aliases.values()), aliases)
    if not class_names or {"probs", "logprobs"} & columns or set(class_names) <= columns:
        return table, Spelling()
    if "top_classes" in columns:
        return _lists_spelled(table, "top_classes", class_names, aliases)
    if "labels" in columns:
        return _lists_spelled(table, "labels", class_names, aliases)
    if "label" not in columns or pa.types.is_nested(table.schema.field("label").type):
        return table, Spelling()
    given = pc.fill_null(table.column("label").cast(pa.large_string()), "")
    given = given.combine_chunks() if isinstance(given, pa.ChunkedArray) else given
    counts = {each["values"]: each["counts"] for each in pc.value_counts(given).to_pylist()}
    found, none = readings(list(counts), class_names, aliases)
    single = bool({"annotator", "confidence", "logprob"} & columns)
    cells = {} if single else classes_in_cells([word for word in counts if word in none], class_names, aliases)
    cells = {word: names for word, names in cells.items() if any(names)}
    if any(len([name for name in names if name]) > 1 for names in cells.values()):
        return _opened(table, given, counts, {**{word: (name,) for word, name in found.items()}, **cells})
    found |= {word: next(name for name in names if name) for word, names in cells.items()}
    none -= set(cells)
    taken = Counter({(word, name): counts[word] for word, name in found.items() if word != name})
    if not taken and not none:
        return table, Spelling(words=None if "annotator" in columns else pa.nulls(len(table), pa.large_string()))
    names = pa.array([found.get(word) for word in counts], pa.large_string())
    label = names.take(pc.index_in(given, value_set=pa.array(list(counts), pa.large_string())))
    table = table.set_column(table.column_names.index("label"), "label", label)
    if "annotator" in columns:
        cast_out = Counter({word: counts[word] for word in none})
        return table.filter(pc.is_valid(label)), Spelling(taken=taken, cast_out=cast_out)
    words = pc.if_else(pc.is_null(label), given, pa.scalar(None, pa.large_string()))
    return table, Spelling(words=words, taken=taken)


def _opened(
    table: pa.Table, given: pa.Array, counts: Mapping[str, int], lists: Mapping[str, tuple[str | None, ...]]
) -> tuple[pa.Table, Spelling]:
    """`label` as `labels`: the classes that each cell lists."""
    texts = list(counts)
    of_text = pa.array([list(lists.get(word, ())) for word in texts], pa.list_(pa.large_string()))
    place = pc.index_in(given, value_set=pa.array(texts, pa.large_string()))
    labels = of_text.take(place)
    words = pc.if_else(pc.equal(pc.list_value_length(labels), 0), given, pa.scalar(None, pa.large_string()))
    several = {word for word, names in lists.items() if len(names) > 1}
    return table.drop_columns(["label"]).append_column("labels", labels), Spelling(
        words=words,
        taken=Counter({(word, names[0]): counts[word] for word, names in lists.items() if names and names[0] != word
                       and word not in several and names[0] is not None}),
        cells=Counter({word: counts[word] for word in several}),
    )  # fmt: skip


def _lists_spelled(
    table: pa.Table, column: str, class_names: tuple[str, ...], aliases: Mapping[str, str]
) -> tuple[pa.Table, Spelling]:
    """Lists of names as lists of classes; of votes (`labels`) null where a name is none."""
    kind = table.schema.field(column).type
    if not any(check(kind) for check in LIST_KINDS) or pa.types.is_nested(kind.value_type):
        return table, Spelling()
    lists = table.column(column).combine_chunks()
    given = pc.fill_null(pc.list_flatten(lists).cast(pa.large_string()), "")
    counts = {each["values"]: each["counts"] for each in pc.value_counts(given).to_pylist()}
    found, none = readings(list(counts), class_names, aliases)
    taken = Counter({(word, name): counts[word] for word, name in found.items() if word != name})
    votes = column == "labels"
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
    if taken or (votes and none):
        names = pa.array([found.get(word, None if votes else word) for word in counts], pa.large_string())
        flat = names.take(pc.index_in(given, value_set=pa.array(list(counts), pa.large_string())))
        lists = _listed(lengths, flat)
        table = table.set_column(table.column_names.index(column), column, lists)
    if not votes:
        # What is no class there is refused where it is read: its probability cannot be left out.
        return table, Spelling(taken=taken)
    named = np.zeros(len(lists), np.int64)
    valid = pc.list_flatten(lists).is_valid().to_numpy(zero_copy_only=False)
    np.add.at(named, np.repeat(np.arange(len(lists)), lengths), valid)
    empty = np.flatnonzero(named == 0)
    before = _listed(lengths, given)
    words = np.full(len(lists), None, object)
    words[empty] = [", ".join(each) for each in before.take(pa.array(empty)).to_pylist()]
    whole = np.isin(np.repeat(np.arange(len(lists)), lengths), empty)
    # The words of a row without any class are counted as its own.
    cast_out = Counter(given.filter(pa.array(~valid & ~whole)).to_pylist())
    return table, Spelling(words=pa.array(words, pa.large_string()), taken=taken, cast_out=cast_out)


def _listed(lengths: np.ndarray, values: pa.Array) -> pa.Array:
    return pa.LargeListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(lengths)])), values)
