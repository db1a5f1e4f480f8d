"""A label, and a confidence, beside the probabilities of all classes: whether they agree, and which is the answer.

A classifier whose threshold is tuned, and H2O by design, name another class than the likeliest in some rows.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from overproof.answers.formats import Probs, Rows, classes_of, numbers
from overproof.answers.shapes import AnswerFrom, label_beside
from overproof.errors import InputError

CONFIDENCE_CLOSE = 5e-3
"""A confidence is rounded by no more than this."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Beside:
    """Compares labels with the probabilities beside them, or takes them as the answers.

    Args:
        path: The file.
        class_names: K names.
        has_label: Whether there is a label beside probabilities.
        has_confidence: Whether there is a confidence beside probabilities.
        answer_from: What the user says is the answer.
    """

    path: Path
    class_names: tuple[str, ...]
    has_label: bool
    has_confidence: bool
    answer_from: AnswerFrom
    _differ: list[tuple[int, str, str]] = field(default_factory=list)

    @staticmethod
    def of(path: Path, table: pa.Table, class_names: tuple[str, ...], answer_from: AnswerFrom) -> "Beside":
        """What a table holds beside probabilities.

        Raises:
            InputError: The label is to be the answer, and there is none.
        """
        has_label = label_beside(table, class_names)
        if answer_from == "label" and "label" not in table.column_names:
            raise InputError(f"Option 'teacher.answer_from' is 'label', but {path} has no column of that name.")
        return Beside(
            path=path,
            class_names=class_names,
            has_label=has_label,
            has_confidence="confidence" in table.column_names and _has_all(table, class_names),
            answer_from=answer_from,
        )

    def decided(self, probs: Probs, table: pa.Table, rows: Rows) -> Probs:
        """The answers of some rows: the probabilities, or the labels with certainty.

        Args:
            probs: [n, K].
            table: Their rows of the file.
            rows: [n], the numbers of these rows, for errors.

        Raises:
            InputError: A label is no class, or a confidence is not the largest probability.
        """
        if self.has_confidence and self.answer_from != "label":
            self._check_confidence(probs, table, rows)
        if not self.has_label or self.answer_from == "probabilities":
            return probs
        label = table.column("label")
        named = label.is_valid().to_numpy()
        if self.answer_from == "label":
            named = np.ones(len(rows), bool)
        known = np.flatnonzero(named)
        classes = classes_of(self.path, label.take(pa.array(known)), rows[known], pa.array(self.class_names))
        if self.answer_from == "label":
            return np.eye(len(self.class_names))[classes]
        differ = known[probs[known, classes] < probs[known].max(axis=1) - 1e-9]
        for row in differ:
            given, likeliest = label[int(row)].as_py(), self.class_names[int(probs[row].argmax())]
            self._differ.append((int(rows[row]), str(given), likeliest))
        return probs

    @property
    def differs(self) -> bool:
        """Whether a label was not the likeliest class so far."""
        return bool(self._differ)

    def refuse(self, num_rows: int) -> None:
        """Reject labels that are not the likeliest class.

        Args:
            num_rows: How many rows were read.

        Raises:
            InputError: Always.
        """
        row, given, likeliest = min(self._differ)
        raise InputError(
            f"{self.path}: in {len(self._differ)} of {num_rows} rows the label is not the likeliest "
            f"class, as where a threshold was tuned; the first is row {row} (counted from 0), label {given!r} beside "
            f"{likeliest!r}. Say which is the answer: write `answer_from: probabilities` or `answer_from: label` under "
            f"`teacher`, or leave the other out of the file."
        )

    def _check_confidence(self, probs: Probs, table: pa.Table, rows: Rows) -> None:
        given = numbers(self.path, "confidence", table.column("confidence"))
        # Written so that NaN passes: an empty cell contradicts nothing.
        wrong = np.abs(given - probs.max(axis=1)) > CONFIDENCE_CLOSE
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(
                f"{self.path}, row {rows[row]} (counted from 0): a confidence of {given[row]:g} stands beside "
                f"probabilities of which the largest is {probs[row].max():.4g}; leave out what is not the answer."
            )


def _has_all(table: pa.Table, class_names: Collection[str]) -> bool:
    columns = set(table.column_names)
    return "confidence" not in class_names and bool(
        set(class_names) <= columns or {"probs", "logprobs", "top_classes"} & columns
    )
