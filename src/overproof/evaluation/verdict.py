"""Decide the verdicts BEATS, DOES NOT BEAT and INCONCLUSIVE from paired differences, and print the table of results.

Every row is compared with the best conventional one, seed by seed on the same test examples. "Best" is the conventional
row with the highest mean on the test set itself, a selection that can only favour the baseline over the methods.
`evaluation/holm.py` decides them again with p-values corrected for the number of methods, beside these.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from rich.table import Table
from rich.text import Text

from overproof.errors import InputError
from overproof.evaluation.judged import JudgedOn
from overproof.evaluation.paired import CROSS_VALIDATED, Key, Means, means_of, ratio_of
from overproof.evaluation.paired import Role as Role
from overproof.evaluation.paired import Row as Row
from overproof.functional.intervals import accuracy_interval

Verdict = Literal["BEATS", "DOES NOT BEAT", "INCONCLUSIVE"]

LABELLED_ONLY = "labelled_only"
"""The reference that also gets a verdict, like a method. (Without a pool it is conventional.)"""
ORACLE = "oracle"
"""The reference trained on the pool's true labels: the row at which `recovered` is 1."""
PRACTICAL_MARGIN = 0.005
"""Half a point, the smallest gain of practical relevance: an interval that contains 0 gives DOES NOT BEAT where it ends
below this margin, else INCONCLUSIVE."""
LOWER_IS_BETTER = ("log_loss", "ece")
"""Metrics whose differences are negated, so that a positive difference always means better."""

_ORDER: tuple[Role, ...] = ("reference", "conventional", "method")


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """One method over its seeds; fit for JSON through `dataclasses.asdict`.

    Args:
        method: As in its rows.
        role: As in its rows.
        metric: The metric of all numbers.
        level: Coverage of the intervals, in (0, 1).
        num_seeds: Number of seeds of `mean`.
        mean: Over the seeds, with `low` and `high`; these are None for one seed without `correct`.
        baseline: The best conventional row; None where the table has none.
        num_pairs: Number of seeds shared with the baseline, of which `difference` is the mean.
        difference: This row less the baseline, positive where this row is better; None without a shared seed.
        p_value: Two-sided p-value of the difference: below .05 exactly where its 95 % interval excludes 0. None without
            an interval.
        recovered: (this row - baseline) / (oracle - baseline) with its interval: 0 is the baseline, 1 the oracle.
            None without an oracle, and where the oracle is not significantly better than the baseline: the gap may
            then be 0.
        verdict: BEATS, DOES NOT BEAT or INCONCLUSIVE for methods and labelled-only; None for the others.
        interval: Which sources of variation the interval of the difference (without a baseline, of the mean) includes.
        num_judged: Number of different examples that it was judged on, in one seed.
        num_folds: Of cross-validation, where these are the labelled rows; 0 for a test.
    """

    method: str
    role: Role
    metric: str
    level: float
    num_seeds: int
    mean: float
    low: float | None
    high: float | None
    baseline: str | None
    num_pairs: int
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p_value: float | None = None
    recovered: float | None
    recovered_low: float | None
    recovered_high: float | None
    verdict: Verdict | None
    interval: str
    num_judged: int = 0
    num_folds: int = 0


