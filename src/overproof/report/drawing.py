"""Draw charts as inline SVG: the same bytes every time, colours from the page's style sheet.

Written here and not by a plotting library, which takes most of a second for each chart (decision 16).
"""

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

INK, SOFT, LINE, CARD, ACCENT = "ink", "soft", "line", "card", "accent"
NUM_COLOURS = 8

WIDTH = 350
"""Width of a chart in SVG units, about one CSS pixel on a phone."""

LABEL, TICK = 12.0, 11.5
"""Sizes of letters: the label of an axis, its numbers."""

FOOT, SIDE, BESIDE = 40.0, 9.0, 30.0
"""Room below a panel for the numbers and the label of its axis, right of it for half a number, and left of its numbers
for a label along the axis."""

DASHES = "5 3"

LEGEND_ROW = 15.0
"""Height of a row of a legend."""

Number = float | int
Point = tuple[Number, Number]
Tick = tuple[Number, str]


def colour(number: int) -> str:
    """The colour of the series of that number; colours repeat."""
    return f"s{number % NUM_COLOURS}"


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


@dataclass(kw_only=True, slots=True)
class Panel:
    """A rectangle of a chart with axes of its own. What is outside of their range is drawn at its edge.

    Args:
        parts: Where its elements are added.
        left: In SVG units from the left, as `right`; `top` and `bottom` from the top.
        x: Both ends of the horizontal axis.
        y: Both ends of the vertical axis, the lower end first; they may be reversed.
        logarithmic: Whether equal ratios are equal distances along the horizontal axis.
    """

    parts: list[str]
    left: Number
    top: Number
    right: Number
    bottom: Number
    x: Point
    y: Point
    logarithmic: bool = False

    def across(self, value: Number) -> float:
        """Where a value is along the horizontal axis."""
        low, high = self.x
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.left + _share(value, low, high) * (self.right - self.left)

    def up(self, value: Number) -> float:
        """Where a value is along the vertical axis."""
        return self.bottom - _share(value, *self.y) * (self.bottom - self.top)

    def line(
        self, points: Iterable[Point], shade: str, *, width: Number = 1.8, opacity: Number = 1.0, dashes: str = ""
    ) -> None:
        """A line through points; it is interrupted where a value is no number."""
        pieces, joined = list[str](), False
        for x, y in points:
            if math.isnan(x) or math.isnan(y):
                joined = False
                continue
            pieces.append(f"{'L' if joined else 'M'}{_number(self.across(x))} {_number(self.up(y))}")
            joined = True
        dashed = f";stroke-dasharray:{dashes}" if dashes else ""
        self._add(f'<path d="{"".join(pieces)}"', f"fill:none;{_stroke(shade, width, opacity)}{dashed}")

    def dots(self, points: Iterable[Point], shade: str, *, radius: Number = 2.2, edge: str = "") -> None:
        """A dot at each point that is a number."""
        style = _fill(shade) + (f";{_stroke(edge, 1.0)}" if edge else "")
        for x, y in points:
            if not (math.isnan(x) or math.isnan(y)):
                place = f'cx="{_number(self.across(x))}" cy="{_number(self.up(y))}"'
                self._add(f'<circle {place} r="{_number(radius)}"', style)

    def bar(self, first: Point, second: Point, shade: str, *, opacity: Number = 0.85) -> None:
        """A rectangle between two corners."""
        left, right = sorted((self.across(first[0]), self.across(second[0])))
        top, bottom = sorted((self.up(first[1]), self.up(second[1])))
        size = f'width="{_number(right - left)}" height="{_number(bottom - top)}"'
        self._add(f'<rect x="{_number(left)}" y="{_number(top)}" {size}', _fill(shade, opacity))

    def band(self, low: Sequence[Point], high: Sequence[Point], shade: str, *, opacity: Number = 0.16) -> None:
        """The area between two lines."""
        corners = [*low, *reversed(high)]
        path = "L".join(f"{_number(self.across(x))} {_number(self.up(y))}" for x, y in corners)
        self._add(f'<path d="M{path}Z"', _fill(shade, opacity))

    def words(self, at: Point, words: str, shade: str, *, size: Number = TICK) -> None:
        """Words in the middle of a place."""
        self.parts.append(text(self.across(at[0]), self.up(at[1]) + 0.36 * size, words, shade, size=size))

    def frame(self, *, left: bool = True, whole: bool = False) -> None:
        """The lines of its axes: below it, at its left, or all around."""
        if whole:
            place = f'x="{_number(self.left)}" y="{_number(self.top)}"'
            size = f'width="{_number(self.right - self.left)}" height="{_number(self.bottom - self.top)}"'
            self._add(f"<rect {place} {size}", f"fill:none;{_stroke(LINE, 0.8)}")
            return
        if left:
            self._stretch((self.left, self.top), (self.left, self.bottom), 0.8)
        self._stretch((self.left, self.bottom), (self.right, self.bottom), 0.8)

    def x_axis(self, ticks: Sequence[Tick], label: str = "", *, grid: bool = True, size: Number = TICK) -> None:
        """Numbers below the panel, lines of the grid at them, and a label."""
        for value, words in ticks:
            at = self.across(value)
            if grid:
                self._stretch((at, self.top), (at, self.bottom), 0.6)
            self.parts.append(text(at, self.bottom + 4 + size, words, SOFT, size=size))
        if label:
            self.parts.append(text((self.left + self.right) / 2, self.bottom + 32, label, SOFT, size=LABEL))

    def y_axis(
        self, ticks: Sequence[Tick], label: str = "", *, grid: bool = True, shade: str = SOFT, size: Number = TICK
    ) -> None:
        """Numbers or names at the left of the panel, lines of the grid at them, and a label along it."""
        for value, words in ticks:
            at = self.up(value)
            if grid:
                self._stretch((self.left, at), (self.right, at), 0.6)
            self.parts.append(text(self.left - 5, at + 0.36 * size, words, shade, size=size, anchor="end"))
        if label:
            beside = self.left - room([words for _, words in ticks], size) - 9
            self.parts.append(text(beside, (self.top + self.bottom) / 2, label, SOFT, size=LABEL, turned=True))

    def names_below(self, names: Sequence[str], label: str, *, size: Number, turned: bool) -> None:
        """Names below the panel at 0, 1, ..., turned where they are long, and a label below them."""
        for place, name in enumerate(names):
            at = self.across(place) + (0.36 * size if turned else 0)
            down = self.bottom + (5 if turned else 4 + size)
            anchor = "end" if turned else "middle"
            self.parts.append(text(at, down, name, SOFT, size=size, anchor=anchor, turned=turned))
        below = self.bottom + (room(names, size) if turned else size) + 18
        self.parts.append(text((self.left + self.right) / 2, below, label, SOFT, size=LABEL))

    def _stretch(self, first: Point, second: Point, width: Number) -> None:
        path = f"M{_number(first[0])} {_number(first[1])}L{_number(second[0])} {_number(second[1])}"
        self._add(f'<path d="{path}"', _stroke(LINE, width))

    def _add(self, element: str, style: str) -> None:
        self.parts.append(f'{element} style="{style}"/>')


