"""The order of the site's pages, and the pages of reference, which are made from the package while the site is built.

A page that is not named here goes to the end of its part rather than missing.
"""

import ast
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent.parent / "src" / "overproof"

ORDER: dict[str, list[str]] = {
    "": ["index.md", "tutorial.md"],
    "Your situation": [
        "situations/labels_and_pool.md",
        "howto/llm_answers.md",
        "howto/ask_an_llm.md",
        "situations/trained_model.md",
        "situations/wild_pool.md",
        "situations/noisy_labels.md",
        "situations/guarantee.md",
        "situations/label_a_pool.md",
        "howto/scikit_learn.md",
        "howto/hugging_face.md",
        "howto/own_loop.md",
        "situations/large_pool.md",
    ],
    "Your data": ["data.md", "howto/images.md", "howto/texts.md", "howto/tables.md", "howto/data_frames.md"],
    "Guides": [
        "teachers.md",
        "answers.md",
        "automatic.md",
        "peer_rounds.md",
        "compare.md",
        "scale.md",
        "howto/report.md",
        "export.md",
        "howto/deploy.md",
    ],
    "Reference": [
        "notation.md",
        "methods.md",
        "fidelity.md",
        "experiment.md",
        "commands.md",
        "architecture.md",
        "reliability.md",
    ],
    "Python": ["reference.md"],
    "Results": [
        "results.md",
        "results_texts.md",
        "results_images.md",
        "results_tables.md",
        "results_auto.md",
        "results_peers.md",
        "results_peer_rounds.md",
        "results_next.md",
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
    missing = [page for page in there if page not in named]
    rest = {"Decisions": [page for page in missing if page.startswith("decisions/")]}
    rest["Guides"] = [page for page in missing if "/" not in page]
    rest["Your data"] = [page for page in missing if page.startswith("howto/")]
    rest["Your situation"] = [page for page in missing if page.startswith("situations/")]
    rest["Python"] = [f"reference/{folder}.md" for folder in folders()]
    layout: list[Any] = []
    for title, pages in ORDER.items():
        shown = [page for page in pages if page in there] + rest.get(title, [])
        layout += shown if not title else [{title: shown}] if shown else []
    config["nav"] = layout
    return config


def on_files(files: Any, config: Any) -> Any:
    """Called by mkdocs once the pages are found: add a page of reference for each folder of the package."""
    from mkdocs.structure.files import File

    for folder in folders():
        files.append(File.generated(config, f"reference/{folder}.md", content=reference(folder)))
    return files


def folders() -> list[str]:
    """The folders of the package, and `top` for the files beside them."""
    return [*sorted(path.parent.name for path in SOURCE.glob("*/__init__.py")), "top"]


def reference(folder: str) -> str:
    """The page of a folder: what it is for, then every module with its public names."""
    if folder == "top":
        title = "Files at the top level"
        modules = [path.stem for path in sorted(SOURCE.glob("*.py")) if not path.stem.startswith("__")]
        parts = [f"# {title}\n"]
    else:
        home = SOURCE / folder
        about = ast.get_docstring(ast.parse((home / "__init__.py").read_text())) or ""
        parts = [f"# overproof.{folder}\n", about, ""]
        found = sorted(path.relative_to(SOURCE) for path in home.rglob("*.py") if not path.stem.startswith("__"))
        modules = [".".join(path.with_suffix("").parts) for path in found]
    parts += [f"::: overproof.{name}\n    options: {{heading_level: 2}}\n" for name in modules]
    return "\n".join(parts)