def summarise(rows: Sequence[Row], *, metric: str = "accuracy", level: float = 0.95) -> list[Summary]:
    """Summarise every method over its seeds and compare it with the best conventional one.

    Interval of a mean over S >= 2 seeds: the mean plus and minus sqrt(t(S-1)^2 variance over seeds / S + z^2 variance
    over test examples / N), where the second variance is that of each example's mean over the seeds and t and z are the
    quantiles of Student's t and the normal distribution. The second part is the sampling error of the one test set that
    all seeds share; it is known for the accuracy only, where the rows have `correct`, and 0 where each seed has its own
    test set (the first part then includes it). Of repeated content the rows have one example, and
    where these have groups, the second variance is over groups (`overproof.functional.repeats`). Variation by seed and
    example together is in both parts, so that the interval is slightly wide. With one seed there is only the second
    part, and Wilson's interval for the accuracy itself, as where every seed is right on every example of the test. A
    difference is such a mean, of the differences of two rows by seed. Where labelled rows are cross-validated, the part
    of the examples counts `paired.CROSS_VALIDATED` times.

    BEATS: the interval of the difference is above 0. DOES NOT BEAT: it is not, and ends below `PRACTICAL_MARGIN`, so
    that an exactly known tie is no win. INCONCLUSIVE: neither, or no interval. At level 0.95 a method no better than
    the baseline gets BEATS in about 2.5 % of tables or fewer.

    `recovered` is a ratio of mean differences with Fieller's interval: the ratios r for which the interval of
    (method - baseline) - r (oracle - baseline) contains 0.

    Args:
        rows: Any methods and seeds, in any order; only shared seeds are paired.
        metric: A key of the rows' metrics.
        level: In (0, 1).

    Returns:
        One summary per method: references, conventional rows, methods, each in order of first appearance.

    Example:
        >>> def row(method, role, accuracy, seed):
        ...     return Row(method=method, role=role, seed=seed, metrics={"accuracy": accuracy})
        >>> hard = [row("hard", "conventional", accuracy, seed) for seed, accuracy in enumerate([0.5, 0.75])]
        >>> ours = [row("ours", "method", accuracy + 0.25, seed) for seed, accuracy in enumerate([0.5, 0.75])]
        >>> summary = summarise([*hard, *ours])[1]
        >>> summary.difference, summary.verdict
        (0.25, 'BEATS')

    Raises:
        InputError: Two rows have the same method, seed and test set, a row lacks the metric, or two rows of one test
            set differ in length.

    Source: Banerjee (1960), Approximate confidence interval for linear functions of means of k populations when the
    population variances are not equal, Sankhya 22 (coverage of the sum of the two parts);
    Fieller (1954), Some problems in interval estimation, JRSS B 16.
    """
    methods = _by_method(rows, metric)
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    conventional = [name for name, runs in methods.items() if _role(runs) == "conventional"]
    best = max(conventional, key=lambda name: sign * _mean(methods[name], metric), default=None)
    # An absent row shares no seed with any other: no difference, no ratio, verdict INCONCLUSIVE.
    baseline = methods[best] if best is not None else {}
    oracle = methods.get(ORACLE, {})
    summaries = []
    for name, runs in methods.items():
        own = means_of([runs], [[1.0]], metric, level)
        versus = means_of([runs, baseline], [[sign, -sign]], metric, level)
        share = ratio_of(means_of([runs, baseline, oracle], [[sign, -sign, 0.0], [0.0, -sign, sign]], metric, level))
        low, high = _range(runs, own, metric, level)
        difference_low, difference_high = versus.interval()
        judged = _role(runs) == "method" or (name == LABELLED_ONLY and _role(runs) == "reference")
        summaries.append(
            Summary(
                method=name,
                role=_role(runs),
                metric=metric,
                level=level,
                num_seeds=own.num_seeds,
                mean=float(own.mean[0]),
                low=low,
                high=high,
                baseline=best,
                num_pairs=versus.num_seeds,
                difference=float(versus.mean[0]) if versus.num_seeds else None,
                difference_low=difference_low,
                difference_high=difference_high,
                p_value=versus.p_value() if best is not None else None,
                recovered=share[0],
                recovered_low=share[1],
                recovered_high=share[2],
                verdict=verdict_of(difference_low, difference_high) if judged else None,
                interval=(own if best is None else versus).counts(),
                num_judged=int(_first(runs).metrics.get("num_examples", 0)),
                num_folds=_first(runs).num_folds,
            )
        )
    return in_order(summaries)


def table(summaries: Sequence[Summary]) -> Table:
    """The summaries for a terminal 80 columns wide: references first, then the conventional rows, then the methods."""
    colours = {"BEATS": "green", "DOES NOT BEAT": "red", "INCONCLUSIVE": "yellow"}
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, caption=caption(summaries), caption_justify="left")
    shares = has_shares(summaries)
    for name in header(summaries):
        drawn.add_column(name, no_wrap=name in ("method", "verdict"))
    for row in in_order(summaries):
        *numbers, verdict = cells(row, shares=shares)
        drawn.add_row(*map(Text, numbers), Text(verdict, style=colours.get(verdict, "")))
    return drawn


