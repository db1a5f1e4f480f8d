"""Draw the charts of a report as inline SVG, each with a text alternative."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from overproof.evaluation.metrics import NUM_BINS
from overproof.evaluation.verdict import LOWER_IS_BETTER, Summary
from overproof.report.drawing import (
    ACCENT,
    BESIDE,
    CARD,
    DASHES,
    FOOT,
    INK,
    LABEL,
    SIDE,
    SOFT,
    TICK,
    WIDTH,
    Chart,
    Point,
    colour,
    colours_of,
    legend_height,
    padded,
    room,
    shortened,
    ticks,
)

Curve = Sequence[float | None]
"""One value per epoch; None where there is none."""


def differences(summary: Sequence[Summary]) -> Markup | None:
    """Differences from the baseline with their intervals; None without a baseline or without other rows."""
    rows = [row for row in summary if row.difference is not None and row.method != row.baseline]
    if not rows:
        return None
    scale, unit = (1.0, "") if rows[0].metric == "log_loss" else (100.0, " points")
    shades = colours_of([row.method for row in summary])
    chart = Chart(height=54 + 24 * len(rows))
    names = [shortened(row.method, 22) for row in rows]
    ends = [scale * end for row in rows for end in (row.difference, row.difference_low, row.difference_high) if end]
    panel = chart.panel(padded([0.0, *ends]), (-0.6, len(rows) - 0.4), left=room(names, TICK) + 8)
    baseline = shortened(rows[0].baseline or "")
    panel.x_axis(ticks(*panel.x, most=6), f"{'points above' if unit else 'log-loss below'} {baseline}")
    panel.line([(0, panel.y[0]), (0, panel.y[1])], SOFT, width=1)
    panel.y_axis(list(enumerate(reversed(names))), grid=False, shade=INK)
    for place, row in enumerate(reversed(rows)):
        assert row.difference is not None
        shade = shades[row.method]
        if row.difference_low is not None and row.difference_high is not None:
            interval = [(scale * row.difference_low, place), (scale * row.difference_high, place)]
            panel.line(interval, shade, width=5, opacity=0.35)
        panel.dots([(scale * row.difference, place)], shade, radius=3.2, edge=CARD)
    panel.frame(left=False)
    values = "; ".join(
        f"{row.method} {scale * (row.difference or 0):+.1f}{_ends(row.difference_low, row.difference_high, scale)}"
        for row in rows
    )
    return chart.svg(f"Difference of every row from {rows[0].baseline} with its interval: {values}.")


def recovered(summary: Sequence[Summary]) -> Markup | None:
    """Recovered share of the gap from the baseline to the oracle by method; None where it is unknown."""
    rows = [row for row in summary if row.recovered is not None and row.role == "method"]
    if not rows:
        return None
    shades = colours_of([row.method for row in summary])
    chart = Chart(height=58 + 26 * len(rows))
    names = [shortened(row.method, 22) for row in rows]
    found = [end for row in rows for end in (row.recovered, row.recovered_low, row.recovered_high) if end is not None]
    low, high = max(min(0.0, *found), -2.0), min(max(1.0, *found), 2.0)
    panel = chart.panel(padded([low, high]), (-0.6, len(rows) - 0.4), left=room(names, TICK) + 8)
    shown = [(value, f"{100 * value:.0f} %") for value, _ in ticks(*panel.x, most=5)]
    panel.x_axis(shown, f"share of the gap from {shortened(rows[0].baseline or '')} to the oracle")
    panel.y_axis(list(enumerate(reversed(names))), grid=False, shade=INK)
    for place, row in enumerate(reversed(rows)):
        assert row.recovered is not None
        panel.bar((0, place - 0.22), (row.recovered, place + 0.22), shades[row.method], opacity=0.8)
        if row.recovered_low is not None and row.recovered_high is not None:
            panel.line([(row.recovered_low, place), (row.recovered_high, place)], INK, width=1.4)
    panel.line([(0, panel.y[0]), (0, panel.y[1])], SOFT, width=1)
    panel.line([(1, panel.y[0]), (1, panel.y[1])], SOFT, width=1, dashes=DASHES)
    panel.frame(left=False)
    values = "; ".join(
        f"{row.method} {100 * (row.recovered or 0):.0f} %{_ends(row.recovered_low, row.recovered_high, 100.0)}"
        for row in rows
    )
    return chart.svg(f"Recovered share of the gap to the oracle: {values}.")


def curves(
    values: Mapping[str, Sequence[Curve]],
    label: str,
    *,
    shares: bool = False,
    names: Sequence[str] | None = None,
) -> Markup | None:
    """A value by epoch, one line per row of the table: the mean over the seeds, with each seed in a lighter line.

    Args:
        values: By row, one curve per seed.
        label: Label of the values.
        shares: Whether the values are shares, shown in %.
        names: All rows of the table, which decide the colours; by default those of the chart.
    """
    # Without an estimate there is no table, and no row of one.
    shades = colours_of([*(names or ()), *values])
    known = {row: [curve for curve in seeds if any(v is not None for v in curve)] for row, seeds in values.items()}
    known = {row: seeds for row, seeds in known.items() if seeds}
    if not known:
        return None
    tables, equal = _different({row: _by_epoch(seeds, 100.0 if shares else 1.0) for row, seeds in known.items()})
    longest = max(each.shape[1] for each in tables.values())
    called = {row: shortened(" = ".join([row, *equal[row]]), 26) for row in tables}
    below = legend_height(list(called.values()))
    chart = Chart(height=240 + below)
    across = (1.0, float(longest)) if longest > 1 else (0.5, 1.5)
    up = padded([value for each in tables.values() for value in each.ravel().tolist()])
    numbers = ticks(*up, most=7)
    bottom = chart.height - FOOT - below
    panel = chart.panel(across, up, left=room([words for _, words in numbers], TICK) + BESIDE, bottom=bottom)
    panel.x_axis(ticks(*across, most=8, whole=True), "epoch")
    panel.y_axis(numbers, label + (", %" if shares else ""))
    texts, entries = list[str](), list[tuple[str, str, str]]()
    for number, (row, table) in enumerate(tables.items()):
        # Where a seed stopped early the mean is over the others.
        counted = (~np.isnan(table)).sum(axis=0)
        mean = np.where(counted > 0, np.nansum(table, axis=0) / np.maximum(counted, 1), np.nan).tolist()
        dashes = DASHES if number >= 8 else ""
        for each in table.tolist() if len(table) > 1 else []:
            panel.line(list(enumerate(each, 1)), shades[row], width=0.8, opacity=0.3)
        panel.line(list(enumerate(mean, 1)), shades[row], dashes=dashes)
        if len(mean) == 1:
            panel.dots([(1, mean[0])], shades[row])
        ends = [value for value in mean if not np.isnan(value)]
        texts.append(f"{' and '.join([row, *equal[row]])} from {ends[0]:.3g} to {ends[-1]:.3g}")
        entries.append((called[row], shades[row], dashes))
    panel.frame()
    chart.legend(entries)
    return chart.svg(f"{label} by epoch: {'; '.join(texts)}{' %' if shares else ''}.")


def _different(tables: dict[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The tables without those that are equal to an earlier one, and for each the names of those that are."""
    kept: dict[str, Any] = {}
    equal: dict[str, list[str]] = {}
    for row, table in tables.items():
        same = next((name for name, each in kept.items() if np.array_equal(each, table, equal_nan=True)), None)
        if same is None:
            kept[row], equal[row] = table, []
        else:
            equal[same].append(row)
    return kept, equal


