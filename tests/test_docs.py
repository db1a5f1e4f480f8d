"""The documents say what the code does: the methods page is the registry's, and every Python block in README runs."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_methods_page_is_what_the_registry_says():
    spec = importlib.util.spec_from_file_location("methods_page", ROOT / "docs/methods.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs/methods.md").read_text() == module.page(), "run `make docs`"


@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md"])
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
