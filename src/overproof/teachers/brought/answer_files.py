"""Teacher answers from files, for every role of a run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa

from overproof.answers.files import AnswerFrom, ParsedFiles, Vote, in_list_order, read_answers
from overproof.answers.order import check_order
from overproof.answers.predictions import Answers
from overproof.answers.unanswered import Lacking, Unanswered, lacking
from overproof.data import Examples
from overproof.storage.shard import Ids
from overproof.teachers.brought.same_texts import check_texts
from overproof.teachers.kind import Named, TeacherKind

ENOUGH_OF_TEST = 0.9
"""A teacher is judged on a test of which its files answer this share."""


def from_files(
    paths: Sequence[str],
    parties: Mapping[str, Examples],
    class_names: tuple[str, ...],
    *,
    classes: Sequence[str] = (),
    vote: Vote = "soft",
    answer_from: AnswerFrom = "",
    unanswered: Unanswered = "refuse",
    any_test: bool = False,
    parsed: ParsedFiles | None = None,
) -> dict[str, Answers]:
    """Answers by role from files, joined by the id column of the data (or by content id).

    Each file may answer a part of the examples. The test needs no answers: it is left out if too few of its examples
    have one (`judged_on`), and the others have no answer (`Answers.without`).

    Args:
        paths: The files.
        parties: Examples by role.
        class_names: The run's, in order.
        classes: The order of the files' lists of probabilities, where it is another.
        vote: How several answers to one example are combined.
        answer_from: Which of a label and probabilities beside it is the answer.
        unanswered: What happens to examples without an answer: those that stay have none (`Answers.without`), and of
            those to be dropped only labelled ones are left, which keep their label.
        any_test: Whether the test is answered however few of its examples have an answer.
        parsed: Cache of the files' content.

    Raises:
        InputError: A file does not fit, an example has no answer, or lists of probabilities are in another order of
            the classes than they are read in.
    """
    files = parsed or ParsedFiles()
    if "test" in parties and not any_test:
        lacks = lacking(paths, joined_by(parties["test"]), class_names, parsed=files)
        parties = {role: examples for role, examples in parties.items() if role != "test" or judged_on(lacks)}
    check_texts(paths, parties, class_names, files)
    answers = {
        role: read_answers(
            paths,
            joined_by(examples),
            class_names,
            classes=tuple(classes),
            vote=vote,
            source=examples.origin,
            answer_from=answer_from,
            unanswered=_without_answer(role, unanswered),
            parsed=files,
            # Joined by the user's ids, but known by content: copies of an example count once and stay in one fold.
        ).identified(examples.ids)
        for role, examples in parties.items()
    }
    if answer_from != "label" and any(in_list_order(path, class_names, parsed=files) for path in paths):
        check_roles(answers, parties, class_names, classes or class_names, " and ".join(map(str, paths)))
    return answers


def _without_answer(role: str, unanswered: Unanswered) -> Literal["refuse", "none"]:
    # Of examples to be dropped only labelled ones are left.
    left = role == "test" or unanswered == "uniform" or (role == "labelled" and unanswered == "drop")
    return "none" if left else "refuse"


def judged_on(lacks: Lacking) -> bool:
    """Whether enough of a test is answered for a teacher to be judged on it: `ENOUGH_OF_TEST`.

    Args:
        lacks: The examples of the test without an answer.
    """
    return enough_answered(len(lacks.mask) - lacks.num, len(lacks.mask))


def enough_answered(num_answered: int, num: int) -> bool:
    """Whether a teacher is judged on examples of which it answers so many: `ENOUGH_OF_TEST` of them.

    Args:
        num_answered: How many it answers.
        num: Of how many.
    """
    return num_answered >= ENOUGH_OF_TEST * num


def joined_by(examples: Examples) -> pa.Array | Ids:
    """What examples are looked up by in files of answers: the user's own ids, or without any the content ids."""
    return examples.ids if examples.keys is None else examples.keys


def check_roles(
    answers: Mapping[str, Answers],
    parties: Mapping[str, Examples],
    class_names: Sequence[str],
    classes: Sequence[str],
    who: str,
) -> None:
    """`overproof.answers.order.check_order` on the roles whose labels a run may read before its test is opened.

    Args:
        answers: By role.
        parties: Examples by role.
        class_names: The run's, in order.
        classes: The same in the order in which probabilities were read.
        who: What they come from, for the error message.

    Raises:
        InputError: They are in another order.
    """
    known = [role for role in ("labelled", "validation") if role in answers]
    there = {role: answers[role].names_class for role in known}
    label = np.concatenate([np.empty(0, np.int64), *(parties[role].label[there[role]].numpy() for role in known)])
    named = np.concatenate(
        [np.empty(0, np.int64), *(answers[role].pseudo_label[there[role]].numpy() for role in known)]
    )
    check_order(named, label, class_names, classes, who)


class AnswerFiles(TeacherKind):
    """Files of answers; there is no model to open, `from_files` reads them."""

    def matches(self, named: Named) -> bool:
        """No other kind has answers."""
        return bool(named.answers)

    def paths(self, named: Named) -> Iterable[tuple[str, str]]:
        """All files."""
        return [("answers", path) for path in named.answers]