@dataclass(kw_only=True, slots=True)
class Chart:
    """A chart: panels, words and a legend, in SVG units.

    Args:
        width: Of the whole.
        height: Of the whole.
        parts: Its elements in the order in which they are drawn.
    """

    width: Number = WIDTH
    height: Number = 240
    parts: list[str] = field(default_factory=list)

    def panel(
        self,
        x: Point,
        y: Point,
        *,
        left: Number,
        top: Number = 6,
        right: Number | None = None,
        bottom: Number | None = None,
        logarithmic: bool = False,
    ) -> Panel:
        """A panel; by default up to the right edge, and down to where numbers and a label have room below it."""
        return Panel(
            parts=self.parts,
            left=left,
            top=top,
            right=self.width - SIDE if right is None else right,
            bottom=self.height - FOOT if bottom is None else bottom,
            x=x,
            y=y,
            logarithmic=logarithmic,
        )

    def legend(self, entries: Sequence[tuple[str, str, str]]) -> None:
        """Names with the lines that they stand for, at the bottom; they take `legend_height`.

        Args:
            entries: (name, colour, dashes) of each.
        """
        wide = _columns([name for name, *_ in entries])
        columns, num_rows = len(wide), -(-len(entries) // len(wide))
        start = max((self.width - sum(wide)) / 2, 0)
        for place, (name, shade, dashes) in enumerate(entries):
            row, column = divmod(place, columns)
            x, y = start + sum(wide[:column]), self.height - LEGEND_ROW * (num_rows - row) + 6
            dashed = f";stroke-dasharray:{dashes}" if dashes else ""
            path = f"M{_number(x)} {_number(y)}L{_number(x + 15)} {_number(y)}"
            self.parts.append(f'<path d="{path}" style="{_stroke(shade, 1.8)}{dashed}"/>')
            self.parts.append(text(x + 19, y + 0.36 * TICK, name, INK, size=TICK, anchor="start"))

    def svg(self, description: str) -> Markup:
        """The chart as an element for a page.

        Args:
            description: Text alternative for screen readers.
        """
        box = f"0 0 {_number(self.width)} {_number(self.height)}"
        inside = "\n".join(self.parts)
        return Markup(
            f'<svg class="chart" role="img" aria-label="{escape(description)}" viewBox="{box}">\n{inside}\n</svg>'
        )


def text(
    x: Number, y: Number, words: str, shade: str, *, size: Number, anchor: str = "middle", turned: bool = False
) -> str:
    """An element with words.

    Args:
        x: Of their middle, start or end, as `anchor` says.
        y: Of the line they stand on.
        words: Any; they are escaped.
        shade: Their colour.
        size: Of the letters.
        anchor: `start`, `middle` or `end`.
        turned: Whether they run from below to above, their first letter at the bottom.
    """
    turn = f' transform="rotate(-90 {_number(x)} {_number(y)})"' if turned else ""
    style = f"font-size:{_number(size)}px;{_fill(shade)};text-anchor:{anchor}"
    return f'<text x="{_number(x)}" y="{_number(y)}"{turn} style="{style}">{escape(words)}</text>'


def room(words: Iterable[str], size: Number) -> float:
    """About how wide the longest of some words is; characters of East Asian scripts are as wide as high."""
    wide = [sum(1.0 if unicodedata.east_asian_width(each) in "WF" else 0.62 for each in word) for word in words]
    return size * max(wide, default=0.0)


def ticks(low: Number, high: Number, *, most: int = 6, whole: bool = False) -> list[Tick]:
    """Round numbers between two ends: multiples of 1, 2 or 5 times a power of ten.

    Args:
        low: The lower end.
        high: The higher end.
        most: At most so many.
        whole: Whole numbers only.

    Example:
        >>> ticks(-1.3, 4.2, most=4), ticks(0, 0.5, most=3)
        ([(0.0, '0'), (2.0, '2'), (4.0, '4')], [(0.0, '0.0'), (0.2, '0.2'), (0.4, '0.4')])
    """
    if not high > low:
        return [(low, f"{low:g}")]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * each for each in (1, 2, 5, 10, 20) if (high - low) / (power * each) < most)
    step = max(step, 1.0) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    # Adding zero makes a negative zero a plain one.
    return [(each * step, f"{round(each * step, digits) + 0.0:.{digits}f}") for each in range(first, last + 1)]


