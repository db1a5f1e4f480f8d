"""Write docs/methods.md from the registry: `make docs`; a test compares the two."""

import inspect
from pathlib import Path

import overproof.methods.published
from overproof.registry import Entry, entries

INTRODUCTION = """# Methods

This page is written by `make docs` from the objects themselves. A *method* is a composition of parts: how the teacher's
noise is estimated, which of the pool is kept, and for labelled and pool examples a target, a weight and a loss.
Every claim is checked exactly by the test suite; a claim not listed is not made.
"""

TITLES = {
    "method": "Methods by name",
    "target": "Targets: what the student is asked to match",
    "weight": "Weights: how much each example counts",
    "loss": "Losses: what is compared with what",
    "select": "Selectors: which of the pool to keep",
    "noise": "Noise: where the teacher errs",
}


def page() -> str:
    """The whole page."""
    assert overproof.methods.published.method_names()
    parts = [INTRODUCTION]
    for kind, title in TITLES.items():
        parts.append(f"## {title}\n")
        parts += [section(entry) for entry in entries() if entry.kind == kind]
    return "\n".join(parts)


def section(entry: Entry) -> str:
    """One name."""
    lines = [f"### `{entry.name}`\n"]
    if entry.kind == "method":
        lines.append(f"{inspect.getdoc(entry.make)}\n\n```text\n{composition(entry.make())}\n```\n")
    else:
        lines.append(f"```text\n{inspect.getdoc(entry.make)}\n```\n")
    if entry.paper is not None:
        work = entry.paper
        where = ", ".join(dict.fromkeys([work.venue, work.place]))
        lines.append(f"Source: {work.title}, {where}.\n")
    if entry.claims:
        lines.append("Claims: " + "; ".join(f"{claim!r}" for claim in entry.claims) + ".\n")
    return "\n".join(lines)


def composition(method: overproof.methods.published.Method) -> str:
    """The parts of a method, one a line."""
    return "\n".join(f"{path:16} {part}" for path, part in method.described().items())


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page())
