"""Verdicts corrected for the number of methods in a table: adjusted p-values by Holm's procedure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from overproof.evaluation.verdict import PRACTICAL_MARGIN, Summary, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class CorrectedVerdict:
    """A method's verdict, corrected for the number of methods in the table.

    Args:
        p_value: The adjusted p-value: if none of the methods is better than the baseline, the probability that any
            adjusted p-value is at most 1 - level is at most 1 - level.
        verdict: BEATS where the adjusted p-value is at most 1 - level and the difference positive; otherwise DOES NOT
            BEAT where the uncorrected interval ends below half a point, else INCONCLUSIVE.
    """

    p_value: float | None
    verdict: Verdict


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: the i-th smallest of m times (m + 1 - i), made non-decreasing, at most 1.

    Args:
        p_values: m p-values of tests that may depend on each other.

    Example:
        The smallest is multiplied by three, the next by two.

        >>> holm([0.5, 0.25, 0.125])
        [0.5, 0.5, 0.375]

    Source: Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6.
    """
    corrected, lowest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        lowest = max(lowest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = lowest
    return corrected


def corrected(summaries: Sequence[Summary]) -> Mapping[str, CorrectedVerdict]:
    """The verdicts of one table, corrected for the number of methods that have one.

    A method without an interval has no p-value: it is not counted and stays INCONCLUSIVE.

    Args:
        summaries: The summaries of one table, by `overproof.evaluation.verdict.summarise`.

    Returns:
        The corrected verdicts by method.
    """
    judged = [each for each in summaries if each.verdict is not None]
    tested = [each for each in judged if each.p_value is not None]
    found = dict(zip([each.method for each in tested], holm([each.p_value or 0.0 for each in tested]), strict=True))
    return {
        each.method: CorrectedVerdict(p_value=found.get(each.method), verdict=_verdict(each, found.get(each.method)))
        for each in judged
    }


def _verdict(summary: Summary, p_value: float | None) -> Verdict:
    if p_value is None or summary.difference is None or summary.difference_high is None:
        return "INCONCLUSIVE"
    if summary.difference > 0 and p_value <= 1 - summary.level:
        return "BEATS"
    return "DOES NOT BEAT" if summary.difference_high < PRACTICAL_MARGIN else "INCONCLUSIVE"
