"""Several answers to one example, counted.

`soft`: the shares of the votes are the probabilities; two of three make 2/3. `majority`: the class with the most votes,
for certain; of several with as many the first in the order of the classes. `set`: the named classes are all that may
hold, each equally likely. `reliability`: every annotator a names the
true class with one probability r_a, and each other class equally often when wrong (Dawid and Skene with one parameter
an annotator); r_a and the true classes are estimated together, by EM, from the votes alone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from overproof.answers.formats import LIST_KINDS, classes_of
from overproof.errors import InputError

Vote = Literal["soft", "majority", "reliability", "set"]

MAX_ROUNDS, CLOSE = 500, 1e-8
"""EM stops after so many rounds, or when no reliability moves by more."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Votes:
    """Who named which class for which example; V votes in all.

    Args:
        ids: [N], each example once, in the order of their first votes.
        example: [V], in 0..N-1.
        annotator: [V], in 0..A-1.
        named: [V], the class, in 0..K-1.
        num_classes: K.
    """

    ids: pa.Array
    example: NDArray[np.int64]
    annotator: NDArray[np.int64]
    named: NDArray[np.int64]
    num_classes: int

    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Every (example, class) with a vote, once, by example and class: examples [P], classes [P], and for each vote
        which pair it is [V]."""
        code, pair = np.unique(self.example * self.num_classes + self.named, return_inverse=True)
        return code // self.num_classes, code % self.num_classes, pair


def has_votes(table: pa.Table) -> bool:
    """Whether a file of answers holds several for one example: `labels`, or `label` with `annotator`."""
    names = set(table.column_names)
    richer = {"probs", "logprobs", "top_classes"} & names
    return not richer and ("labels" in names or {"label", "annotator"} <= names)


def counted(
    path: Path, table: pa.Table, ids: pa.Array, class_names: tuple[str, ...], vote: Vote, *, id_column: str = "id"
) -> pa.Table:
    """A file of votes as one of answers: `id`, `top_classes` and `top_probs`, one row an example.

    Args:
        path: The file, for errors.
        table: Its content.
        ids: The id of each of its rows, as text.
        class_names: K names, in order.
        vote: How votes are counted.
        id_column: What to call the ids.

    Raises:
        InputError: An example without a vote, a name that is no class, or an annotator who votes twice.
    """
    votes = votes_in(path, table, ids, class_names)
    example, named, pair = votes.pairs()
    if vote == "reliability":
        probs = posterior(votes, reliability(votes))
    else:
        counts = np.bincount(pair).astype(np.float64)
        # Of a set each class counts once, however many annotators name it.
        counts = np.ones_like(counts) if vote == "set" else counts
        total = np.bincount(example, counts)
        probs = counts / total[example]
        if vote == "majority":
            first = np.unique(example, return_index=True)[1]
            most = np.maximum.reduceat(counts, first)[example] == counts
            # Pairs are in the order of the classes: the first with the most votes is the lowest class.
            winner = np.flatnonzero(most)[np.unique(example[most], return_index=True)[1]]
            probs = np.zeros_like(probs)
            probs[winner] = 1
    offsets = np.concatenate([[0], np.bincount(example).cumsum()]).astype(np.int32)
    names = pa.array(class_names, pa.string()).take(pa.array(named))
    return pa.table(
        {
            id_column: votes.ids,
            "top_classes": pa.ListArray.from_arrays(pa.array(offsets), names),
            "top_probs": pa.ListArray.from_arrays(pa.array(offsets), pa.array(probs)),
        }
    )


def votes_in(path: Path, table: pa.Table, ids: pa.Array, class_names: tuple[str, ...]) -> Votes:
    """The votes of a file, in either of its two forms.

    Args:
        path: The file, for errors.
        table: Its content.
        ids: The id of each of its rows, as text.
        class_names: K names, in order.

    Raises:
        InputError: As `counted`.
    """
    names = pa.array(class_names, pa.large_string())
    everyone = np.arange(len(table))
    if "labels" in table.column_names:
        column = table.column("labels").combine_chunks()
        if not any(kind(column.type) for kind in LIST_KINDS):
            raise InputError(f"{path}: column 'labels' holds {column.type}; it must hold a list in every row.")
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64)
        owner = np.repeat(everyone, lengths)
        start = np.repeat(np.cumsum(lengths) - lengths, lengths)
        given = pc.list_flatten(column)
        # The n-th of a list is the n-th annotator's; null is a vote for no class.
        cast = given.is_valid().to_numpy(zero_copy_only=False)
        annotator = (np.arange(len(owner)) - start)[cast]
        owner = owner[cast]
        if (silent := np.bincount(owner, minlength=len(table)) == 0).any():
            row = int(np.argmax(silent))
            raise InputError(f"{path}, row {row} (counted from 0): labels names no class; every example needs a vote.")
        return Votes(
            ids=ids,
            example=owner,
            annotator=annotator,
            named=classes_of(path, given.filter(pa.array(cast)), owner, names),
            num_classes=len(names),
        )
    named = classes_of(path, table.column("label"), everyone, names)
    encoded, who = ids.dictionary_encode(), _text(table.column("annotator"))
    if who.null_count:
        row = int(np.argmax(who.is_null().to_numpy(zero_copy_only=False)))
        raise InputError(f"{path}, row {row} (counted from 0): it has no annotator; every row needs one.")
    example, annotator = (each.indices.to_numpy().astype(np.int64) for each in (encoded, who.dictionary_encode()))
    code = example * (annotator.max(initial=0) + 1) + annotator
    first = np.unique(code, return_index=True)[1]
    if len(first) < len(code):
        row = int(np.setdiff1d(everyone, first)[0])
        raise InputError(
            f"{path}, row {row} (counted from 0): annotator {who[row].as_py()!r} answers "
            f"{ids[row].as_py()!r} twice; once each is allowed."
        )
    return Votes(ids=encoded.dictionary, example=example, annotator=annotator, named=named, num_classes=len(names))


def _text(column: pa.ChunkedArray) -> pa.Array:
    text = pc.cast(column, pa.large_string()).combine_chunks()
    return text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text


def posterior(votes: Votes, right: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(the class is the true one | the votes) of every pair of example and class with a vote, [P].

    Args:
        votes: All of them.
        right: [A], how often each annotator names the true class, in (0, 1).

    Example:
        Two annotators who are right three times in four disagree: each other class of three is a quarter as likely.

        >>> two = Votes(ids=pa.array(["a"]), example=np.array([0, 0]), annotator=np.array([0, 1]),
        ...             named=np.array([0, 2]), num_classes=3)
        >>> posterior(two, np.array([0.75, 0.75])).round(4).tolist()
        [0.4615, 0.4615]
    """
    example, _, pair = votes.pairs()
    # Of a class without votes the likelihood is the product of (1 - r) / (K - 1): all are compared with that.
    lift = np.log(right * (votes.num_classes - 1) / (1 - right))
    logit = np.bincount(pair, lift[votes.annotator], minlength=len(example))
    first = np.unique(example, return_index=True)[1]
    top = np.maximum(np.maximum.reduceat(logit, first), 0)
    mass = np.exp(logit - top[example])
    silent = (votes.num_classes - np.bincount(example)) * np.exp(-top)
    return mass / (np.add.reduceat(mass, first) + silent)[example]


