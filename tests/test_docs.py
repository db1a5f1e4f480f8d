"""The documentation agrees with the code: generated pages are up to date, and every Python block runs."""

import importlib
import importlib.util
import pkgutil
import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["methods", "commands", "experiment", "answers"])
def test_a_generated_page_is_what_the_code_says(name):
    assert (ROOT / f"docs/{name}.md").read_text() == loaded(name).page(), "run `make docs`"


def test_the_names_that_commands_list_are_the_registered_ones():
    generator = loaded("commands")
    assert generator.CATALOGUE.read_text() == generator.catalogue(), "run `make docs`"


def loaded(name: str):
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(f"{name}_page", ROOT / f"docs/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_has_a_place_in_the_navigation():
    config = loaded("navigation").on_config({"docs_dir": str(ROOT / "docs")})
    placed = [page for page in re.findall(r"[\w/-]+\.md", repr(config["nav"])) if not page.startswith("reference/")]
    assert sorted(placed) == sorted(str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md"))
    assert placed[0] == "index.md"


def pages() -> list[str]:
    """README, SECURITY and every page of the site that holds Python."""
    paths = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [str(path.relative_to(ROOT)) for path in paths if "```python\n" in path.read_text()]


def test_pages_with_code_are_found():
    assert {"README.md", "SECURITY.md", "docs/index.md", "docs/tutorial.md", "docs/howto/images.md"} <= set(pages())


@pytest.mark.parametrize("name", pages())
def test_every_python_block_runs(name, tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, name, "exec"), namespace)


def tree() -> str:
    """The tree of folders at the end of README."""
    return (ROOT / "README.md").read_text().rpartition("```\nsrc/overproof/\n")[2].partition("```")[0]


def test_the_readme_tree_names_every_file_and_folder_of_the_package():
    modules = {path.name for path in (ROOT / "src/overproof").glob("*.py")} - {"__init__.py", "__main__.py"}
    packages = {f"{path.parent.name}/" for path in (ROOT / "src/overproof").glob("*/__init__.py")}
    missing = sorted(
        name for name in modules | packages if not re.search(rf"(?m)(^|\s){re.escape(name)}(\s|$)", tree())
    )
    assert not missing


def test_the_readme_tree_names_the_folders_beside_the_package():
    generated = {"runs", "build", "dist", "site", "src", "__pycache__"}
    folders = {f"{path.name}/" for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."}
    assert sorted(name for name in folders - {f"{each}/" for each in generated} if f"{name} " not in tree()) == []


def test_the_readme_tree_names_nothing_that_does_not_exist():
    named = re.findall(r"(?:^|\s)(\w+(?:\.py|/))(?=\s|$)", tree(), flags=re.MULTILINE)
    known = {path.name for path in ROOT.rglob("src/overproof/**/*.py")}
    known |= {f"{path.name}/" for folder in (ROOT, *ROOT.glob("src/**/")) for path in folder.iterdir() if path.is_dir()}
    assert named
    assert sorted(set(named) - known) == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


def test_the_picture_is_that_of_the_table():
    page = (ROOT / "docs/results.md").read_text()
    drawn = loaded("gains")
    assert len(drawn.gains(page)) == page.count("](results_", page.index("## All settings"))
    assert (ROOT / "docs/gains.svg").read_text() == drawn.picture(page), "run `make docs`"


def test_every_folder_of_the_package_has_a_page_of_reference():
    navigation = loaded("navigation")
    names = {path.parent.name for path in (ROOT / "src/overproof").glob("*/__init__.py")}
    assert set(navigation.folders()) == names | {"top"}
    for folder in navigation.folders():
        page = navigation.reference(folder)
        assert page.startswith("# ")
        assert "\n::: overproof." in page


def test_the_architecture_names_only_files_that_exist():
    page = (ROOT / "docs/architecture.md").read_text()
    named = set(re.findall(r"`((?:\w+/)+(?:\w+\.\w+)?|\w+\.py)`", page))
    assert len(named) > 40
    roots = {path: ROOT if path.startswith(("tests/", "docs/")) else ROOT / "src/overproof" for path in named}
    assert sorted(path for path, root in roots.items() if not (root / path).exists()) == []


def test_the_architecture_shows_the_order_of_imports_that_is_checked():
    page = (ROOT / "docs/architecture.md").read_text()
    shown = page.partition("## What may import what")[2].partition("```text\n")[2].partition("```")[0].split("\n")[:-1]
    layers = (ROOT / ".importlinter").read_text().partition("layers =\n")[2].partition("\n\n")[0].split("\n")
    checked = [line.strip().replace(" : ", " · ") for line in layers]
    assert shown == [line for line in checked if line not in ("__main__", "(scale)")]


def texts() -> dict[str, str]:
    """README, the pages that somebody wrote, and the new import paths of the changelog."""
    paths = [path for path in (ROOT / "docs").rglob("*.md") if path.name not in ("commands.md", "methods.md")]
    table = re.findall(r"^\| `overproof[^|]*\| (.*) \|$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    return {path.name: path.read_text() for path in (ROOT / "README.md", *paths)} | {"CHANGELOG.md": "\n".join(table)}


def dotted(text: str) -> set[str]:
    """Names such as `overproof.models.build` in code, braces opened."""
    names = set()
    for start, braced in re.findall(r"`(overproof(?:\.\w+)+)(?:\.\{([^}]*)\})?", text):
        names |= {f"{start}.{each.strip()}" for each in braced.split(",") if "…" not in each} if braced else {start}
    return names


def test_every_dotted_name_in_the_pages_exists():
    unknown = []
    for page, text in texts().items():
        for name in dotted(text):
            try:
                pkgutil.resolve_name(name)
            except (ImportError, AttributeError):
                unknown.append(f"{page}: {name}")
    assert "overproof.runs.pipeline.open_run" in dotted(texts()["CHANGELOG.md"])
    assert sorted(unknown) == []


@pytest.mark.parametrize("name", ["scale.md"])
def test_files_for_other_tools_are_yaml(name):
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / name).read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert all(isinstance(each, dict) for each in yaml.safe_load_all(block))


def test_the_page_of_fidelity_names_every_registered_part_and_tests_that_exist():
    page = (ROOT / "docs/fidelity.md").read_text()
    words = set(re.findall(r"`([\w*]+)`", page))
    missing = {entry.name for entry in loaded("methods").entries()} - words
    assert not missing, f"docs/fidelity.md does not say how these stand to their papers: {sorted(missing)}"
    named = re.findall(r"`(tests/[\w/.]+\.py)::(\w+)`", page)
    assert len(named) > 40
    gone = [(file, test) for file, test in named if f"def {test}(" not in (ROOT / file).read_text()]
    assert not gone, "docs/fidelity.md names tests that are not there"
