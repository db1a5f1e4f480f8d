"""Labels that people gave to a random sample of the pool become labels of the next run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from overproof.data import Examples, concatenate
from overproof.data.columns import UNKNOWN
from overproof.data.labels import renamed
from overproof.data.wording import at_row, counted, listed
from overproof.errors import InputError
from overproof.runs.people.to_label import RANDOM, as_classes, ids_of, purposes_of, read_labels
from overproof.storage.id_index import IdIndex

OPTION = "data.labels"


def with_added_labels(
    sets: Mapping[str, Examples], paths: Sequence[str], rows: Mapping[Any, int | str], aliases: Mapping[str, str]
) -> tuple[dict[str, Examples], list[str]]:
    """The examples of an experiment with labels from other files.

    An example is found by its content. Where labelled and pool examples are drawn from one file, its label is filled
    in; an example of a pool with a file of its own becomes a labelled one.

    Args:
        sets: Examples by file role, as they were read.
        paths: Files that `overproof next --purpose random` wrote and people filled in.
        rows: `data.rows`.
        aliases: Classes by the words that mean them (`overproof.runs.experiment.Experiment.aliases`).

    Returns:
        The examples, and a remark on how many labels were taken.

    Raises:
        InputError: A file holds no random sample, a content that is in none of the files, a name that is no class, or
            another label than a file has; or a number in `data.rows.labelled` would leave some of the labels out.
    """
    labels, num_empty, said = dict[str, str](), 0, list[str]()
    known = {name for each in sets.values() for name in each.class_names}
    for path in paths:
        if (purposes := purposes_of(Path(path))) != {RANDOM}:
            other = listed(sorted(purposes - {RANDOM}))
            raise InputError(
                f"{path} holds rows that were chosen for {other or 'a purpose that no column `purpose` says'}, and no "
                f"random sample: estimated from them, the teacher would look worse or better than it is; use it with "
                f"`overproof evaluate --labels`, and give '{OPTION}' files of `overproof next --purpose random`."
            )
        given, reading = as_classes(read_labels(Path(path)), sorted(known), str(path), aliases)
        said += [f"{path}: {reading}"] if reading else []
        for content, name in given.items():
            num_empty += not name
            if name and labels.setdefault(content, name) != name:
                raise InputError(
                    f"{path} says {name!r} of the content {content}, and another file of '{OPTION}' says "
                    f"{labels[content]!r}; leave one of them out."
                )
    if not labels:
        raise InputError(f"'{OPTION}': {listed(paths)} holds no label yet.")
    target = "labelled" if "labelled" in sets else "all"
    if target not in sets or rows.get("labelled") == 0:
        raise InputError(
            f"Option '{OPTION}' needs labelled examples, from a file of their own or from 'data.files.all'."
        )
    if rows.get("labelled", "all") != "all":
        instead = "leave it out" if target == "labelled" else "write `labelled: all`"
        raise InputError(
            f"Option 'data.rows.labelled' is {rows['labelled']}, and would leave some labels of '{OPTION}' "
            f"out; {instead}."
        )
    found, places, met = dict(sets), dict[str, np.ndarray](), np.zeros(len(labels), bool)
    index, given_names = IdIndex(ids_of(labels)), list(labels.values())
    for role in ("all", "labelled", "pool"):
        if role in sets:
            number, hit = index.find(sets[role].ids)
            places[role], number = np.flatnonzero(hit), number[hit]
            met[number] = True
            found[role] = _labelled(sets[role], places[role], [given_names[each] for each in number.tolist()])
    if not met.all():
        raise InputError(
            f"{listed(paths)}: {int((~met).sum())} of {counted(len(labels), 'row')} "
            f"{'is' if (~met).sum() == 1 else 'are'} in none of the files of examples, the "
            f"first of them {list(labels)[int(met.argmin())]!r}; was the sample drawn from a run on other data?"
        )
    if "pool" in sets:
        moved = found["pool"].take(places["pool"])
        names = _with_names(found[target].class_names, moved.class_names)
        parts = [_renamed(each, names) for each in (found[target], moved)]
        found[target] = replace(concatenate(parts), origin=f"{sets[target].origin} and {listed(paths)}")
        found["pool"] = sets["pool"].take(np.setdiff1d(np.arange(len(sets["pool"])), places["pool"]))
    left_out = (
        f"; {counted(num_empty, 'row has none, and was', 'rows have none, and were')} left out" if num_empty else ""
    )
    added = f"labels of people for {counted(len(labels), 'example')}, added to the labelled ones"
    return found, [f"{listed(paths)}: {added}{left_out}.", *said]


def _labelled(examples: Examples, places: np.ndarray, words: Sequence[str]) -> Examples:
    """Examples with the labels `words` at these places."""
    after = _renamed(examples, _with_names(examples.class_names, sorted(set(words))))
    label = after.label.clone()
    for place, word in zip(places.tolist(), words, strict=True):
        wanted, had = after.class_names.index(word), int(label[place])
        if had not in (UNKNOWN, wanted):
            raise InputError(
                f"{examples.origin}, {at_row(place)}: the label is {after.class_names[had]!r}, and '{OPTION}' says "
                f"{word!r} of the same content; correct one of them."
            )
        label[place] = wanted
    return replace(after, label=label)


def _renamed(examples: Examples, names: tuple[str, ...]) -> Examples:
    return replace(examples, label=renamed(examples.label, examples.class_names, names), class_names=names)


def _with_names(own: tuple[str, ...], more: Sequence[str]) -> tuple[str, ...]:
    """Class names with some more, in order where the own ones are."""
    names = [*own, *(name for name in more if name not in own)]
    return tuple(sorted(names) if list(own) == sorted(own) else names)
