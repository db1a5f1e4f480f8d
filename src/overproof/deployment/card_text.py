"""How a model card writes shares, differences, summaries and names."""

from collections.abc import Mapping
from typing import Any


def mean_text(summary: Mapping[str, Any]) -> str:
    """The mean of a row over its seeds, with its interval where there is one; empty without a summary."""
    if not summary:
        return ""
    known = summary["low"] is not None
    return percent(summary["mean"]) + (f" [{percent(summary['low'])}, {percent(summary['high'])}]" if known else "")


def gain(summary: Mapping[str, Any]) -> str:
    """The difference from the best conventional row in points, with its interval; empty for that row."""
    if summary["difference"] is None or summary["method"] == summary["baseline"]:
        return ""
    ends = summary["difference_low"], summary["difference_high"]
    interval = f" [{points(ends[0])}, {points(ends[1])}]" if None not in ends else ""
    return points(summary["difference"]) + interval


def percent(share: float) -> str:
    """A share in percent."""
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * share:+z.1f}"


def plain(text: str) -> str:
    """One line, with HTML markup escaped."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cell(text: str) -> str:
    """One line, for a cell of a table or between backticks."""
    return " ".join(text.split()).replace("|", "\\|").replace("`", "'")