def _by_epoch(seeds: Sequence[Curve], scale: float) -> Any:
    """[seeds, epochs], with gaps where a seed has no value or has stopped."""
    length = max(map(len, seeds))
    gap = float("nan")
    return np.array([[gap if v is None else scale * v for v in each] + [gap] * (length - len(each)) for each in seeds])


def budgets(lines: Sequence[Mapping[str, Any]]) -> Markup:
    """A metric against the number of labelled examples, one line per method, with intervals.

    Args:
        lines: Each with `method`, `metric`, and `labels`, `mean`, `low` and `high` of equal length.
    """
    metric = lines[0]["metric"]
    scale = 1.0 if metric == "log_loss" else 100.0
    shades = colours_of([line["method"] for line in lines])
    known = sorted({at for line in lines for at in line["labels"]})
    called = [shortened(line["method"], 22) for line in lines]
    chart = Chart(height=274 + legend_height(called))
    values = [value for line in lines for key in ("mean", "low", "high") for value in line[key] if value is not None]
    up = padded([scale * value for value in values])
    numbers = ticks(*up, most=8)
    panel = chart.panel(
        (known[0] / 1.06, known[-1] * 1.06),
        up,
        left=room([words for _, words in numbers], TICK) + BESIDE,
        right=chart.width - 2 * SIDE,
        bottom=chart.height - FOOT - legend_height(called),
        logarithmic=True,
    )
    panel.x_axis([(at, f"{at:,}".replace(",", "\N{NO-BREAK SPACE}")) for at in known], "labelled examples")
    panel.y_axis(numbers, metric + (", %" if scale > 1 else ""))
    texts, entries = list[str](), list[tuple[str, str, str]]()
    for number, line in enumerate(lines):
        shade, dashes = shades[line["method"]], DASHES if number >= 8 else ""
        points: list[Point] = [(at, scale * mean) for at, mean in zip(line["labels"], line["mean"], strict=True)]
        for at, low, high in zip(line["labels"], line["low"], line["high"], strict=True):
            if low is not None and high is not None:
                panel.line([(at, scale * low), (at, scale * high)], shade, width=1, opacity=0.5)
        panel.line(points, shade, dashes=dashes)
        panel.dots(points, shade)
        texts.append(f"{line['method']} from {points[0][1]:.1f} to {points[-1][1]:.1f}")
        entries.append((called[number], shade, dashes))
    panel.frame()
    chart.legend(entries)
    return chart.svg(f"{metric} by labelled examples, {known[0]} to {known[-1]}: {'; '.join(texts)}.")


