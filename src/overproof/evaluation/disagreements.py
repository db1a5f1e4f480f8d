"""Which of two students is right more often, from labels on examples of which they predict different classes."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from overproof.errors import InputError
from overproof.evaluation.verdict import Verdict, verdict_of
from overproof.functional.intervals import binomial_bounds

LEVEL = 0.95

FEWEST = 30
"""With fewer labels the interval is the exact one."""


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


def verdict_by_regression(
    gain: Int[np.ndarray, "n"], described: Float[np.ndarray, "D q"], place: Int[np.ndarray, "n"], *, num: int
) -> DisagreementVerdict:
    """The same difference, with what is known of every disagreement before people label it.

    The gain of a disagreement is 1 where the first student is right, -1 where the second one is, else 0. It is
    regressed on what describes the disagreements, such as the teacher's answer; the estimate is the regression's mean
    over all D of them, which a poor description leaves near the plain mean. Its variance is that of the residuals, each
    divided by 1 - leverage (HC3), and of six more, three gains of 1 and three of -1, so that equal labels do not look
    certain; times 1 - n / D, because the D are all there are. The interval is Student's, with n - q - 1 degrees
    of freedom. It holds the difference as often as it says in simulation (`tests/evaluation/test_disagreements.py`);
    with fewer than 30 labels it is the exact one of `verdict_of_disagreements`.

    Args:
        gain: [n], of the labelled disagreements, in -1, 0 or 1.
        described: [D, q], of all disagreements, q numbers of about -1 to 1.
        place: [n], the labelled ones among the D, drawn at random, each once.
        num: N, the examples; every content once.

    Example:
        Two thirds of the time the first student is right where the teacher names its class, and the second one where
        not; nothing else decides.

        >>> rng = np.random.default_rng(0)
        >>> named = rng.choice([-1, 1], size=400)
        >>> gain = named * rng.choice([1, 1, -1], size=400)
        >>> known = rng.permutation(400)[:100]
        >>> found = verdict_by_regression(gain[known], named[:, None].astype(float), known, num=1000)
        >>> bool(found.low < 0.4 * gain.mean() < found.high)
        True

    Raises:
        InputError: Counts that do not fit together.

    Source: the regression estimator of Särndal, Swensson and Wretman (1992), Model assisted survey sampling, section
    6.4; HC3: MacKinnon and White (1985), Journal of Econometrics 29.
    """
    from scipy.special import stdtrit  # slow to import

    found, (num_different, num_columns) = len(gain), described.shape
    exact = verdict_of_disagreements(
        num=num,
        num_different=num_different,
        num_labelled=found,
        first_right=int((gain == 1).sum()),
        second_right=int((gain == -1).sum()),
    )
    if found < FEWEST or found == num_different:
        return exact
    rows = np.concatenate([np.ones((found, 1)), (described - described.mean(axis=0))[place]], axis=1)
    # A penalty of one row's square keeps columns that say the same apart.
    penalty = np.diag([0.0] + [1.0] * num_columns)
    weights = np.linalg.solve(rows.T @ rows + penalty, rows.T)
    mean = float(weights[0] @ gain)
    left = (gain - rows @ (weights @ gain)) / np.maximum(1 - np.einsum("ij,ji->i", rows, weights), 0.05)
    variance = float(np.square(weights[0] * left).sum()) + 3 * ((1 - mean) ** 2 + (1 + mean) ** 2) / found**2
    free = max(found - num_columns - 1, 1)
    half = float(stdtrit(free, (1 + LEVEL) / 2)) * (variance * (1 - found / num_different)) ** 0.5
    # What the labels have shown already bounds the rest.
    known, others = gain.sum() / num_different, 1 - found / num_different
    share = num_different / num
    return replace(
        exact,
        difference=share * float(np.clip(mean, known - others, known + others)),
        low=float(share * np.clip(mean - half, known - others, known + others)),
        high=float(share * np.clip(mean + half, known - others, known + others)),
    )
