"""Draw docs/gains.svg from the table of all settings in docs/results.md: `make docs`; a test compares the two."""

import re
from dataclasses import dataclass
from pathlib import Path

ROW, TOP, BOTTOM = 21, 44, 30
WIDTH, LABELS, RIGHT = 800, 330, 146
LOW, HIGH = -10.0, 17.0

STYLE = """text{font:13px system-ui,sans-serif;fill:#24292f}.value{font-size:12px;text-anchor:end}
.title{font-size:15px;font-weight:600}.axis{font-size:12px;text-anchor:middle;fill:#57606a}
.grid{stroke:#d0d7de}.zero{stroke:#57606a}.even{stroke:#8c959f;fill:#8c959f}.more{stroke:#00796b;fill:#00796b}
.less{stroke:#bc4c00;fill:#bc4c00}line.even,line.more,line.less{stroke-width:3}
@media(prefers-color-scheme:dark){text{fill:#d1d7e0}.axis{fill:#9198a1}.grid{stroke:#3d444d}.zero{stroke:#9198a1}
.even{stroke:#9198a1;fill:#9198a1}.more{stroke:#4db6ac;fill:#4db6ac}.less{stroke:#ff8a50;fill:#ff8a50}}"""


@dataclass(frozen=True, kw_only=True)
class Gain:
    """A setting: the accuracy of SLaM minus that of the best conventional row, in points, with its 95 % interval."""

    setting: str
    mean: float
    low: float
    high: float


def gains(page: str) -> list[Gain]:
    """The rows of the table of all settings, the largest difference first."""
    number = r"([+-]\d+\.\d)"
    rows = re.findall(rf"^\| \[([^\]]+)\]\(.*\| {number} \[{number}, {number}\] \|", page, flags=re.MULTILINE)
    found = [Gain(setting=row[0], mean=float(row[1]), low=float(row[2]), high=float(row[3])) for row in rows]
    return sorted(found, key=lambda gain: -gain.mean)


def picture(page: str) -> str:
    """The picture as SVG."""
    shown = gains(page)
    height = TOP + ROW * len(shown) + BOTTOM
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>SLaM minus the best conventional distillation, accuracy in points with 95 % intervals</title>",
        f"<style>{STYLE}</style>",
        '<text class="title" x="8" y="22">SLaM minus the best conventional distillation, '
        "points of test accuracy</text>",
    ]
    for tick in (-10, -5, 0, 5, 10, 15):
        where = across(tick)
        kind = "grid" if tick else "zero"
        lines.append(f'<line class="{kind}" x1="{where}" x2="{where}" y1="{TOP - 8}" y2="{height - BOTTOM}"/>')
        lines.append(f'<text class="axis" x="{where}" y="{height - 10}">{tick:+d}</text>'.replace(">+0<", ">0<"))
    for index, gain in enumerate(shown):
        middle = TOP + ROW * index + ROW // 2
        kind = "more" if gain.low > 0 else "less" if gain.high < 0 else "even"
        value = f"{gain.mean:+.1f} [{gain.low:+.1f}, {gain.high:+.1f}]"
        lines.append(f'<text x="8" y="{middle + 4}">{gain.setting}</text>')
        lines.append(
            f'<line class="{kind}" x1="{across(gain.low)}" x2="{across(gain.high)}" y1="{middle}" y2="{middle}"/>'
            f'<circle class="{kind}" cx="{across(gain.mean)}" cy="{middle}" r="4"/>'
            f'<text class="value" x="{WIDTH - 6}" y="{middle + 4}">{value}</text>'
        )
    return "\n".join([*lines, "</svg>\n"])


def across(points: float) -> float:
    """The horizontal position of a difference."""
    return round(LABELS + (points - LOW) / (HIGH - LOW) * (WIDTH - LABELS - RIGHT), 1)


if __name__ == "__main__":
    home = Path(__file__).parent
    (home / "gains.svg").write_text(picture((home / "results.md").read_text()))
