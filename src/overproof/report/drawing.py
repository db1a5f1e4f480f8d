"""Convert matplotlib figures to inline SVG: deterministic bytes, colours from the page's style sheet."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from markupsafe import Markup, escape

# Placeholder colours; `inline` replaces them by the variables of the style sheet.
INK, SOFT, LINE, CARD, ACCENT = "#000001", "#000002", "#000003", "#000004", "#000005"
NUM_COLOURS = 8
_NAMES = {INK: "ink", SOFT: "soft", LINE: "line", CARD: "card", ACCENT: "accent"}
_NAMES |= {f"#0000f{number}": f"s{number}" for number in range(NUM_COLOURS)}

WIDTH = 350
"""Width of a chart in SVG units, about one CSS pixel on a phone."""


def colour(number: int) -> str:
    """The colour of the series of that number; colours repeat."""
    return f"#0000f{number % NUM_COLOURS}"


_OWN = {"auto": 0, "labelled_only": 1, "hard": 2, "soft": 3, "oracle": 6, "teacher": 7}


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """The colour of each row of a table, the same in all of its charts; the rows of every table have theirs.

    Args:
        names: All rows of the table, in order.
    """
    free = [number for number in range(NUM_COLOURS) if number not in {_OWN[name] for name in names if name in _OWN}]
    others = [name for name in dict.fromkeys(names) if name not in _OWN]
    own = {name: colour(_OWN[name]) for name in names if name in _OWN}
    return own | {name: colour(free[place % len(free)]) for place, name in enumerate(others)}


@contextmanager
def drawing(name: str, width: int = WIDTH, height: int = 240) -> Iterator[Any]:
    """A figure of that size in the page's style; the settings of matplotlib are restored afterwards.

    Args:
        name: Unique for each chart of a page: the prefix of its ids.
        width: In SVG units.
        height: In SVG units.
    """
    import warnings

    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: dict[str, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "svg.id": None,
        "text.parse_math": False,
        "font.family": "DejaVu Sans",
        "font.size": 10.5,
        "text.color": INK,
        "axes.edgecolor": LINE,
        "axes.labelcolor": SOFT,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.labelsize": 10,
        "figure.facecolor": "none",
        "grid.color": LINE,
        "grid.linewidth": 0.6,
        "xtick.color": LINE,
        "ytick.color": LINE,
        "xtick.labelcolor": SOFT,
        "ytick.labelcolor": SOFT,
        "xtick.labelsize": 9.5,
        "ytick.labelsize": 9.5,
        "legend.frameon": False,
        "legend.fontsize": 9.5,
        "lines.linewidth": 1.8,
    }
    settings: Any = {**mpl.rcParamsDefault, **style}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A class name with characters that this font lacks: the browser has them.
        warnings.filterwarnings("ignore", message=".*missing from font", category=UserWarning)
        yield Figure(figsize=(width / 72, height / 72), layout="constrained")


def inline(figure: Any, description: str) -> Markup:
    """The figure as an SVG element for a page; inside `drawing`.

    Args:
        figure: The finished figure.
        description: Text alternative for screen readers.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    box = re.search(r'viewBox="([^"]*)"', text)
    assert box is not None
    inside = text[text.index(">") + 1 : text.rindex("</svg>")]
    inside = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", inside, flags=re.DOTALL)
    # Only referenced elements keep their ids: the others may occur in two charts of a page.
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', inside))
    inside = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", inside)
    inside = re.sub(r"font: (?:\w+ )*?([\d.]+)px [^;\"]*", r"font-size: \1px", inside)
    for shade, name in _NAMES.items():
        inside = inside.replace(shade, f"var(--{name})")
    inside = re.sub(r"\n\s*", "\n", inside)
    return Markup(
        f'<svg class="chart" role="img" aria-label="{escape(description)}" viewBox="{box[1]}" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink">{inside}</svg>'
    )


def shortened(name: str, most: int = 18) -> str:
    """A name, cut to fit a chart."""
    return name if len(name) <= most else name[: most - 1] + "…"
