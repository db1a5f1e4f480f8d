"""Write the verdict of a table in one sentence, for the top of a report."""

from collections.abc import Sequence

from overproof.evaluation.verdict import LABELLED_ONLY, LOWER_IS_BETTER, Summary


def best_of(summary: Sequence[Summary], roles: Sequence[str]) -> Summary | None:
    """The row with the best mean among those of given roles, of equal ones the first; None where there is none."""
    rows = [row for row in summary if row.role in roles]
    sign = -1 if rows and rows[0].metric in LOWER_IS_BETTER else 1
    return max(rows, key=lambda row: sign * row.mean, default=None)


def verdict_sentence(summary: Sequence[Summary]) -> str:
    """The verdict in one sentence: the best method, the best conventional row, and training on the labels alone.

    Args:
        summary: One per method.

    Returns:
        A sentence with BEATS, DOES NOT BEAT or INCONCLUSIVE where the table has a method.
    """
    labels = next((row for row in summary if row.method == LABELLED_ONLY and row.role == "reference"), None)
    best, baseline = best_of(summary, ["method"]), next((row for row in summary if row.method == row.baseline), None)
    if baseline is None:
        top = best_of(summary, ["method", "reference"])
        return "There is nothing to compare." if top is None else f"{top.method} reaches {_mean(top)}."
    if labels is not None and labels.verdict == "BEATS" and (best is None or _worse(best, labels)):
        rest = "" if best is None else f", and the best method, {best.method} ({_mean(best)}), does not change that"
        return (
            f"Distillation does not help here: the labels alone reach {_mean(labels)}, and that BEATS "
            f"{baseline.method} ({_mean(baseline)}; {_gain(labels)}){rest}."
        )
    if best is None:
        return f"The table has no method; the best conventional row is {baseline.method} with {_mean(baseline)}."
    seeds = "one seed" if best.num_pairs == 1 else f"{best.num_pairs} seeds"
    text = {
        "BEATS": f"{best.method} BEATS {baseline.method}: {_mean(best)} against {_mean(baseline)} ({_gain(best)})",
        "DOES NOT BEAT": f"{best.method} DOES NOT BEAT {baseline.method}: {_mean(best)} against {_mean(baseline)} "
        f"({_gain(best)}), so plain distillation is enough",
        "INCONCLUSIVE": f"INCONCLUSIVE: {best.method} reaches {_mean(best)} and {baseline.method} {_mean(baseline)} "
        f"({_gain(best)}), and {seeds} cannot tell them apart",
    }[best.verdict or "INCONCLUSIVE"]
    if best.verdict == "BEATS" and best.recovered is not None:
        text += f", {100 * best.recovered:.0f} % of the gap to training on the pool's true labels"
    return text + (f"; the labels alone reach {_mean(labels)}." if labels is not None else ".")


def _worse(row: Summary, other: Summary) -> bool:
    return row.mean > other.mean if row.metric in LOWER_IS_BETTER else row.mean < other.mean


def _mean(row: Summary) -> str:
    return f"{row.mean:.3f}" if row.metric == "log_loss" else f"{100 * row.mean:.1f} %"


def _gain(row: Summary) -> str:
    """The difference from the baseline with its interval."""
    if row.difference is None:
        return "no shared seed"
    scale, digits, unit = (1, 3, "") if row.metric == "log_loss" else (100, 1, " points")
    gain = f"{scale * row.difference:+z.{digits}f}{unit}"
    if row.difference_low is None or row.difference_high is None:
        return gain
    low, high = (f"{scale * end:+z.{digits}f}" for end in (row.difference_low, row.difference_high))
    return f"{gain}, {100 * row.level:g} % interval {low} to {high}"
