"""Which rows a model may label itself, so that few of its labels are wrong: guarantees from a sample that people label.

Two guarantees, both for finite samples and without assumptions on the model or on the distribution of the rows. `n`
rows wait for a label, `m` others have one from people; which of the N = n + m rows were labelled must be decided at
random, or both must be drawn from one distribution. A model names a class of each row and says how uncertain it is.
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from overproof.errors import InputError


def certified_cutoff(
    uncertainty: Float[np.ndarray, "m"],
    wrong: Bool[np.ndarray, "m"],
    *,
    num_rest: int,
    num_allowed: int,
    failure: float,
) -> float:
    """The cutoff below which a model labels the rest, so that at most `num_allowed` of these labels are wrong.

    Sort all N rows by uncertainty, and let r = num_allowed + 1. Accepting rows from the most certain one on goes wrong
    at the r-th wrong row among the rest. If at most k wrong rows of the labelled ones come before it, then at least r
    of the first k + r wrong rows are in the rest; as the m labelled rows are a random sample of the N, that has the
    probability P(Hypergeometric(N, k + r, m) <= k). Let k be the largest number for which this is at most `failure`:
    the cutoff is the uncertainty of the wrong labelled row number k + 1, and rows strictly below it are accepted.

    Args:
        uncertainty: [m], of the rows with a label from people, finite.
        wrong: [m], whether the model's class is not theirs.
        num_rest: n, the rows that wait for a label.
        num_allowed: How many wrong labels are allowed among the accepted rows, at least 0.
        failure: Largest probability that there are more, in (0, 1).

    Returns:
        The cutoff: infinity accepts all rows, minus infinity none, where m is too small for any.

    Example:
        Of 1,000 rows fifty may be wrong. With 59 labelled ones, the first wrong one ends what is accepted.

        >>> uncertainty = np.arange(59) / 59
        >>> wrong = uncertainty > 0.5
        >>> cutoff = certified_cutoff(uncertainty, wrong, num_rest=941, num_allowed=50, failure=0.05)
        >>> bool(cutoff == uncertainty[wrong][0])
        True

    Raises:
        InputError: Counts outside these ranges.

    Source: Candès, Ilyas and Zrnic (2025), Probably approximately correct labels, arXiv 2506.10908, algorithm 1.
    Differs from the paper: there an upper confidence bound on the mean error is computed for every cutoff; here the
    sample is simple, so that the exact distribution of the count is known, and the bound is on the rows at hand and not
    on their distribution.
    """
    num = len(uncertainty)
    if num_rest < 1 or num_allowed < 0 or not 0 < failure < 1:
        raise InputError(
            f"{num_rest} rows to label, {num_allowed} of them wrong, at failure probability {failure:g}: there must be "
            f"at least 1, 0 and a number between 0 and 1."
        )
    most = num_before(num, num_rest=num_rest, num_allowed=num_allowed, failure=failure)
    if most is None:
        return -np.inf
    bad = np.sort(uncertainty[wrong])
    return float(bad[most]) if len(bad) > most else np.inf


def num_before(num: int, *, num_rest: int, num_allowed: int, failure: float) -> int | None:
    """How many wrong labelled rows may come before the cutoff; None where not even the first wrong one bounds the rest.

    Args:
        num: m, the rows with a label from people.
        num_rest: n, the rows that wait for a label.
        num_allowed: How many wrong labels are allowed among the accepted rows.
        failure: Largest probability that there are more.

    Example:
        Of four rows two are labelled. That both wrong ones are among the other two has the probability 1 / 6.

        >>> [num_before(2, num_rest=2, num_allowed=1, failure=failure) for failure in (0.17, 0.16)]
        [0, None]
    """
    from scipy.stats import hypergeom  # slow to import

    if num_allowed >= num_rest:
        return num
    before = np.arange(num + 1)
    among = np.minimum(before + num_allowed + 1, num + num_rest)
    fits = np.asarray(hypergeom.cdf(before, num + num_rest, among, num)) <= failure
    return int(np.append(~fits, True).argmax()) - 1 if fits[0] else None


def accepted_by_rank(
    uncertainty: Float[np.ndarray, "n"],
    sample_uncertainty: Float[np.ndarray, "m"],
    wrong: Bool[np.ndarray, "m"],
    *,
    error: float,
) -> Bool[np.ndarray, "n"]:
    """The rows that a model labels, such that the expected share of wrong labels among them is at most `error`.

    The p-value of row j is (1 + number of wrong labelled rows that are at least as certain) / (1 + m); Benjamini and
    Hochberg's rule accepts the rows whose p-values are at most error R / n, R being the number of accepted rows.

    Args:
        uncertainty: [n], of the rows that wait for a label, at least one.
        sample_uncertainty: [m], of the rows with a label from people.
        wrong: [m], whether the model's class is not theirs.
        error: Bound on the expected share of wrong labels among the accepted rows, in (0, 1).

    Returns:
        [n], true where the model's class is taken.

    Example:
        >>> sample, wrong = np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, False, False, True])
        >>> accepted_by_rank(np.array([0.15, 0.5]), sample, wrong, error=0.4)
        array([ True,  True])
        >>> accepted_by_rank(np.array([0.15, 0.5]), sample, wrong, error=0.3)
        array([False, False])

    Source: Conformal labelling, arXiv 2510.14581, and Jin and Candès (2023), Selection by prediction with conformal
    p-values, JMLR 24, arXiv 2210.01408, theorem 2.3.
    Differs from the paper: the rank is among the wrong labelled rows in both; the former divides by their number, which
    bounds the probability for a row that is known to be wrong, the latter by the number of all labelled rows, which
    makes use of how rare wrong rows are. The latter is taken: under the same bound it accepts several times as many
    rows.
    """
    if not 0 < error < 1:
        raise InputError(f"Option error is {error:g}; it must be strictly between 0 and 1.")
    bad = np.sort(sample_uncertainty[wrong])
    values = (1 + np.searchsorted(bad, uncertainty, side="right")) / (1 + len(wrong))
    ordered = np.sort(values)
    good = np.flatnonzero(ordered <= error * np.arange(1, len(ordered) + 1) / len(ordered))
    accepted: NDArray[np.bool_] = values <= (ordered[good[-1]] if len(good) else -1.0)
    return accepted