def markdown(summaries: Sequence[Summary]) -> str:
    """The summaries as a Markdown table with a caption below it; rows as in `table`."""
    titles, shares = header(summaries), has_shares(summaries)
    lines = [titles, ["---"] * len(titles), *(cells(row, shares=shares) for row in in_order(summaries))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{caption(summaries)}\n"


def _range(runs: dict[Key, Row], own: Means, metric: str, level: float) -> tuple[float | None, float | None]:
    (row, *others) = runs.values()
    if (not others or _never_differ(list(runs.values()))) and row.correct is not None and metric == "accuracy":
        right, num = float(row.correct.sum()), len(row.correct)
        if row.repeats is None and not row.num_folds:
            return accuracy_interval(right, num, level=level)
        independent = (num if row.repeats is None else row.repeats.num_independent) / (
            CROSS_VALIDATED if row.num_folds else 1
        )
        return accuracy_interval(right / num * independent, independent, level=level)
    low, high = own.interval()
    if low is None or high is None:
        return None, None
    return max(0.0, low), high if metric == "log_loss" else min(1.0, high)


def _never_differ(rows: Sequence[Row]) -> bool:
    """Whether all seeds are right on all examples of one test, or on none, or guess all: nothing varies that could be
    counted."""
    found = {float(each) for row in rows if row.correct is not None for each in row.correct.unique()}
    return len(found) == 1 and len({row.test for row in rows}) == 1 and all(row.correct is not None for row in rows)


def verdict_of(low: float | None, high: float | None) -> Verdict:
    """The verdict of a difference's interval: BEATS above 0, DOES NOT BEAT below `PRACTICAL_MARGIN`, else INCONCLUSIVE.

    Args:
        low: Its lower end, where positive differences are better; None without an interval.
        high: Its upper end.

    Example:
        >>> verdict_of(0.01, 0.03), verdict_of(-0.02, 0.001), verdict_of(-0.02, 0.03)
        ('BEATS', 'DOES NOT BEAT', 'INCONCLUSIVE')
    """
    if low is None or high is None:
        return "INCONCLUSIVE"
    if low > 0:
        return "BEATS"
    return "DOES NOT BEAT" if high < PRACTICAL_MARGIN else "INCONCLUSIVE"


def _by_method(rows: Sequence[Row], metric: str) -> dict[str, dict[Key, Row]]:
    methods: dict[str, dict[Key, Row]] = {}
    for row in rows:
        runs = methods.setdefault(row.method, {})
        if (row.seed, row.test) in runs:
            raise InputError(f"There are two rows of {row.method!r} with seed {row.seed}; each seed needs one row.")
        if metric not in row.metrics:
            raise InputError(
                f"The row of {row.method!r} with seed {row.seed} has no metric {metric!r}: it has "
                f"{', '.join(sorted(row.metrics)) or 'none'}."
            )
        runs[row.seed, row.test] = row
    return methods


def _first(runs: dict[Key, Row]) -> Row:
    return next(iter(runs.values()))


def _role(runs: dict[Key, Row]) -> Role:
    return _first(runs).role


def _mean(runs: dict[Key, Row], metric: str) -> float:
    return float(np.mean([row.metrics[metric] for row in runs.values()]))


def in_order(summaries: Sequence[Summary]) -> list[Summary]:
    """References first, then the conventional rows, then the methods."""
    return sorted(summaries, key=lambda summary: _ORDER.index(summary.role))


def header(summaries: Sequence[Summary]) -> list[str]:
    """The column titles of a table."""
    metric = summaries[0].metric if summaries else "accuracy"
    baseline = summaries[0].baseline if summaries else None
    unit = "" if metric == "log_loss" else " %"
    shares = ["recovered %"] if has_shares(summaries) else []
    return ["method", metric + unit, f"vs {baseline or 'conventional'}", *shares, "verdict"]


def has_shares(summaries: Sequence[Summary]) -> bool:
    """Whether a table has the column of recovered shares: only with an oracle that is better beyond doubt."""
    return any(row.recovered is not None for row in summaries)


def cells(row: Summary, *, shares: bool = True) -> list[str]:
    """The cells of a row as text: name, mean, difference, recovered share where the table has these, verdict."""

    def points(value: float, sign: str = "") -> str:
        return f"{value:{sign}.3f}" if row.metric == "log_loss" else f"{100 * value:{sign}.1f}"

    def ends(low: float | None, high: float | None, written: Callable[[float], str]) -> str:
        return "" if low is None or high is None else f" [{written(low)}, {written(high)}]"

    def share(value: float) -> str:
        return f"{100 * value:z.0f}"

    def gain(value: float) -> str:
        return points(value, "+z")

    mean, difference, recovered = points(row.mean), "", ""
    if row.low is not None and row.high is not None:
        mean += f" ± {points((row.high - row.low) / 2)}"
    if row.method == row.baseline:
        difference = "baseline"
    elif row.difference is not None:
        difference = gain(row.difference) + ends(row.difference_low, row.difference_high, gain)
    if row.recovered is not None:
        recovered = share(row.recovered) + ends(row.recovered_low, row.recovered_high, share)
    return [row.method, mean, difference, *([recovered] if shares else []), row.verdict or ""]


def caption(summaries: Sequence[Summary]) -> str:
    """The caption of a table: what its intervals include, and the row that the others are compared with."""
    if not summaries:
        return ""
    first = summaries[0]
    judged = JudgedOn.of(first.num_judged or 1, first.num_folds).sentence()
    counted = "; ".join(dict.fromkeys(row.interval for row in summaries))
    text = f"{judged} Intervals: {100 * first.level:g} % ({counted}).".lstrip()
    if first.baseline is not None:
        text += f" {first.baseline} is the best conventional row; a positive difference is better."
    return text
