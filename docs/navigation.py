"""The order of the site's pages; a page that is not named here goes to the end of its part rather than missing."""

from pathlib import Path
from typing import Any

ORDER: dict[str, list[str]] = {
    "": ["index.md", "tutorial.md"],
    "How to": ["howto/images.md", "howto/texts.md", "howto/tables.md", "howto/llm_answers.md", "howto/own_loop.md"],
    "Guides": ["data.md", "teachers.md", "howto/report.md", "compare.md", "export.md", "peer_rounds.md"],
    "Reference": ["methods.md", "commands.md", "reference.md", "notation.md"],
    "Evidence": [
        "results.md",
        "results_texts.md",
        "results_images.md",
        "results_tables.md",
        "results_peer_rounds.md",
        "results_self_distillation.md",
        "results_costs.md",
        "log.md",
    ],
    "Decisions": [],
}


def on_config(config: Any) -> Any:
    """Called by mkdocs once its settings are read: lay out the pages that are there."""
    home = Path(config["docs_dir"])
    there = sorted(str(path.relative_to(home)) for path in home.rglob("*.md"))
    named = [page for pages in ORDER.values() for page in pages]
    rest = {"Decisions": [page for page in there if page.startswith("decisions/")]}
    rest["Guides"] = [page for page in there if page not in named and "/" not in page]
    rest["How to"] = [page for page in there if page not in named and page.startswith("howto/")]
    layout: list[Any] = []
    for title, pages in ORDER.items():
        shown = [page for page in pages if page in there] + rest.get(title, [])
        layout += shown if not title else [{title: shown}] if shown else []
    config["nav"] = layout
    return config
