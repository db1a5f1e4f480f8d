"""Write docs/experiment.md from the options of an experiment: `make docs`; a test compares the two."""

from pathlib import Path

from overproof.runs.first_look.explain import all_keys, explained

INTRODUCTION = """# Every key of an experiment

This page is generated from the code (`make docs`). `overproof init --explain KEY` prints one key; `--set KEY=VALUE`
changes one in a command. Options of a method's parts are in [methods](methods.md).
"""


def page() -> str:
    """The whole page."""
    groups = [key for key in all_keys() if explained(key).keys]
    alone = [key for key in all_keys() if "." not in key and key not in groups]
    parts = [INTRODUCTION, table(alone)]
    for group in groups:
        about = explained(group)
        parts.append(f"## {group}\n\n{about.about}\n\n" + table([f"{group}.{key}" for key in about.keys]))
    return "\n".join(parts)


def table(keys: list[str]) -> str:
    """Keys as rows of a table."""
    lines = ["| key | allowed | default | meaning |", "|---|---|---|---|"]
    for key in keys:
        found = explained(key)
        default = f"`{found.default}`" if found.default else "must be given"
        lines.append(f"| `{key}` | {cell(found.allowed)} | {cell(default)} | {cell(found.about)} |")
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """Text without what would end a cell of a table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page())
