"""Draw the charts of a report as inline SVG, each with a text alternative."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from overproof.evaluation.metrics import NUM_BINS
from overproof.evaluation.verdict import LOWER_IS_BETTER, Summary
from overproof.report.drawing import (
    ACCENT,
    CARD,
    INK,
    LINE,
    SOFT,
    WIDTH,
    colour,
    colours_of,
    drawing,
    inline,
    shortened,
)

Curve = Sequence[float | None]
"""One value per epoch; None where there is none."""


def differences(summary: Sequence[Summary], name: str = "differences") -> Markup | None:
    """Differences from the baseline with their intervals; None without a baseline or without other rows."""
    rows = [row for row in summary if row.difference is not None and row.method != row.baseline]
    if not rows:
        return None
    scale, unit = (1.0, "") if rows[0].metric == "log_loss" else (100.0, " points")
    shades = colours_of([row.method for row in summary])
    with drawing(name, height=46 + 22 * len(rows)) as figure:
        axes = figure.subplots()
        axes.axvline(0, color=SOFT, linewidth=1)
        for place, row in enumerate(reversed(rows)):
            assert row.difference is not None
            shade = shades[row.method]
            if row.difference_low is not None and row.difference_high is not None:
                axes.plot(
                    [scale * row.difference_low, scale * row.difference_high],
                    [place, place],
                    color=shade,
                    linewidth=5,
                    alpha=0.35,
                )
            axes.plot(
                scale * row.difference, place, "o", color=shade, markersize=6, markeredgecolor=CARD, markeredgewidth=1
            )
        axes.set_yticks(range(len(rows)), [shortened(row.method, 22) for row in reversed(rows)])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(
            f"difference from {shortened(rows[0].baseline or '')}{', points' if unit else ''} (right is better)"
        )
        values = "; ".join(
            f"{row.method} {scale * (row.difference or 0):+.1f}{_ends(row.difference_low, row.difference_high, scale)}"
            for row in rows
        )
        return inline(figure, f"Difference of every row from {rows[0].baseline} with its interval: {values}.")


def recovered(summary: Sequence[Summary], name: str = "recovered") -> Markup | None:
    """Recovered share of the gap from the baseline to the oracle by method; None where it is unknown."""
    rows = [row for row in summary if row.recovered is not None and row.role == "method"]
    if not rows:
        return None
    shades = colours_of([row.method for row in summary])
    with drawing(name, height=50 + 26 * len(rows)) as figure:
        axes = figure.subplots()
        ends = [0.0, 1.0]
        for place, row in enumerate(reversed(rows)):
            assert row.recovered is not None
            axes.barh(place, row.recovered, color=shades[row.method], height=0.45, alpha=0.8)
            if row.recovered_low is not None and row.recovered_high is not None:
                axes.plot([row.recovered_low, row.recovered_high], [place, place], color=INK, linewidth=1.4)
                ends += [row.recovered_low, row.recovered_high]
        axes.axvline(0, color=SOFT, linewidth=1)
        axes.axvline(1, color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
        low, high = max(min(ends), -2.0), min(max(ends), 2.0)
        axes.set_xlim(low - 0.05 * (high - low), high + 0.05 * (high - low))
        axes.set_yticks(range(len(rows)), [shortened(row.method, 22) for row in reversed(rows)])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(lambda value, place: f"{100 * value:.0f} %")
        axes.set_xlabel(f"share of the gap from {shortened(rows[0].baseline or '')} to the oracle")
        values = "; ".join(
            f"{row.method} {100 * (row.recovered or 0):.0f} %{_ends(row.recovered_low, row.recovered_high, 100.0)}"
            for row in rows
        )
        return inline(figure, f"Recovered share of the gap to the oracle: {values}.")


def curves(
    name: str,
    values: Mapping[str, Sequence[Curve]],
    label: str,
    *,
    shares: bool = False,
    names: Sequence[str] | None = None,
) -> Markup | None:
    """A value by epoch, one line per row of the table: the mean over the seeds, with each seed in a lighter line.

    Args:
        name: Unique name of the chart.
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
    scale = 100 if shares else 1
    with drawing(name, height=236 + 13 * ((len(known) + 2) // 3)) as figure:
        axes, texts = figure.subplots(), []
        for number, (row, seeds) in enumerate(known.items()):
            length = max(map(len, seeds))
            table = np.array(
                [
                    [np.nan if v is None else scale * v for v in curve] + [np.nan] * (length - len(curve))
                    for curve in seeds
                ]
            )
            epochs = np.arange(1, length + 1)
            # Where a seed stopped early the mean is over the others.
            counted = (~np.isnan(table)).sum(axis=0)
            mean = np.where(counted > 0, np.nansum(table, axis=0) / np.maximum(counted, 1), np.nan)
            marker = "o" if length == 1 else None
            for each in table if len(table) > 1 else []:
                axes.plot(epochs, each, color=shades[row], linewidth=0.8, alpha=0.3)
            axes.plot(epochs, mean, color=shades[row], label=shortened(row, 22), marker=marker, markersize=4,
                      linestyle=("-", (0, (5, 2)))[number >= 8])  # fmt: skip
            ends = mean[~np.isnan(mean)]
            texts.append(f"{row} from {ends[0]:.3g} to {ends[-1]:.3g}")
        axes.set(xlabel="epoch", ylabel=label + (", %" if shares else ""))
        axes.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(loc="outside lower center", ncols=min(3, len(known)), handlelength=1.4, columnspacing=1.2)
        return inline(figure, f"{label} by epoch: {'; '.join(texts)}{' %' if shares else ''}.")


def budgets(name: str, lines: Sequence[Mapping[str, Any]]) -> Markup:
    """A metric against the number of labelled examples, one line per method, with intervals.

    Args:
        name: Unique name of the chart.
        lines: Each with `method`, `metric`, and `labels`, `mean`, `low` and `high` of equal length.
    """
    scale = 1.0 if lines[0]["metric"] == "log_loss" else 100.0
    shades = colours_of([line["method"] for line in lines])
    with drawing(name, height=270 + 13 * ((len(lines) + 2) // 3)) as figure:
        axes, texts = figure.subplots(), []
        for number, line in enumerate(lines):
            labels, mean = line["labels"], [scale * value for value in line["mean"]]
            shade = shades[line["method"]]
            axes.plot(labels, mean, color=shade, label=shortened(line["method"], 22), marker="o", markersize=4,
                      linestyle=("-", (0, (5, 2)))[number >= 8])  # fmt: skip
            for at, low, high in zip(labels, line["low"], line["high"], strict=True):
                if low is not None and high is not None:
                    axes.plot([at, at], [scale * low, scale * high], color=shade, linewidth=1, alpha=0.5)
            texts.append(f"{line['method']} from {mean[0]:.1f} to {mean[-1]:.1f}")
        known = sorted({at for line in lines for at in line["labels"]})
        axes.set_xscale("log")
        axes.set_xticks(known, [f"{at:,}".replace(",", " ") for at in known])
        axes.minorticks_off()
        axes.set(xlabel="labelled examples", ylabel=lines[0]["metric"] + (", %" if scale > 1 else ""))
        figure.legend(loc="outside lower center", ncols=min(3, len(lines)), handlelength=1.4, columnspacing=1.2)
        return inline(
            figure, f"{lines[0]['metric']} by labelled examples, {known[0]} to {known[-1]}: {'; '.join(texts)}."
        )


def ridges(name: str, counts: Mapping[str, Sequence[int]], label: str, edges: tuple[str, str]) -> Markup:
    """Histograms in rows, such as of weights after several epochs.

    Args:
        name: Unique name of the chart.
        counts: By heading, the number of examples in each bin.
        label: Label of the values.
        edges: Labels of the first and the last bin.
    """
    with drawing(name, height=max(130, 44 + 36 * len(counts))) as figure:
        all_axes, texts = np.atleast_1d(figure.subplots(len(counts), sharex=True)), []
        for axes, (heading, each) in zip(all_axes, counts.items(), strict=True):
            shares = np.array(each, dtype=float) / max(sum(each), 1)
            bins = np.arange(len(shares))
            axes.bar(bins, shares, width=0.86, color=ACCENT, alpha=0.85)
            axes.set_yticks([])
            axes.set_ylim(0, max(shares.max() * 1.05, 1e-9))
            axes.grid(visible=False)
            axes.spines["left"].set_visible(False)
            axes.set_ylabel(heading, rotation=0, ha="right", va="center", color=INK)
            texts.append(f"{heading}: {_share_below_half(shares)}")
        last = all_axes[-1]
        last.set_xticks([-0.5, (len(shares) - 1) / 2, len(shares) - 1], [edges[0], ".5", edges[1]])
        last.set_xlabel(label)
        return inline(figure, f"Histograms of the {label}. {'; '.join(texts)}.")


def estimated_accuracy(name: str, counts: Sequence[int], curve: Mapping[str, float]) -> Markup:
    """The teacher's estimated accuracy by margin, with a histogram of it over the pool.

    Args:
        name: Unique name of the chart.
        counts: Number of examples in each bin of estimated accuracy, from 0 to 1.
        curve: By margin, as a string, the estimated accuracy; at least one.
    """
    shares = np.array(counts, dtype=float) / max(sum(counts), 1)
    margins, accuracy = [float(margin) for margin in curve], [100 * value for value in curve.values()]
    with drawing(name, height=230) as figure:
        line, bars = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        line.plot(margins, accuracy, color=ACCENT, marker="o", markersize=3.5)
        line.set(xlim=(-0.02, 1.02), ylim=(0, 102), xlabel="margin of the teacher", ylabel="estimated accuracy, %")
        places = 100 * (np.arange(len(shares)) + 0.5) / len(shares)
        bars.barh(places, 100 * shares, height=86 / len(shares), color=ACCENT, alpha=0.85)
        bars.set(xlabel="of the pool, %")
        ends = f"{accuracy[0]:.0f} % at margin {margins[0]:g}, {accuracy[-1]:.0f} % at margin {margins[-1]:g}"
        return inline(figure, f"Estimated accuracy of the teacher: {ends}. Of the pool: {_share_below_half(shares)}.")


def _share_below_half(shares: Any) -> str:
    half = len(shares) // 2
    return f"{100 * shares[:half].sum():.0f} % below one half, {100 * shares[-1]:.0f} % in the highest bin"


def confusion(name: str, matrix: Sequence[Sequence[int]], names: Sequence[str], predictor: str) -> Markup:
    """A confusion matrix, each row as shares of its true class.

    Args:
        name: Unique name of the chart.
        matrix: [K][K], number of examples of class i predicted as j.
        names: K names.
        predictor: The row of the table, or the teacher, whose predictions they are.
    """
    counts = np.array(matrix, dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    num = len(names)
    with drawing(name, height=WIDTH - 8) as figure:
        axes = figure.subplots()
        drawn = [(i, j) for i in range(num) for j in range(num) if counts[i, j]]
        shades = [(ACCENT if i == j else colour(4), 0.06 + 0.88 * float(shares[i, j])) for i, j in drawn]
        axes.add_collection(_cells(drawn, shades))
        for i, j in drawn if num <= 12 else []:
            if shares[i, j] >= 0.005:
                shade, points = (CARD if shares[i, j] > 0.62 else INK), (9.5 if num <= 8 else 8)
                axes.text(j, i, f"{100 * shares[i, j]:.0f}", ha="center", va="center", fontsize=points, color=shade)
        size = 9.5 if num <= 12 else 6.5
        written = [shortened(each, 14) for each in names]
        axes.set(xlim=(-0.5, num - 0.5), ylim=(num - 0.5, -0.5), aspect="equal")
        axes.set_xticks(range(num), written, rotation=90 if max(map(len, written)) > 2 else 0, fontsize=size)
        axes.set_yticks(range(num), written, fontsize=size)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_color(LINE)
        axes.set(xlabel=f"predicted by {predictor}", ylabel="true class")
        wrong = shares - np.diag(np.diag(shares))
        i, j = divmod(int(wrong.argmax()), num)
        largest = (
            f"; its largest confusion is {names[i]} as {names[j]} ({100 * wrong[i, j]:.0f} %)" if wrong.any() else ""
        )
        right = 100 * np.trace(counts) / max(counts.sum(), 1)
        return inline(figure, f"Confusion matrix of {predictor}: accuracy {right:.1f} %{largest}.")


def _cells(places: Sequence[tuple[int, int]], shades: Sequence[tuple[str, float]]) -> Any:
    """Unit squares at (row, column), each with its colour and opacity."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    squares = [Rectangle((j - 0.5, i - 0.5), 1, 1) for i, j in places]
    return PatchCollection(squares, facecolors=list(shades), edgecolors="none")


def reliability(
    name: str, bins: Sequence[tuple[int, int, float, int]], predictor: str, names: Sequence[str] = ()
) -> Markup:
    """Accuracy against confidence, with the number of examples in each bin.

    Args:
        name: Unique name of the chart.
        bins: (number, examples, mean confidence, right ones), over all seeds.
        predictor: The row of the table, or the teacher, whose confidence it is.
        names: All rows of the table, which decide the colours.
    """
    counts = np.array([each[1] for each in bins], dtype=float)
    confidence = np.array([each[2] for each in bins])
    accuracy = np.array([each[3] for each in bins]) / counts
    with drawing(name, height=300) as figure:
        above, below = figure.subplots(2, sharex=True, gridspec_kw={"height_ratios": [3.2, 1]})
        above.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
        above.fill_between(confidence, confidence, accuracy, color=colour(4), alpha=0.16, linewidth=0)
        shade = colours_of([*names, predictor])[predictor]
        above.plot(confidence, accuracy, color=shade, marker="o", markersize=4.5)
        above.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="accuracy, %")
        above.set_yticks([0, 0.5, 1], ["0", "50", "100"])
        below.bar([(each[0] + 0.5) / NUM_BINS for each in bins], counts, width=0.9 / NUM_BINS, color=SOFT, alpha=0.7)
        below.set(xlabel="confidence", ylabel="examples")
        below.set_yticks([counts.max()], [_short(counts.max())])
        below.grid(axis="x", visible=False)
        gap = (counts * np.abs(accuracy - confidence)).sum() / counts.sum()
        side = "overconfident" if (counts * (confidence - accuracy)).sum() > 0 else "underconfident"
        return inline(figure, f"Reliability of {predictor}: calibration error {100 * gap:.1f} %, {side} on average.")


def accuracy_curve(points: Mapping[float, tuple[float, float, float]]) -> Markup:
    """The teacher's accuracy by margin, with a confidence band.

    Args:
        points: By margin: accuracy, and the lower and upper end of its interval.
    """
    margins = list(points)
    mean, low, high = (np.array([point[part] for point in points.values()]) for part in range(3))
    with drawing("accuracy-curve", height=230) as figure:
        axes = figure.subplots()
        axes.fill_between(margins, 100 * low, 100 * high, color=ACCENT, alpha=0.16, linewidth=0)
        axes.plot(margins, 100 * mean, color=ACCENT, marker="o", markersize=3.5)
        axes.set(xlim=(0, 1), ylim=(0, 102), xlabel="margin of the teacher", ylabel="accuracy, %")
        ends = "; ".join(
            f"at margin {at:.1f} {100 * mean[place]:.0f} % ({100 * low[place]:.0f} to {100 * high[place]:.0f})"
            for place, at in enumerate(margins)
            if place in (0, len(margins) // 2, len(margins) - 1)
        )
        return inline(figure, f"Accuracy of the teacher by its margin, with a confidence band: {ends}.")


def shares(name: str, values: Mapping[str, float], label: str) -> Markup:
    """A bar chart of shares, such as of a pool by expected accuracy.

    Args:
        name: Unique name of the chart.
        values: Shares by the label of the bar.
        label: Label of the shares.
    """
    with drawing(name, height=60 + 22 * len(values)) as figure:
        axes = figure.subplots()
        places = range(len(values))
        axes.barh(places, [100 * value for value in values.values()], color=ACCENT, alpha=0.85, height=0.62)
        axes.set_yticks(places, [shortened(bar, 22) for bar in values])
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"{label}, %")
        text = "; ".join(f"{bar} {100 * value:.1f} %" for bar, value in values.items())
        return inline(figure, f"{label}: {text}.")


def _short(count: float) -> str:
    return f"{count / 1000:.0f}k" if count >= 10_000 else f"{count:.0f}"


def _ends(low: float | None, high: float | None, scale: float) -> str:
    return "" if low is None or high is None else f" ({scale * low:+.1f} to {scale * high:+.1f})"


def better(metric: str) -> str:
    """Whether a lower or a higher value of a metric is better."""
    return "lower" if metric in LOWER_IS_BETTER else "higher"