def reliability(votes: Votes) -> NDArray[np.float64]:
    """How often each annotator names the true class, [A], by EM from the votes alone, starting from the shares.

    One imaginary right and one wrong vote keep an annotator of few votes from certainty.

    Source: Dawid and Skene (1979), Applied Statistics 28, with one parameter an annotator and even class shares.
    """
    example, _, pair = votes.pairs()
    counts = np.bincount(pair).astype(np.float64)
    probs = counts / np.bincount(example, counts)[example]
    num = np.bincount(votes.annotator)
    right = np.zeros(len(num))
    for _ in range(MAX_ROUNDS):
        before = right
        # A vote never lowers the probability of its class: a reliability below chance counts as chance.
        right = np.maximum((np.bincount(votes.annotator, probs[pair]) + 1) / (num + 2), 1 / votes.num_classes)
        if np.abs(right - before).max() <= CLOSE:
            break
        probs = posterior(votes, right)
    return right


def agreement(votes: Votes) -> tuple[float, float]:
    """Mean number of votes an example, and the share of examples on which all votes agree.

    Example:
        >>> three = Votes(ids=pa.array(["a", "b"]), example=np.array([0, 0, 1]), annotator=np.array([0, 1, 0]),
        ...               named=np.array([1, 1, 0]), num_classes=2)
        >>> agreement(three)
        (1.5, 1.0)
    """
    example, _, _ = votes.pairs()
    return len(votes.named) / len(votes.ids), float((np.bincount(example) == 1).mean())
