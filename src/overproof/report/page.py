"""Put sections on one self-contained HTML page with contents and styles; no script, nothing from the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from markupsafe import Markup

from overproof.errors import visible
from overproof.version import __version__


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A part of a page.

    Args:
        name: Its anchor on the page.
        title: Its heading, also used in the contents.
        body: Its HTML, already escaped.
        folded: Whether only its heading is shown until a reader opens it.
    """

    name: str
    title: str
    body: Markup
    folded: bool = False


def page(
    *,
    title: str,
    kind: str,
    verdict: str,
    sections: Sequence[Section],
    facts: Sequence[str] = (),
    more: Sequence[str] = (),
    steps: Sequence[tuple[str, str]] = (),
) -> str:
    """The complete page as HTML.

    Args:
        title: Title of the page.
        kind: The kind of page, such as "Run".
        verdict: The sentence at the top.
        sections: The sections in order.
        facts: Short facts, shown below the verdict.
        more: Further sentences, below it.
        steps: Commands that come next: what for, and the command.
    """
    # All of it at once: a name or a text from a file may stand anywhere, charts included.
    whole = rendered(
        "page.html",
        title=title,
        kind=kind,
        verdict=verdict.replace(" %", "\N{NO-BREAK SPACE}%"),
        sections=sections,
        facts=facts,
        more=[each.replace(" %", "\N{NO-BREAK SPACE}%") for each in more],
        steps=steps,
        version=__version__,
        style=Markup(_file("style.css")),
    )
    return visible(str(whole))


def rendered(template: str, **values: Any) -> Markup:
    """A template with its values filled in; values are escaped unless they are `Markup`."""
    return Markup(_environment().get_template(template).render(**values))


def _file(name: str) -> str:
    return (resources.files("overproof.report") / "templates" / name).read_text()


@cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_file),
    )
    environment.filters["percent"] = lambda value, digits=1: f"{100 * value:.{digits}f}"
    environment.filters["signed"] = lambda value, digits=1: f"{100 * value:+z.{digits}f}"
    environment.filters["thousands"] = lambda value: f"{round(value):,}".replace(",", " ")
    environment.filters["bytes"] = _bytes
    environment.filters["seconds"] = _seconds
    return environment


def _bytes(count: int) -> str:
    """A size in the largest unit in which it is at least one.

    >>> _bytes(999), _bytes(1_630_000)
    ('999 B', '1.6 MB')
    """
    size, units = float(count), ["B", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.0f} {units[0]}" if units[0] == "B" else f"{size:.1f} {units[0]}"


def _seconds(value: float) -> str:
    """A duration in readable units.

    >>> _seconds(0.25), _seconds(75.0), _seconds(7325.0)
    ('0.25 s', '1 min 15 s', '2 h 2 min')
    """
    if value < 60:
        return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"
    minutes, seconds = divmod(round(value), 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
