"""The documents say what the code does: the methods page is the registry's, and every Python block in README runs."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["methods", "commands"])
def test_a_generated_page_is_what_the_code_says(name):
    assert (ROOT / f"docs/{name}.md").read_text() == loaded(name).page(), "run `make docs`"


def loaded(name: str):
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(f"{name}_page", ROOT / f"docs/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_has_a_place_in_the_navigation():
    config = loaded("navigation").on_config({"docs_dir": str(ROOT / "docs")})
    placed = re.findall(r"[\w/-]+\.md", repr(config["nav"]))
    assert sorted(placed) == sorted(str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md"))
    assert placed[0] == "index.md"


def pages() -> list[str]:
    """README and every page of the site that holds Python."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [str(path.relative_to(ROOT)) for path in paths if "```python\n" in path.read_text()]


def test_pages_with_code_are_found():
    assert {"README.md", "docs/index.md", "docs/tutorial.md", "docs/howto/images.md"} <= set(pages())


@pytest.mark.parametrize("name", pages())
def test_every_python_block_runs(name, tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, name, "exec"), namespace)


def test_the_readme_tree_names_every_module():
    tree = (ROOT / "README.md").read_text()
    modules = {path.name for path in (ROOT / "src/overproof").glob("*.py")} - {"__init__.py", "__main__.py"}
    packages = {f"{path.parent.name}/" for path in (ROOT / "src/overproof").glob("*/__init__.py")}
    missing = sorted(name for name in modules | packages if f" {name}" not in tree)
    assert not missing
