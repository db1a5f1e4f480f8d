"""Write docs/methods.md from the registry: `make docs`; a test compares the two."""

import inspect
from pathlib import Path

import overproof.methods.published
from overproof.registry import Entry, entries

INTRODUCTION = """# Methods

This page is generated from the code (`make docs`). A *method* is a composition of parts: a noise model, a selector, and
for labelled and pool examples a target, a weight and a loss ([vocabulary](notation.md)). Every listed claim is verified
exactly by the test suite.
"""

TITLES = {
    "method": "Methods by name",
    "target": "Targets: what the student is trained to match",
    "weight": "Weights: how much each example counts",
    "loss": "Losses: one number per example",
    "select": "Selectors: which rows of the pool are used",
    "noise": "Noise models: how the teacher's errors are estimated",
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
    """The section of one name."""
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
    """The parts of a method, one per line."""
    return "\n".join(f"{path:16} {part}" for path, part in method.described().items())


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page())
