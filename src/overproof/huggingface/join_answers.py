"""Answers of a teacher, matched with the rows of a data set by an id."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from overproof.answers.arrays import GivenAnswers, given_answers
from overproof.data.frames import is_frame, table_of_frame
from overproof.data.wording import counted, listed
from overproof.errors import InputError


def answers_by_id(ids: Sequence[Any], answers: Any, class_names: Sequence[str], id_column: str) -> GivenAnswers:
    """The answers to the N rows with these ids.

    Args:
        ids: [N], the ids of the rows.
        answers: A data frame with a column of ids, and either a column for each class or one other column, of the class
            that is answered; or a mapping from id to the class or to K probabilities.
        class_names: K names.
        id_column: The name of the column of ids.

    Raises:
        InputError: An id of the rows without an answer; an id that is there twice; no such columns.
    """
    wanted = [str(each) for each in ids]
    _check_once(wanted, f"The column {id_column!r} of the data set")
    by_id = isinstance(answers, Mapping) and id_column not in answers
    if is_frame(answers) and not by_id:
        table = table_of_frame(answers, "answers")
        if id_column not in table.column_names:
            raise InputError(f"answers has no column {id_column!r}; it has {listed(table.column_names)}.")
        own = [str(each) for each in table.column(id_column).to_pylist()]
        others = [name for name in table.column_names if name != id_column]
        if set(class_names) <= set(others):
            values: Any = table.select(list(class_names))
        elif len(others) == 1:
            values = table.column(others[0])
        else:
            raise InputError(
                f"answers has the columns {listed(others)} beside {id_column!r}; a column for each of the classes "
                f"{listed(class_names)}, or one column with the class that is answered, is needed."
            )
    elif by_id:
        own, values = [str(each) for each in answers], list(answers.values())
    else:
        raise InputError(
            f"answers is a {type(answers).__name__}, which has no ids; give a data frame with a column {id_column!r}, "
            f"or a mapping from id to answer."
        )
    _check_once(own, "answers")
    place = {each: row for row, each in enumerate(own)}
    if missing := [each for each in wanted if each not in place]:
        raise InputError(
            f"answers lacks {len(missing)} of the {len(wanted)} rows, such as {id_column} {listed(missing[:3])}; its "
            f"own are like {listed(own[:3])}. Give None where the teacher has no answer."
        )
    order = [place[each] for each in wanted]
    if isinstance(values, list):
        chosen = [values[row] for row in order]
        if any(not isinstance(each, str) and hasattr(each, "__len__") for each in chosen):
            chosen = [[math.nan] * len(class_names) if each is None else each for each in chosen]
        return given_answers(chosen, "answers", class_names)
    return given_answers(values.take(order), "answers", class_names)


def _check_once(ids: Sequence[str], who: str) -> None:
    twice = [each for each, count in Counter(ids).items() if count > 1]
    if twice:
        raise InputError(
            f"{who} has {counted(len(twice), 'id')} more than once, such as {listed(twice[:3])}; each may occur once."
        )