def ridges(counts: Mapping[str, Sequence[int]], label: str, edges: tuple[str, str]) -> Markup:
    """Histograms in rows, such as of weights after several epochs.

    Args:
        counts: By heading, the number of examples in each bin.
        label: Label of the values.
        edges: Labels of the first and the last bin.
    """
    height = max(130, 44 + 36 * len(counts))
    chart, texts = Chart(height=height), list[str]()
    left, each_height = room(counts, LABEL) + 10, (height - FOOT - 6) / len(counts)
    for place, (heading, each) in enumerate(counts.items()):
        shares = np.array(each, dtype=float) / max(sum(each), 1)
        last, top = place == len(counts) - 1, 6 + place * each_height
        across, up = (-0.6, len(shares) - 0.4), (0.0, max(shares.max() * 1.05, 1e-9))
        right = chart.width - max(room([edges[1]], TICK) / 2, SIDE)
        panel = chart.panel(across, up, left=left, right=right, top=top + 3, bottom=top + each_height)
        middle = [(-0.5, edges[0]), ((len(shares) - 1) / 2, ".5"), (len(shares) - 1, edges[1])]
        panel.x_axis(middle if last else [], label if last else "", grid=False)
        panel.y_axis([(up[1] / 2, heading)], grid=False, shade=INK, size=LABEL)
        for bin_, share in enumerate(shares.tolist()):
            if share > 0:
                panel.bar((bin_ - 0.43, 0), (bin_ + 0.43, share), ACCENT)
        panel.frame(left=False)
        texts.append(f"{heading}: {_share_below_half(shares)}")
    return chart.svg(f"Histograms of the {label}. {'; '.join(texts)}.")


