"""Which of two students is right more often, from labels on examples of which they predict different classes."""

from dataclasses import dataclass

import numpy as np

from overproof.errors import InputError
from overproof.evaluation.verdict import Verdict, verdict_of
from overproof.functional.intervals import binomial_bounds

LEVEL = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class DisagreementVerdict:
    """The difference of two accuracies on N examples, estimated on n labelled ones of their N_d disagreements.

    Args:
        num: N.
        num_different: N_d.
        num_labelled: n.
        first_right: Of the labelled ones, how many the first student has right.
        second_right: How many the second one has right; neither may be.
        difference: Accuracy of the first student less that of the second one.
        low: Lower end of the interval of at least 95 %.
        high: Its upper end.
    """

    num: int
    num_different: int
    num_labelled: int
    first_right: int
    second_right: int
    difference: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """Whether the first student is better, as in a table of methods."""
        return verdict_of(self.low, self.high)


def verdict_of_disagreements(
    *, num: int, num_different: int, num_labelled: int, first_right: int, second_right: int
) -> DisagreementVerdict:
    """The difference of two accuracies, from labels on a random part of the examples on which two students differ.

    Where both predict the same class, both are right or both are wrong: these N - N_d examples add nothing to the
    difference, which is (N_d / N) (p_1 - p_2), p_i being the share of the disagreements that student i has right. The
    interval joins the exact binomial intervals of p_1 and p_2, of 97.5 % each, so that it holds the difference on
    these N examples with at least 95 %, whatever n. With all N_d labelled it is the difference alone.

    Args:
        num: N, the examples; every content once.
        num_different: N_d, those on which the two students predict different classes.
        num_labelled: n, labelled ones of these, drawn at random.
        first_right: How many of the n the first student has right.
        second_right: How many the second one has right.

    Example:
        The students differ on a tenth. Of 60 labelled, the first has 40 right and the second 10.

        >>> found = verdict_of_disagreements(
        ...     num=4000, num_different=400, num_labelled=60, first_right=40, second_right=10
        ... )
        >>> round(found.difference, 3), round(found.low, 3), round(found.high, 3), found.verdict
        (0.05, 0.021, 0.072, 'BEATS')

    Raises:
        InputError: Counts that do not fit together.

    Source: the difference is that of McNemar (1947), Psychometrika 12; intervals of Clopper and Pearson (1934).
    """
    right = np.array([first_right, second_right])
    if not (0 <= num_labelled <= num_different <= num and right.min() >= 0 and right.sum() <= num_labelled and num > 0):
        raise InputError(
            f"{first_right} and {second_right} right of {num_labelled} labelled, of {num_different} disagreements on "
            f"{num} examples, do not fit together."
        )
    low, high = binomial_bounds(right, num_labelled, tail=(1 - LEVEL) / 4)
    if num_labelled == num_different > 0:
        # All are labelled: nothing is sampled, and the difference on these examples is known.
        low = high = right / num_labelled
    share = num_different / num
    return DisagreementVerdict(
        num=num,
        num_different=num_different,
        num_labelled=num_labelled,
        first_right=first_right,
        second_right=second_right,
        difference=share * (first_right - second_right) / max(num_labelled, 1),
        low=float(share * (low[0] - high[1])),
        high=float(share * (high[0] - low[1])),
    )
