"""What the scores of an ONNX file mean: probabilities, logits, or a sigmoid for each class; by graph and rows."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from overproof.data import Examples
from overproof.errors import InputError
from overproof.teachers.brought.decision import shown, which
from overproof.teachers.brought.onnx_graph import Ending

Scores = Literal["auto", "probabilities", "logits", "sigmoid", "margins"]
"""Of the option `scores`."""

Meaning = Literal["probabilities", "logits", "sigmoid", "margins"]
"""What scores are taken for: `sigmoid` is one probability for each class, which are divided by their sum; `margins` are
-z and z of two classes."""

SIGMOID = "'scores: sigmoid' (one probability a class, divided by their sum)"
LOGITS = "'scores: logits' (a softmax follows)"

SUMS_TO_ONE = 5e-3
"""So far from 1 may a row of probabilities sum: half precision, over a thousand classes."""

ROUNDING = 1e-3
"""So far below 0 or above 1 the first rows may be where they are taken for probabilities: the trees of a forest are
added up in float32, and 1 minus their sum may be -1e-7."""

ENOUGH = 8
"""Rows from which equal sums are no chance."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreReading:
    """How scores [n, columns] become probabilities.

    Args:
        meaning: What they are.
        why: Why they are taken for that, for errors.
        who: What to call the teacher in errors.
        may_be_logits: Whether an option can say that they are logits.
    """

    meaning: Meaning
    why: str
    who: str
    may_be_logits: bool = True

    def probs(self, scores: np.ndarray, examples: Examples) -> Float[Tensor, "n K"]:
        """Probabilities of all classes; one column of scores is that of the second of two classes.

        Args:
            scores: [n, columns].
            examples: n examples, for errors.

        Raises:
            InputError: A row is not what the others were taken for.
        """
        values = torch.from_numpy(np.asarray(scores, np.float64))
        if not values.isfinite().all():
            row = int((~values.isfinite()).any(dim=1).nonzero()[0])
            raise InputError(f"{self.who} gives {which(examples, row)} the scores {shown(scores[row])}.")
        if self.meaning == "margins":
            values = values[:, -1:]
        single = values.shape[1] == 1
        if self.meaning in ("logits", "margins"):
            return (torch.cat([torch.zeros_like(values), values], dim=1) if single else values).softmax(dim=1)
        if single:
            values = torch.cat([1 - values, values], dim=1)
        bad = (values < -SUMS_TO_ONE).any(dim=1) | (values > 1 + SUMS_TO_ONE).any(dim=1)
        if self.meaning == "probabilities":
            bad |= (values.sum(dim=1) - 1).abs() > SUMS_TO_ONE
        else:
            bad |= values.sum(dim=1) <= 0
        if bad.any():
            row = int(bad.nonzero()[0])
            ways = [way for way in (SIGMOID, LOGITS) if self.may_be_logits or way != LOGITS]
            ways = [way for way in ways if f" {self.meaning}'" not in way]
            say = f"; say what they are: 'teacher.options.{' or '.join(ways)[1:]}" if ways else ""
            raise InputError(
                f"{self.who} gives {which(examples, row)} the scores {shown(scores[row])}, which are no "
                f"probabilities, and {self.why}{say}."
            )
        values = values.clamp(0, 1)
        return values / values.sum(dim=1, keepdim=True) if self.meaning == "sigmoid" else values


def reading(scores: Scores, rows: np.ndarray, ending: Ending, who: str) -> ScoreReading:
    """What scores mean, by the option, else by the graph and some rows; refused where these do not decide it.

    Args:
        scores: The option.
        rows: Some of the scores, [n, columns].
        ending: What the graph ends in.
        who: What to call the teacher in errors.

    Raises:
        InputError: It could be either; one column out of a softmax; scores that are z and -z; shares of another whole
            than 1, such as per cent.
    """
    single, two = rows.shape[1] == 1, rows.shape[1] == 2
    # A decision function of two classes, written as z of the second and -z of the first.
    opposite = two and bool(np.abs(rows).max(initial=0) > 0) and np.allclose(rows[:, 0], -rows[:, 1], atol=1e-7)
    chosen = f"option 'teacher.options.scores' is {scores!r}"
    if scores == "margins":
        if not opposite and not single:
            raise InputError(
                f"Option 'teacher.options.scores' is 'margins', which is one column z, or the columns -z and z of two "
                f"classes; {who} gives {shown(rows[0])}."
            )
        return ScoreReading(meaning="margins", why=chosen, who=who)
    if scores != "auto":
        return ScoreReading(meaning=scores, why=chosen, who=who)
    if opposite:
        raise InputError(
            f"{who} gives two columns of which one is the other's negative ({shown(rows[0])}), a decision function, "
            f"and no probabilities; convert the model without raw_scores, or give 'teacher.options.scores: margins', "
            f"which takes 1 / (1 + exp(-z)) of each."
        )
    inside = bool((rows >= -ROUNDING).all() and (rows <= 1 + ROUNDING).all())
    if not single and not inside and ending != "raw":
        _check_shares(rows, who)
    meaning: Meaning | None = "logits" if ending == "raw" or not inside else None
    if single:
        if ending == "softmax":
            raise InputError(
                f"{who} ends in a softmax over one column, which is always 1; a sigmoid, or two columns, are needed."
            )
        meaning = meaning or ("probabilities" if ending == "sigmoid" else None)
    elif inside and bool((np.abs(rows.sum(axis=1) - 1) <= (SUMS_TO_ONE if ending == "softmax" else ROUNDING)).all()):
        meaning = "probabilities"
    if meaning is None:
        said = (
            "each a sigmoid"
            if ending == "sigmoid"
            else "and its graph ends in neither softmax nor sigmoid nor a linear layer"
        )
        what = "a score between 0 and 1" if single else "scores between 0 and 1 that do not sum to 1"
        allowed = (
            "'teacher.options.scores: probabilities' or 'scores: logits'"
            if single
            else f"'teacher.options.scores: sigmoid' (one probability a class, divided by their sum) or {LOGITS}"
        )
        raise InputError(f"{who} gives {what} ({shown(rows[0])}), {said}; say what they are: {allowed}.")
    return ScoreReading(meaning=meaning, why="its first rows were probabilities", who=who)


def _check_shares(rows: np.ndarray, who: str) -> None:
    """Refuse scores of at least 0 that have the same sum in every row: votes, or per cent.

    Raises:
        InputError: They are no logits, of which a softmax could be taken.
    """
    sums = rows.sum(axis=1)
    whole = sums.mean()
    if len(rows) >= ENOUGH and (rows >= 0).all() and np.abs(sums - whole).max() <= ROUNDING * whole:
        raise InputError(
            f"{who} gives rows that sum to {whole:.6g} ({shown(rows[0])}), such as votes or per cent, and no "
            f"probabilities; divide its output by {whole:.6g} in the graph, or give "
            f"'teacher.options.{LOGITS[1:]}."
        )