def estimated_accuracy(counts: Sequence[int], curve: Mapping[str, float]) -> Markup:
    """The teacher's estimated accuracy by margin, with a histogram of it over the pool.

    Args:
        counts: Number of examples in each bin of estimated accuracy, from 0 to 1.
        curve: By margin, as a string, the estimated accuracy; at least one.
    """
    shares = np.array(counts, dtype=float) / max(sum(counts), 1)
    margins, accuracy = [float(margin) for margin in curve], [100 * value for value in curve.values()]
    chart, up = Chart(height=230), (0.0, 102.0)
    panel = chart.panel((-0.02, 1.02), up, left=room(["100"], TICK) + BESIDE, right=0.6 * WIDTH)
    panel.x_axis([(value, f"{value:g}") for value in (0, 0.5, 1)], "margin of the teacher")
    panel.y_axis(ticks(0, 100, most=6), "estimated accuracy, %")
    points = list(zip(margins, accuracy, strict=True))
    panel.line(points, ACCENT)
    panel.dots(points, ACCENT)
    panel.frame()
    beside = chart.panel((0, max(105 * shares.max(), 1e-9)), up, left=0.6 * WIDTH + 14)
    beside.x_axis(ticks(*beside.x, most=4), "of the pool, %")
    width = 100 / len(shares)
    for place, share in enumerate(shares.tolist()):
        if share > 0:
            beside.bar((0, (place + 0.07) * width), (100 * share, (place + 0.93) * width), ACCENT)
    beside.frame()
    ends = f"{accuracy[0]:.0f} % at margin {margins[0]:g}, {accuracy[-1]:.0f} % at margin {margins[-1]:g}"
    return chart.svg(f"Estimated accuracy of the teacher: {ends}. Of the pool: {_share_below_half(shares)}.")


def _share_below_half(shares: Any) -> str:
    half = len(shares) // 2
    return f"{100 * shares[:half].sum():.0f} % below one half, {100 * shares[-1]:.0f} % in the highest bin"