def padded(values: Iterable[Number], share: Number = 0.05) -> Point:
    """Both ends of an axis that has room beside the values; values that are no numbers do not count."""
    known = [value for value in values if not math.isnan(value)]
    low, high = min(known), max(known)
    beside = share * (high - low) or max(abs(high), 1.0) * share
    return low - beside, high + beside


def legend_height(names: Sequence[str]) -> float:
    """The height of a legend.

    Args:
        names: Of its entries, as they are written.
    """
    return LEGEND_ROW * -(-len(names) // len(_columns(names)))


def _columns(names: Sequence[str]) -> list[float]:
    """The widths of the columns of a legend: three, or as many as have room."""
    for columns in range(min(3, len(names)), 0, -1):
        wide = [room(names[each::columns], TICK) + 28 for each in range(columns)]
        if sum(wide) <= WIDTH:
            break
    return wide


def shortened(name: str, most: int = 18) -> str:
    """A name, cut to fit a chart."""
    return name if len(name) <= most else name[: most - 1] + "…"


def _share(value: Number, low: Number, high: Number) -> float:
    """Where a value is between two ends, from 0 to 1."""
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _fill(shade: str, opacity: Number = 1.0) -> str:
    return f"fill:var(--{shade})" + (f";fill-opacity:{_number(opacity, 3)}" if opacity < 1 else "")


def _stroke(shade: str, width: Number, opacity: Number = 1.0) -> str:
    seen = f";stroke-opacity:{_number(opacity, 3)}" if opacity < 1 else ""
    return f"stroke:var(--{shade});stroke-width:{_number(width)}{seen}"


def _number(value: Number, digits: int = 2) -> str:
    rounded = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if rounded in ("-0", "") else rounded
