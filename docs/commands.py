"""Write docs/commands.md from the command line itself: `make docs`; a test compares the two."""

import os
import re
from pathlib import Path

os.environ.update(COLUMNS="88", NO_COLOR="1", TERMINAL_WIDTH="88")

from typer.main import get_command
from typer.testing import CliRunner

from overproof.cli import app

INTRODUCTION = """# The command line

This page is written by `make docs` from the commands themselves.

`overproof --install-completion` teaches your shell the commands, their options, methods, selectors and run folders.
"""


def page() -> str:
    """The whole page."""
    commands = get_command(app).commands
    parts = [INTRODUCTION, f"```text\n{helped()}\n```\n"]
    parts += [f"## overproof {name}\n\n```text\n{helped(name)}\n```\n" for name in commands]
    return "\n".join(parts)


def helped(*words: str) -> str:
    """What `overproof WORDS --help` prints."""
    said = CliRunner().invoke(app, [*words, "--help"], prog_name="overproof").output
    return re.sub(r"[ \t]+$", "", said, flags=re.MULTILINE).strip()


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page())