def confusion(matrix: Sequence[Sequence[int]], names: Sequence[str], predictor: str) -> Markup:
    """A confusion matrix, each row as shares of its true class.

    Args:
        matrix: [K][K], number of examples of class i predicted as j.
        names: K names.
        predictor: The row of the table, or the teacher, whose predictions they are.
    """
    counts = np.array(matrix, dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    num, size = len(names), TICK if len(names) <= 12 else 6.5
    written = [shortened(each, 14) for each in names]
    long = max(map(len, written)) > 2
    left, below = room(written, size) + BESIDE, (room(written, size) if long else size) + 24
    side = WIDTH - left - SIDE
    chart = Chart(height=side + below)
    panel = chart.panel((-0.5, num - 0.5), (num - 0.5, -0.5), left=left, top=2, right=left + side, bottom=2 + side)
    for i, j in zip(*np.nonzero(counts), strict=True):
        shade = ACCENT if i == j else colour(4)
        panel.bar((j - 0.5, i - 0.5), (j + 0.5, i + 0.5), shade, opacity=0.06 + 0.88 * float(shares[i, j]))
        if num <= 12 and shares[i, j] >= 0.005:
            ink, points = (CARD if shares[i, j] > 0.62 else INK), (TICK if num <= 8 else 8)
            panel.words((float(j), float(i)), f"{100 * shares[i, j]:.0f}", ink, size=points)
    panel.names_below(written, f"predicted by {predictor}", size=size, turned=long)
    panel.y_axis([(place, name) for place, name in enumerate(written)], "true class", grid=False, size=size)
    panel.frame(whole=True)
    wrong = shares - np.diag(np.diag(shares))
    i, j = divmod(int(wrong.argmax()), num)
    largest = f"; its largest confusion is {names[i]} as {names[j]} ({100 * wrong[i, j]:.0f} %)" if wrong.any() else ""
    right = 100 * np.trace(counts) / max(counts.sum(), 1)
    return chart.svg(f"Confusion matrix of {predictor}: accuracy {right:.1f} %{largest}.")


def reliability(bins: Sequence[tuple[int, int, float, int]], predictor: str, names: Sequence[str] = ()) -> Markup:
    """Accuracy against confidence, with the number of examples in each bin.

    Args:
        bins: (number, examples, mean confidence, right ones), over all seeds.
        predictor: The row of the table, or the teacher, whose confidence it is.
        names: All rows of the table, which decide the colours.
    """
    counts = np.array([each[1] for each in bins], dtype=float)
    confidence = np.array([each[2] for each in bins])
    accuracy = np.array([each[3] for each in bins]) / counts
    points, diagonal = (list(zip(confidence.tolist(), each.tolist(), strict=True)) for each in (accuracy, confidence))
    most = float(counts.max())
    chart = Chart(height=300)
    left = room(["100", _short(most)], TICK) + BESIDE
    above = chart.panel((0, 1), (0, 1.02), left=left, bottom=200)
    above.x_axis([(value, "") for value in (0, 0.5, 1)])
    above.y_axis([(0, "0"), (0.5, "50"), (1, "100")], "accuracy, %")
    above.line([(0, 0), (1, 1)], SOFT, width=1, dashes=DASHES)
    above.band(diagonal, points, colour(4))
    shade = colours_of([*names, predictor])[predictor]
    above.line(points, shade)
    above.dots(points, shade, radius=2.6)
    above.frame()
    below = chart.panel((0, 1), (0, most * 1.05), left=left, top=212)
    below.x_axis([(value, f"{value:g}") for value in (0, 0.5, 1)], "confidence", grid=False)
    below.y_axis([(most, _short(most))], "examples")
    for each in bins:
        middle = (each[0] + 0.5) / NUM_BINS
        below.bar((middle - 0.45 / NUM_BINS, 0), (middle + 0.45 / NUM_BINS, each[1]), SOFT, opacity=0.7)
    below.frame()
    gap = (counts * np.abs(accuracy - confidence)).sum() / counts.sum()
    side = "overconfident" if (counts * (confidence - accuracy)).sum() > 0 else "underconfident"
    return chart.svg(f"Reliability of {predictor}: calibration error {100 * gap:.1f} %, {side} on average.")


def accuracy_curve(points: Mapping[float, tuple[float, float, float]]) -> Markup:
    """The teacher's accuracy by margin, with a confidence band.

    Args:
        points: By margin: accuracy, and the lower and upper end of its interval.
    """
    mean, low, high = ([(at, 100 * each[part]) for at, each in points.items()] for part in range(3))
    chart = Chart(height=230)
    panel = chart.panel((0, 1), (0, 102), left=room(["100"], TICK) + BESIDE)
    panel.x_axis(ticks(0, 1, most=6), "margin of the teacher")
    panel.y_axis(ticks(0, 100, most=6), "accuracy, %")
    panel.band(low, high, ACCENT)
    panel.line(mean, ACCENT)
    panel.dots(mean, ACCENT)
    panel.frame()
    ends = "; ".join(
        f"at margin {at:.1f} {100 * each[0]:.0f} % ({100 * each[1]:.0f} to {100 * each[2]:.0f})"
        for place, (at, each) in enumerate(points.items())
        if place in (0, len(points) // 2, len(points) - 1)
    )
    return chart.svg(f"Accuracy of the teacher by its margin, with a confidence band: {ends}.")


def shares(values: Mapping[str, float], label: str) -> Markup:
    """A bar chart of shares, such as of a pool by expected accuracy.

    Args:
        values: Shares by the label of the bar.
        label: Label of the shares.
    """
    chart = Chart(height=68 + 24 * len(values))
    names = [shortened(bar, 22) for bar in values]
    longest = max(100 * max(values.values(), default=0.0), 1e-9)
    panel = chart.panel((0, 1.05 * longest), (len(values) - 0.4, -0.6), left=room(names, TICK) + 8)
    panel.x_axis(ticks(0, longest, most=6), f"{label}, %")
    panel.y_axis(list(enumerate(names)), grid=False, shade=INK)
    for place, share in enumerate(values.values()):
        panel.bar((0, place - 0.31), (100 * share, place + 0.31), ACCENT)
    panel.frame(left=False)
    text = "; ".join(f"{bar} {100 * value:.1f} %" for bar, value in values.items())
    return chart.svg(f"{label}: {text}.")


def _short(count: float) -> str:
    return f"{count / 1000:.0f}k" if count >= 10_000 else f"{count:.0f}"


def _ends(low: float | None, high: float | None, scale: float) -> str:
    return "" if low is None or high is None else f" ({scale * low:+.1f} to {scale * high:+.1f})"


def better(metric: str) -> str:
    """Whether a lower or a higher value of a metric is better."""
    return "lower" if metric in LOWER_IS_BETTER else "higher"
